//! What a transaction has done that may have to be recorded.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use sea_orm::{Statement, Value};

use crate::{
    clock::Hlc,
    entity::Table,
    error::Error,
    replica::{announce::Announced, begun::Begun, collected::Collected, effect::Effect},
    store::version::Taken,
};

/// What it has done so far.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// What is to be written to the shadow.
    pub effects: Collected,
    /// What is there already, of rows that the transaction has inserted.
    pub(super) begun: Begun,
    /// The version this transaction writes under, once it has written.
    pub version: Taken,
    /// The rows that it has written, by table and key.
    pub changed: BTreeMap<String, BTreeSet<String>>,
    pub announced: Vec<Announced>,
    /// The clock value of a blind write that was made and has left its record, which was not as it has to be for one.
    pub left_at: Option<Hlc>,
    /// Whether it was begun for one write.
    pub(super) is_for_one_write: bool,
    /// Whether a statement has committed the transaction already.
    pub(super) committed: bool,
    /// Whether a table was written that is not replicated: a parked row may wait for just that.
    pub(super) others_changed: bool,
    /// Why the transaction must not be committed: a statement ran whose effect could not be captured.
    pub(super) poison: Option<String>,
    /// As `poison`, but no rollback to a savepoint helps.
    pub(super) spoilt: Option<String>,
    /// The open savepoints, the innermost last.
    pub(super) savepoints: Vec<u64>,
    pub(super) newest_savepoint: u64,
}

/// Where a savepoint began in the log.
#[derive(Debug)]
pub(crate) struct Mark {
    pub(super) id: u64,
    pub(super) effects: usize,
    pub(super) poison: Option<String>,
}

impl Log {
    /// Whether this statement was announced.
    pub(super) fn has_announced(&self, statement: &Statement) -> bool {
        self.announced.iter().any(|announced| announced.is(statement))
    }

    /// The newest announcement of this statement; an older one may be of a write that was never sent.
    pub(super) fn take_announced(&mut self, statement: &Statement) -> Result<Option<Announced>, Error> {
        let Some(place) = self.announced.iter().rposition(|a| a.is(statement)) else {
            return Ok(None);
        };
        self.announced.remove(place).unless_stale()
    }

    /// Takes note in what is announced that a row is written.
    pub(super) fn overtake_announced(&mut self, table: &Table, key: &[Value]) {
        let announced = self.announced.iter_mut();
        announced.for_each(|announced| announced.overtaken_by(table, key));
    }

    /// Whether the savepoint was the innermost. The database knows them by their depth only, so if one ends before those
    /// in it, nobody can tell what was taken back.
    pub(super) fn end_savepoint(&mut self, id: u64) -> bool {
        let innermost = self.savepoints.last() == Some(&id);
        self.savepoints.retain(|savepoint| *savepoint != id);
        if !innermost {
            self.spoil("its savepoints did not end in the reverse order of their beginning");
        }
        innermost
    }

    pub(super) fn spoil(&mut self, why: &str) {
        self.spoilt.get_or_insert_with(|| why.to_owned());
    }

    /// Takes what is to be written: the effects, what is written of their rows already, the version, and the clock value of a
    /// blind write that has left something.
    pub(super) fn take(&mut self) -> (Collected, Begun, Taken, Option<Hlc>) {
        let effects = mem::take(&mut self.effects);
        (effects, mem::take(&mut self.begun), self.version, self.left_at.take())
    }

    /// The same for one row, which stays.
    pub(super) fn on(&self, table: &Table, pk: &str) -> Result<(Vec<Effect>, Begun, Taken), Error> {
        Ok((self.effects.on(table, pk)?, self.begun.only(table, pk), self.version))
    }

    /// Notes the rows that were written, by table and key, and under which version something was written to their shadows.
    pub(super) fn is_recorded(&mut self, rows: BTreeMap<String, BTreeSet<String>>, version: Option<Taken>) {
        self.version = version.unwrap_or(self.version);
        for (table, mut pks) in rows {
            self.changed.entry(table).or_default().append(&mut pks);
        }
    }
}
