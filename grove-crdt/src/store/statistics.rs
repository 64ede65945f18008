//! What PostgreSQL knows of how the keys of a shadow are spread.
//!
//! Until it has counted once, it takes one row in two hundred to have the same key: to look a page of keys up, it reads the
//! whole table. Its autovacuum counts by itself, a minute later at the earliest, when a first sync has long been through most of
//! what there is. So a shadow that grows is counted early.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use sea_orm::{ConnectionTrait, DbBackend, DbErr};

use crate::{
    entity::{Registry, Table},
    store::schema::shadow_name,
};

/// How many cells a process writes to a shadow before it has it counted, and how many times as many before the next time.
const FIRST: usize = 1_000;
const NEXT: usize = 10;

/// How many cells this process has written to shadows since they were counted.
#[derive(Debug, Default)]
pub(crate) struct Statistics(Mutex<HashMap<String, Growth>>);

#[derive(Debug)]
struct Growth {
    cells: usize,
    enough: usize,
}

impl Statistics {
    /// Takes note of cells written to a table's shadow.
    pub(crate) fn grew(&self, table: &str, cells: usize) {
        let mut growths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match growths.get_mut(table) {
            Some(growth) => growth.cells += cells,
            None => drop(growths.insert(table.to_owned(), Growth { cells, enough: FIRST })),
        }
    }

    /// The tables whose shadows have grown enough to be counted, each told once.
    pub(crate) fn take_due(&self) -> Vec<String> {
        let mut growths = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let due = growths.iter_mut().filter(|(_, growth)| growth.cells >= growth.enough);
        due.map(|(table, growth)| {
            growth.cells = 0;
            growth.enough *= NEXT;
            table.clone()
        })
        .collect()
    }
}

/// Whether the database has to be told to count.
pub(crate) fn are_late(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Has the shadows of tables counted, from a sample of their rows.
pub(crate) async fn count<C: ConnectionTrait>(conn: &C, registry: &Registry, tables: &[String]) -> Result<(), DbErr> {
    for table in tables.iter().filter_map(|table| registry.get(table)) {
        conn.execute_unprepared(&format!("ANALYZE {}", quoted_shadow(table)))
            .await?;
    }
    Ok(())
}

fn quoted_shadow(table: &Table) -> String {
    let names = table.schema.iter().cloned().chain([shadow_name(&table.name)]);
    let quoted: Vec<_> = names.map(|name| format!("\"{}\"", name.replace('"', "\"\""))).collect();
    quoted.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadow_is_counted_when_it_has_grown_and_then_ever_more_rarely() {
        let statistics = Statistics::default();
        let after = |cells| {
            statistics.grew("t", cells);
            !statistics.take_due().is_empty()
        };
        assert_eq!(
            [999, 1, 9_000, 1_000, 99_999, 1].map(after),
            [false, true, false, true, false, true]
        );
        statistics.grew("u", 5_000);
        assert_eq!(statistics.take_due(), ["u"]);
        assert!(statistics.take_due().is_empty());
    }
}
