//! What the records of a replica say that its rows should be.

use std::collections::BTreeMap;

use grove_crdt::{RecordState, Replica};
use grove_crdt_tests::sql;
use sea_orm::ConnectionTrait as _;

use super::tables::{COLUMNS, ID, Kind, Row, Val, kind};

/// By key, the row that each record stands for; none of one that is dead.
pub async fn records_of(replica: &Replica, table: usize) -> BTreeMap<Val, Option<Row>> {
    let text = format!("SELECT pk FROM \"_t{}_crdt\" WHERE field = ''", table + 1);
    let found = replica.query_all_raw(sql(&text, [])).await.expect("the records");
    let mut records = BTreeMap::new();
    for row in found {
        let pk: String = row.try_get_by_index(0).expect("a key");
        let (key, inspection) = if kind(table, ID) == Kind::Text {
            (Val::text(&pk), inspect_text(replica, table, &pk).await)
        } else {
            let number: i64 = pk.parse().expect("a number");
            let inspection = replica.inspect::<super::tables::t2::Entity>(number).await;
            (Val::Int(number), inspection.expect("a record"))
        };
        let alive = (inspection.state == RecordState::Alive).then(|| {
            let mut row = [const { Val::Null }; 8];
            for field in &inspection.fields {
                let place = COLUMNS.iter().position(|column| *column == field.field);
                let place = place.expect("a column");
                row[place] = Val::of_json(&field.value, kind(table, place));
            }
            row[ID] = key.clone();
            row
        });
        records.insert(key, alive);
    }
    records
}

async fn inspect_text(replica: &Replica, table: usize, pk: &str) -> grove_crdt::Inspection {
    let inspection = match table {
        0 => replica.inspect::<super::tables::t1::Entity>(pk).await,
        2 => replica.inspect::<super::tables::t3::Entity>(pk).await,
        _ => replica.inspect::<super::tables::t4::Entity>(pk).await,
    };
    inspection.expect("a record")
}
