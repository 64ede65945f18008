//! The effects that a transaction has collected, in their order.
//!
//! None is written before the transaction is committed: what is recorded of a row is what all of them come to together.

use std::{iter::Peekable, mem, sync::Arc, vec};

use crate::{
    entity::{Table, key},
    error::Error,
    replica::effect::{Effect, What},
};

/// So many are kept as they are, and written together. Of more, what can be read again when they are written is not kept.
const MANY: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Collected {
    older: Vec<Older>,
    newer: Vec<Effect>,
}

/// An effect without the row as it was after it.
#[derive(Clone, Debug)]
enum Older {
    /// What a large transaction mostly does.
    Born {
        table: Arc<Table>,
        pk: Box<str>,
    },
    Other(Box<Effect>),
}

impl Collected {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.older.len() + self.newer.len()
    }

    /// Adds what a statement did.
    pub(crate) fn extend(&mut self, effects: impl IntoIterator<Item = Effect>) {
        if self.newer.len() >= MANY {
            self.older.extend(self.newer.drain(..).map(Older::of));
        }
        self.newer.extend(effects);
    }

    /// Takes back all but the first ones.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.newer.truncate(len.saturating_sub(self.older.len()));
        self.older.truncate(len);
    }

    /// Those on one row.
    pub(crate) fn on(&self, table: &Table, pk: &str) -> Result<Vec<Effect>, Error> {
        let older = self.older.iter().filter(|older| older.place() == (&table.name, pk));
        let newer = self.newer.iter().filter(|effect| place(effect) == (&table.name, pk));
        let older = older.cloned().map(Older::effect);
        older.chain(newer.cloned().map(Ok)).collect()
    }

    /// All of them, in portions that are to be written one after the other. Those on a row are in one of them.
    pub(crate) fn into_portions(mut self) -> Portions {
        if !self.older.is_empty() {
            let newer = self.newer.drain(..).map(|effect| Older::Other(Box::new(effect)));
            self.older.extend(newer);
            self.older.sort_by(|one, other| one.place().cmp(&other.place()));
        }
        Portions {
            older: self.older.into_iter().peekable(),
            newer: self.newer,
        }
    }
}

fn place(effect: &Effect) -> (&String, &str) {
    (&effect.table.name, effect.pk.as_str())
}

impl Older {
    fn of(mut effect: Effect) -> Self {
        match &mut effect.what {
            What::Born(row) => {
                *row = None;
                if key::parse(&effect.table, &effect.pk).is_ok_and(|key| key == effect.key) {
                    return Self::Born {
                        table: effect.table,
                        pk: effect.pk.into(),
                    };
                }
            }
            What::Changed(changed) => changed.after = None,
            What::Died => {}
        }
        Self::Other(Box::new(effect))
    }

    fn place(&self) -> (&String, &str) {
        match self {
            Self::Born { table, pk } => (&table.name, pk.as_ref()),
            Self::Other(effect) => place(effect),
        }
    }

    fn effect(self) -> Result<Effect, Error> {
        Ok(match self {
            Self::Born { table, pk } => Effect {
                key: key::parse(&table, &pk)?,
                table,
                pk: pk.into(),
                what: What::Born(None),
            },
            Self::Other(effect) => *effect,
        })
    }
}

/// Portions of effects.
pub(crate) struct Portions {
    older: Peekable<vec::IntoIter<Older>>,
    newer: Vec<Effect>,
}

impl Iterator for Portions {
    type Item = Result<Vec<Effect>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if !self.newer.is_empty() {
            return Some(Ok(mem::take(&mut self.newer)));
        }
        let mut portion: Vec<Effect> = Vec::new();
        let fits = |portion: &[Effect], next: &Older| {
            let of_last_row = portion.last().is_none_or(|last| place(last) == next.place());
            of_last_row || portion.len() < MANY
        };
        while let Some(next) = self.older.next_if(|next| fits(&portion, next)) {
            match next.effect() {
                Ok(effect) => portion.push(effect),
                Err(error) => return Some(Err(error)),
            }
        }
        (!portion.is_empty()).then_some(Ok(portion))
    }
}
