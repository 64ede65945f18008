//! Whether two databases hold the same, row by row.

use grove_crdt::prelude::*;
use grove_crdt_tests::{
    backend, cells,
    chinook::{self, Data, *},
    chinook_tables, sql,
};
use sea_orm::{ConnectionTrait, DbBackend, EntityName as _, IdenStatic as _, Iterable as _};

/// Every row of every table is as it should be. Names the first that is not, since all would fill a book.
#[track_caller]
pub(super) fn same_data(found: &Data, expected: &Data) {
    macro_rules! compare {
        ($module:ident, $rows:ident) => {
            let name = stringify!($rows);
            for (found, expected) in found.$rows.iter().zip(&expected.$rows) {
                assert_eq!(found, expected, "among {name}");
            }
            assert_eq!(found.$rows.len(), expected.$rows.len(), "number of {name}");
        };
    }
    chinook_tables!(compare);
}

/// Both hold the same rows, not only as entities but in the very form in which the database stores them, and the same cells.
pub(super) async fn same_rows(one: &Replica, other: &Replica) {
    let (found, expected) = (
        Data::read(one).await.expect("rows"),
        Data::read(other).await.expect("rows"),
    );
    same_data(&found, &expected);
    macro_rules! compare {
        ($module:ident, $rows:ident) => {
            let columns: Vec<_> = $module::Column::iter()
                .map(|column| column.as_str().to_owned())
                .collect();
            let table = $module::Entity.table_name();
            let (found, expected) = (
                stored(one, table, &columns).await,
                stored(other, table, &columns).await,
            );
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "as stored in {table}");
            }
            let (found, expected) = (cells(one, table).await, cells(other, table).await);
            for (found, expected) in found.iter().zip(&expected) {
                assert_eq!(found, expected, "cells of {table}");
            }
            assert_eq!(found.len(), expected.len(), "number of cells of {table}");
        };
    }
    chinook_tables!(compare);
}

/// A table's rows as literals of its database. From SQLite's, storage classes can be told: `1`, `1.0` and `'1'` are three
/// things.
async fn stored(replica: &Replica, table: &str, columns: &[String]) -> Vec<String> {
    let quote = if backend() == DbBackend::Postgres {
        "quote_nullable"
    } else {
        "quote"
    };
    let literals: Vec<_> = columns.iter().map(|column| format!("{quote}(\"{column}\")")).collect();
    let text = format!("SELECT concat({}) FROM \"{table}\"", literals.join(", ', ', "));
    let rows = replica.query_all_raw(sql(&text, [])).await.expect("the rows");
    let mut rows: Vec<_> = rows
        .iter()
        .map(|row| row.try_get_by_index::<String>(0).expect("a text"))
        .collect();
    rows.sort();
    rows
}

/// Each row agrees with its cells, and each living record has its row: there is nothing to adopt.
pub(super) async fn rows_and_cells_agree(replica: &Replica) {
    for (table, report) in chinook::adopt(replica).await.expect("an adoption") {
        let differing = (report.adopted, report.changed, report.deleted);
        assert_eq!(
            differing,
            (0, 0, 0),
            "rows and cells of {table} at {}: {report}",
            replica.node_id()
        );
    }
}

/// What waits, as table and key.
pub(super) async fn parked(replica: &Replica) -> Vec<(String, String)> {
    let parked = replica.parked().await.expect("what is parked").into_iter();
    parked.map(|row| (row.table, row.pk)).collect()
}

/// Both hold the same and have nothing left to do.
pub(super) async fn settled(one: &Replica, other: &Replica) {
    for replica in [one, other] {
        assert_eq!(parked(replica).await, [], "parked at {}", replica.node_id());
        assert_eq!(
            replica.dead_letters().await.expect("dead letters"),
            [],
            "at {}",
            replica.node_id()
        );
        rows_and_cells_agree(replica).await;
    }
    same_rows(one, other).await;
}
