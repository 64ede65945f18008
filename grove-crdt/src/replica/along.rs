//! Writing a row and its record by one round trip: where a transaction is begun for that row alone, and what is to be recorded is
//! known before.

use std::{collections::BTreeMap, sync::Arc};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbErr, Statement, Value};

use crate::{
    clock::Hlc,
    entity::{Row, Table},
    error::Error,
    replica::{
        announce::Announced,
        begun::Begun,
        call::{Answer, Call},
        effect::Pending,
        session::Session,
        steps,
    },
    store::{
        shadow::{self, Along, Blind, Written},
        version::Taken,
    },
};

/// A write of a row, and of its record along with it.
pub(super) struct AlongWith {
    both: Along,
    call: Call,
    table: Arc<Table>,
    key: Vec<Value>,
    /// The row, if it is a new one.
    born: Option<Row>,
    at: Hlc,
    taken: Taken,
}

/// Puts an announced statement and its record together, if they can be.
pub(super) async fn of(
    session: &Session,
    tx: &DatabaseTransaction,
    call: Call,
    announced: &Announced,
    statement: &Statement,
) -> Result<Option<AlongWith>, Error> {
    let core = &session.core;
    if !session.goes_along() || core.may_have_parked() {
        return Ok(None);
    }
    let Some(effect) = announced.foreseen() else {
        return Ok(None);
    };
    let (table, key, pk) = (effect.table.clone(), effect.key.clone(), effect.pk.clone());
    let mut pending = Pending::default();
    pending.add(effect, true);
    let rows = BTreeMap::from([(pk, pending)]);
    let (backend, returning) = (tx.get_database_backend(), !matches!(call, Call::Execute));
    let steps = steps::of(&table, &rows)?;
    let Some(steps) = steps.filter(|steps| shadow::can_go_along(backend, steps, returning)) else {
        return Ok(None);
    };
    core.may_write()?;
    let taken = core.numbering.take(tx, Taken::Not).await?;
    let at = core.clock.tick(None);
    let blind = Blind::new(tx, &core.texts, &core.registry, &table, &at, taken);
    let both = blind.along(steps, statement, returning)?;
    let pending = rows.into_values().next();
    Ok(Some(AlongWith {
        both,
        call,
        table,
        key,
        born: pending.filter(|pending| pending.born).and_then(|pending| pending.row),
        at,
        taken,
    }))
}

impl AlongWith {
    /// Runs it, and returns which cells of the record are written. What else was done to the row has yet to be.
    pub(super) async fn run(mut self, session: &Session, tx: &DatabaseTransaction) -> Result<(Answer, Written), DbErr> {
        let cells = self.both.cells;
        let (answer, written) = if matches!(self.call, Call::Execute) {
            let (result, written) = self.both.execute(tx).await?;
            (Answer::Executed(result), written)
        } else {
            let (rows, written) = self.both.query(tx).await?;
            (Answer::All(rows), written)
        };
        if written != Written::None {
            self.taken.is_written();
        }
        session.recorded(&self.table, self.at, cells, &written, self.taken);
        if written == Written::All {
            let mut log = session.log();
            log.overtake_announced(&self.table, &self.key);
            log.begun = Begun::new(self.table, self.born.into_iter().collect());
        }
        Ok((answer, written))
    }
}
