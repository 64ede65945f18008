//! Why parked rows are tried again, and that they are, whatever happens to the one who was to do it.
//!
//! The commit that removes an obstacle and the attempt that follows are two transactions. Between them a request may be given
//! up, since its client is gone, or a process be killed. What is sent again then changes nothing, and would be no occasion.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Arc, PoisonError},
};

use crate::{
    error::Error,
    replica::{Core, parking},
};

/// Why parked rows are tried again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Occasion {
    /// Rows of these tables changed.
    pub tables: BTreeSet<String>,
    /// The application wrote these rows, by table and key. A merge writes parked rows as a whole, and names none.
    pub rows: BTreeSet<(String, String)>,
    /// Tables changed that are not replicated.
    pub others: bool,
    /// Somebody asked.
    pub asked: bool,
}

impl Occasion {
    fn is_none(&self) -> bool {
        *self == Self::default()
    }

    fn add(&mut self, mut more: Self) {
        self.tables.append(&mut more.tables);
        self.rows.append(&mut more.rows);
        self.others |= more.others;
        self.asked |= more.asked;
    }
}

/// An occasion to be used once its transaction is committed. Dropped before it was, it is left to the next one.
#[derive(Debug)]
pub(super) struct Due {
    core: Arc<Core>,
    occasion: Occasion,
}

impl Due {
    pub(super) fn new(core: &Arc<Core>, occasion: Occasion) -> Self {
        Self {
            core: core.clone(),
            occasion,
        }
    }

    /// What others have left.
    pub(super) fn left(core: &Arc<Core>) -> Self {
        let mut due = Self::new(core, Occasion::default());
        due.take_over();
        due
    }

    fn take_over(&mut self) {
        let mut left = self.core.untried.lock().unwrap_or_else(PoisonError::into_inner);
        self.occasion.add(mem::take(&mut *left));
    }

    /// Tries the parked rows, if there may be any. Returns how many are parked no longer.
    pub(super) async fn release(mut self) -> Result<usize, Error> {
        if !self.core.may_have_parked() {
            self.occasion = Occasion::default();
            return Ok(0);
        }
        self.take_over();
        let mut released = 0;
        while !self.occasion.is_none() {
            let freed = parking::release(&self.core, &self.occasion).await?;
            released += freed.len();
            // What was freed may be what others wait for.
            self.occasion = Occasion {
                asked: self.occasion.asked && !freed.is_empty(),
                tables: freed.into_iter().map(|row| row.table).collect(),
                ..Occasion::default()
            };
        }
        Ok(released)
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        if !self.occasion.is_none() {
            let mut left = self.core.untried.lock().unwrap_or_else(PoisonError::into_inner);
            left.add(mem::take(&mut self.occasion));
        }
    }
}
