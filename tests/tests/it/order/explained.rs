//! Whether every parked row has to wait, for the reason that is given.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use grove_crdt::{ParkedReason, ParkedRow, Replica};
use sea_orm::{ConnectionTrait as _, DbBackend, DbErr, TransactionTrait as _};

use super::{
    records::records_of,
    rules::{Breach, Place, Rows, breaches, could_be_written, involved, with},
    schema::Schema,
    statement::{Change, Way},
    tables::{CODE, ID, Kind, Row, TITLE, Val, kind, rows_of},
};

type Targets = BTreeMap<Place, Option<Row>>;

/// The rows of a replica, and what its records say they should be.
async fn state(replica: &Replica, schema: &Schema) -> (Rows, Targets) {
    let (mut rows, mut targets) = (Rows::new(), Targets::new());
    for table in schema.numbers() {
        let found = rows_of(replica, table).await.expect("rows");
        rows.extend(found.into_iter().map(|row| ((table, row[ID].clone()), row)));
        let records = records_of(replica, table).await;
        targets.extend(records.into_iter().map(|(key, row)| ((table, key), row)));
    }
    (rows, targets)
}

fn place(row: &ParkedRow) -> Place {
    let number = row
        .table
        .trim_start_matches('t')
        .parse::<usize>()
        .expect("a table's number")
        - 1;
    let key = match kind(number, ID) {
        Kind::Text => Val::text(&row.pk),
        _ => Val::Int(row.pk.parse().expect("a number")),
    };
    (number, key)
}

/// All rows but those that are parked are as they should be, and each of those has to wait for the reason given.
pub async fn explained(replica: &Replica, schema: &Schema) -> Result<(), String> {
    let (rows, targets) = state(replica, schema).await;
    let parked = replica.parked().await.expect("what is parked");
    let waiting: BTreeSet<_> = parked.iter().map(place).collect();
    let mut wrong = String::new();
    let mut say = |what: String| writeln!(wrong, "{what}").expect("a text takes everything");
    let places: BTreeSet<_> = rows.keys().chain(targets.keys()).collect();
    for place in places {
        let (shown, target) = (rows.get(place), targets.get(place).and_then(Option::as_ref));
        if shown != target && !waiting.contains(place) {
            say(format!(
                "t{} {:?} is {shown:?}, not {target:?}, and not parked",
                place.0 + 1,
                place.1
            ));
        }
    }
    for row in &parked {
        let place = place(row);
        if let Err(why) = has_to_wait(replica, schema, (&rows, &targets), &place, row).await {
            say(format!("{row:?}: {why}"));
        }
    }
    let together = could_be_written(schema, &rows, &targets, &waiting);
    if !together.is_empty() {
        say(format!(
            "these are parked, but could all be as they should: {together:?}"
        ));
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!("at {}:\n{wrong}", replica.node_id()))
}

async fn has_to_wait(
    replica: &Replica,
    schema: &Schema,
    (rows, targets): (&Rows, &Targets),
    place: &Place,
    row: &ParkedRow,
) -> Result<(), String> {
    let target = targets.get(place).and_then(Option::as_ref);
    if rows.get(place) == target {
        return Err("it is as it should be".to_owned());
    }
    let (table, key) = (place.0, &place.1);
    let at = (ID, key.clone());
    let way = Way::Raw;
    let change = match (rows.contains_key(place), target) {
        (_, None) => Change::Delete { table, at, way },
        (false, Some(row)) => Change::Insert {
            table,
            rows: vec![row.clone()],
            way,
        },
        (true, Some(row)) => Change::Update {
            table,
            at,
            set: (CODE..=TITLE).map(|column| (column, row[column].clone())).collect(),
            way,
        },
    };
    if try_in_vain(replica, &change).await.is_ok() {
        return Err(format!("{change} would do"));
    }
    let alone = BTreeSet::from([place.clone()]);
    let breaches = breaches(schema, &with(rows, targets, &alone));
    let mine = breaches.iter().filter(|breach| involved(breach, rows).contains(place));
    let mine: Vec<_> = mine.collect();
    let is_so = mine.iter().any(|breach| {
        matches!(
            (breach, row.reason),
            (Breach::Null(..), ParkedReason::NotNull)
                | (Breach::Check(..), ParkedReason::Check)
                | (Breach::Unique(..), ParkedReason::Unique)
                | (Breach::Orphan(..), ParkedReason::ForeignKey)
        )
    });
    if is_so {
        return Ok(());
    }
    Err(format!("the reason is not true: {mine:?}"))
}

/// Carries out a change, to the point where the transaction could be committed, and takes it back.
async fn try_in_vain(replica: &Replica, change: &Change) -> Result<(), DbErr> {
    let tx = replica.connection().begin().await?;
    let mut done = tx.execute_unprepared(&change.to_string()).await.map(drop);
    if done.is_ok() && tx.get_database_backend() == DbBackend::Postgres {
        done = tx.execute_unprepared("SET CONSTRAINTS ALL IMMEDIATE").await.map(drop);
    }
    if done.is_ok() && tx.get_database_backend() == DbBackend::Sqlite {
        // There is no other way to have it check. Where it finds nothing, the run has failed anyway.
        return tx.commit().await;
    }
    tx.rollback().await?;
    done
}
