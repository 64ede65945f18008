//! What must be true of replicas that have seen the same.

use std::fmt::Write as _;

use grove_crdt::{Replica, prelude::*};
use grove_crdt_tests::cells;
use sea_orm::ConnectionTrait;

use super::{
    program::{Log, parked, sync},
    schema::Schema,
    tables::{COLUMNS, Row, Val, rows_of},
};

fn shown(row: &Row) -> String {
    let values = COLUMNS
        .iter()
        .zip(row)
        .map(|(column, value)| format!("{column}={}", value.literal()));
    values.collect::<Vec<_>>().join(" ")
}

/// The rows of one that the other does not have, table by table.
pub async fn differences<C: ConnectionTrait>(one: &C, other: &C, schema: &Schema) -> Vec<String> {
    let mut differences = Vec::new();
    for table in schema.numbers() {
        let (left, right) = (
            rows_of(one, table).await.expect("rows"),
            rows_of(other, table).await.expect("rows"),
        );
        let lacking = |of: &[Row], from: &[Row], sign: char| {
            let lacking = of.iter().filter(|row| !from.contains(row));
            let lines = lacking.map(|row| format!("    {sign} t{} {}", table + 1, shown(row)));
            lines.collect::<Vec<_>>()
        };
        differences.extend(lacking(&left, &right, '+'));
        differences.extend(lacking(&right, &left, '-'));
    }
    differences
}

/// Whether what the writer committed is what the receiver shows, with nothing left to do.
pub async fn settled(writer: &Replica, receiver: &Replica, schema: &Schema, log: &Log) -> Result<(), String> {
    let mut wrong = String::new();
    let mut say = |what: &str, detail: &str| writeln!(wrong, "{what}\n{detail}").expect("a text takes everything");
    let rows = differences(writer, receiver, schema).await;
    if !rows.is_empty() {
        let stray = stray_rows(writer, schema).await;
        if !stray.is_empty() {
            say("the writer's own rows are not what its records say:", &stray.join("\n"));
        }
        say("only the writer (+), only the receiver (-) has:", &rows.join("\n"));
    }
    let waiting = parked(receiver).await;
    if !waiting.is_empty() {
        say("parked:", &waiting);
    }
    let letters = receiver.dead_letters().await.expect("dead letters");
    if !letters.is_empty() {
        say("dead letters:", &format!("{letters:?}"));
    }
    for table in schema.numbers() {
        let name = format!("t{}", table + 1);
        if cells(writer, &name).await != cells(receiver, &name).await {
            say("cells differ:", &name);
        }
    }
    if wrong.is_empty() {
        nothing_left(writer, receiver, schema, log).await?;
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

async fn nothing_left(writer: &Replica, receiver: &Replica, schema: &Schema, log: &Log) -> Result<(), String> {
    let released = receiver.release_parked().await.expect("a release");
    // Whoever has only been asked so far asks for all of it once.
    sync(receiver, writer, 1_000, log).await?;
    let again = sync(receiver, writer, 1_000, log).await?;
    if released > 0 || again != SyncReport::default() {
        return Err(format!("another release frees {released}, another sync says {again}"));
    }
    let rows = differences(writer, receiver, schema).await;
    if rows.is_empty() {
        return Ok(());
    }
    Err(format!("after another sync, rows differ:\n{}", rows.join("\n")))
}

/// The rows that are not as their records say, and living records without a row.
pub async fn stray_rows(replica: &Replica, schema: &Schema) -> Vec<String> {
    let mut stray = Vec::new();
    for table in schema.numbers() {
        let rows = rows_of(replica, table).await.expect("rows");
        let records = super::records::records_of(replica, table).await;
        for row in &rows {
            if records.get(&row[0]).is_none_or(|record| record.as_ref() != Some(row)) {
                let record = records.get(&row[0]).and_then(Option::as_ref).map(shown);
                stray.push(format!(
                    "    t{} {}, but by its record {record:?}",
                    table + 1,
                    shown(row)
                ));
            }
        }
        for (key, record) in &records {
            let is_there = |key: &Val| rows.iter().any(|row| row[0] == *key);
            if let Some(record) = record
                && !is_there(key)
            {
                stray.push(format!("    t{} lacks {}", table + 1, shown(record)));
            }
        }
    }
    stray
}
