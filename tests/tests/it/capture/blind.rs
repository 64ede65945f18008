//! Writes of records that are not read first come to what they would come to if they were.

use grove_crdt::Replica;
use grove_crdt_tests::{
    START, Statements, assert_agrees, backend, builder, cells, create_table, database::for_all, entities::document, sql,
};
use proptest::prelude::*;
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, TransactionSession, TransactionTrait,
};
use serde_json::json;

use super::{documents, draft, field};
use crate::merge::support::push_as;

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    /// From this one on.
    InsertMany(u8),
    Title(u8, u8),
    Increment(u8, i8),
    Delete(u8),
    TitleOfAll(u8),
    IncrementAll(i8),
    DeleteAll,
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 0..3_u8;
    prop_oneof![
        3 => id().prop_map(Step::Insert),
        2 => id().prop_map(Step::InsertMany),
        4 => (id(), 0..4_u8).prop_map(|(id, n)| Step::Title(id, n)),
        4 => (id(), -3..4_i8).prop_map(|(id, by)| Step::Increment(id, by)),
        1 => id().prop_map(Step::Delete),
        2 => (0..4_u8).prop_map(Step::TitleOfAll),
        2 => (-3..4_i8).prop_map(Step::IncrementAll),
        1 => Just(Step::DeleteAll),
    ]
}

fn row(id: u8) -> document::ActiveModel {
    document::ActiveModel {
        title: Set(format!("title {id}")),
        view_count: Set(i64::from(id) - 1),
        ..draft(&id.to_string())
    }
}

async fn retitle<C: ConnectionTrait + TransactionTrait>(conn: &C, id: &str, title: &str) -> Result<(), DbErr> {
    let change = document::ActiveModel {
        id: Unchanged(id.to_owned()),
        title: Set(title.to_owned()),
        ..Default::default()
    };
    change.update(conn).await.map(drop)
}

/// One step on the documents whose keys are digits. One that finds no row, or another in its way, does nothing.
async fn take<C: ConnectionTrait + TransactionTrait>(conn: &C, step: &Step) -> Result<(), DbErr> {
    let all = "WHERE id < 'a'";
    match step {
        Step::Insert(id) => row(*id).insert(conn).await.map(drop),
        Step::InsertMany(first) => {
            let insert = document::Entity::insert_many((*first..3).map(row));
            insert.exec_without_returning(conn).await.map(drop)
        }
        Step::Title(id, n) => retitle(conn, &id.to_string(), &format!("title {n}")).await,
        Step::Increment(id, by) => {
            document::ActiveModel::increment_view_count(conn, id.to_string(), i64::from(*by)).await
        }
        Step::Delete(id) => {
            let row = document::ActiveModel {
                id: Unchanged(id.to_string()),
                ..Default::default()
            };
            let deleted = row.delete(conn).await?.rows_affected;
            assert!(deleted < 2, "{deleted}");
            Ok(())
        }
        Step::TitleOfAll(n) => {
            let text = format!("UPDATE documents SET title = ? {all}");
            conn.execute_raw(sql(&text, [format!("title {n}").into()]))
                .await
                .map(drop)
        }
        Step::IncrementAll(by) => {
            let text = format!("UPDATE documents SET view_count = view_count + ({by}) {all}");
            conn.execute_raw(sql(&text, [])).await.map(drop)
        }
        Step::DeleteAll => {
            let text = format!("DELETE FROM documents {all}");
            conn.execute_raw(sql(&text, [])).await.map(drop)
        }
    }
}

/// The same, and in the same transaction a write of another document that is never made blindly.
async fn take_in_company(replica: &Replica, step: &Step) -> Result<(), DbErr> {
    let tx = replica.begin().await.unwrap();
    let inner = tx.begin().await.unwrap();
    let taken = take(&inner, step).await;
    match taken {
        Ok(()) => inner.commit().await.unwrap(),
        Err(_) => inner.rollback().await.unwrap(),
    }
    let text = "UPDATE documents SET title = concat('company of ', view_count), view_count = view_count + 1 WHERE id = 'company'";
    tx.execute_raw(sql(text, [])).await.unwrap();
    tx.commit().await.unwrap();
    taken
}

/// The cells of the documents whose keys are digits, but for their clock values.
async fn states(replica: &Replica) -> Vec<String> {
    let text =
        "SELECT concat(pk, '|', field, '|', cell, '|', epoch, '|', state) FROM \"_documents_crdt\" WHERE pk < 'a'";
    let rows = replica.query_all_raw(sql(text, [])).await.unwrap();
    let mut states: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    states.sort();
    states
}

async fn compared(steps: Vec<Step>) {
    let (blind, reading) = (documents().await, documents().await);
    draft("company").insert(&reading).await.unwrap();
    for step in &steps {
        let (alone, in_company) = (take(&blind, step).await, take_in_company(&reading, step).await);
        assert_eq!(alone.is_ok(), in_company.is_ok(), "{step:?}: {alone:?}, {in_company:?}");
        assert_eq!(states(&blind).await, states(&reading).await, "{step:?} of {steps:?}");
    }
    assert_agrees::<document::Entity, _>(&blind).await;
}

#[apply(on_each_database!)]
fn a_blind_write_is_what_a_write_after_reading_would_be(kind: Kind) {
    for_all(kind, &prop::collection::vec(step(), 1..16), 128, compared);
}

/// A row that is written through a connection of its own, as another process would.
async fn behind_its_back(replica: &Replica, text: &str) {
    replica.connection().execute_raw(sql(text, [])).await.unwrap();
}

/// Another process may have written with a clock that is ahead of this one's.
#[apply(on_each_database!)]
async fn a_blind_write_is_stamped_above_all_that_the_record_has() {
    let ahead = START + 10_000_000;
    for place in ["", "title", "view_count"] {
        let of_place = format!("UPDATE \"_documents_crdt\" SET hlc_ts = {ahead} WHERE field = '{place}'");
        let replica = documents().await;
        draft("a").insert(&replica).await.unwrap();
        retitle(&replica, "a", "first").await.unwrap();
        document::ActiveModel::increment_view_count(&replica, "a", 1)
            .await
            .unwrap();
        behind_its_back(&replica, &of_place).await;
        retitle(&replica, "a", "second").await.unwrap();
        assert_eq!(field(&replica, "a", "title").await, json!("second"), "{place}");
        let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
        assert!(shown.contains(&format!("ts:{ahead} c:")), "{place}: {shown}");
    }
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    behind_its_back(&replica, &format!("UPDATE \"_documents_crdt\" SET hlc_ts = {ahead}")).await;
    document::Entity::delete_by_id("a").exec(&replica).await.unwrap();
    let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
    assert!(shown.contains(&format!("ts:{ahead} c:")), "{shown}");
}

/// A cell can come before the head of the life that it belongs to. What is written in this life must not take its place.
#[apply(on_each_database!)]
async fn a_cell_that_waits_for_its_head_is_left_alone() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let hlc = |ts: i64| json!({"ts": START + ts, "c": 0, "node": "far"});
    let of_next = |field: &str, more: serde_json::Value| {
        let mut change = json!({"table": "documents", "pk": "a", "field": field, "epoch": 3, "node_id": "far"});
        change
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        change
    };
    let title = of_next("title", json!({"crdt_type": "lww", "hlc": hlc(2), "value": "next"}));
    let answer = push_as("far", "far-away", &replica, &[title]).await;
    assert_eq!(answer.rejected, []);
    retitle(&replica, "a", "mine").await.unwrap();
    let born = json!({"lww": {"title": "born"}, "counter": {"view_count": 0}, "set": {"tags": []}});
    let head = of_next("", json!({"crdt_type": "record", "hlc": hlc(1), "value": born}));
    let answer = push_as("far", "far-away", &replica, &[head]).await;
    assert_eq!(answer.rejected, []);
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "title").await, json!("next"));
    // So it is with the end of a life that has cells of its own, and a cell of the next beside them.
    let row = draft("b").insert(&replica).await.unwrap();
    retitle(&replica, "b", "mine").await.unwrap();
    let of_b = |mut change: serde_json::Value| {
        change["pk"] = json!("b");
        change
    };
    let title = of_next("title", json!({"crdt_type": "lww", "hlc": hlc(2), "value": "next"}));
    let answer = push_as("far", "far-away", &replica, &[of_b(title)]).await;
    assert_eq!(answer.rejected, []);
    row.into_active_model().delete(&replica).await.unwrap();
    let head = of_next("", json!({"crdt_type": "record", "hlc": hlc(1), "value": born}));
    let answer = push_as("far", "far-away", &replica, &[of_b(head)]).await;
    assert_eq!(answer.rejected, []);
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "b", "title").await, json!("next"));
}

/// Beyond what a JSON number holds exactly, totals are texts.
#[apply(on_each_database!)]
async fn counters_move_exactly_however_large_they_are() {
    let replica = documents().await;
    let sizes = [
        999_999_999_999_999,
        1_000_000_000_000_000,
        (1 << 53) - 1,
        1 << 53,
        1 << 61,
    ];
    for (number, size) in sizes.into_iter().enumerate() {
        for (sign, name) in [(1, "up"), (-1, "down")] {
            let id = format!("{name}-{number}");
            let mut row = draft(&id);
            row.view_count = Set(sign * size);
            row.insert(&replica).await.unwrap();
            // Small and large steps, the last one on large totals.
            for by in [sign, -sign * size, sign * (size - 10), sign * 3] {
                document::ActiveModel::increment_view_count(&replica, id.as_str(), by)
                    .await
                    .unwrap();
            }
            let value = sign * (size - 6);
            assert_eq!(field(&replica, &id, "view_count").await, exact(value), "{id}");
            let row = document::Entity::find_by_id(&id).one(&replica).await.unwrap();
            assert_eq!(row.unwrap().view_count, value, "{id}");
            let (there, back) = (exact(2 * size - 6), exact(size));
            let totals = if sign > 0 {
                json!({"dec": back, "inc": there})
            } else {
                json!({"dec": there, "inc": back})
            };
            let cell = format!("{id} view_count ");
            let cells = cells(&replica, "documents").await;
            let cell = cells.iter().find(|text| text.starts_with(&cell)).unwrap();
            assert!(cell.ends_with(&totals.to_string()), "{cell}: not {totals}");
        }
    }
}

fn exact(number: i64) -> serde_json::Value {
    if number.abs() > 1 << 53 {
        json!(number.to_string())
    } else {
        json!(number)
    }
}

mod gauge {
    use grove_crdt::Crdt;
    use sea_orm::{ActiveValue::Set, entity::prelude::*};

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "gauges")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub level: i64,
        #[crdt(lww)]
        pub note: Option<String>,
        #[crdt(counter)]
        pub uses: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    pub fn row(id: i32) -> ActiveModel {
        ActiveModel {
            id: Set(id),
            level: Set(125),
            note: Set(None),
            uses: Set(3),
        }
    }
}

/// What a field was born with is looked for in the text of the whole birth, where it can be found by chance.
#[apply(on_each_database!)]
async fn a_value_that_seems_to_be_there_already_is_written() {
    let replica = grove_crdt_tests::replica_of::<gauge::Entity>("node-1").await;
    let row = gauge::row(1).insert(&replica).await.unwrap();
    for level in [12, 1, 125] {
        let mut change = row.clone().into_active_model();
        change.level = Set(level);
        change.update(&replica).await.unwrap();
        assert_agrees::<gauge::Entity, _>(&replica).await;
        let state = replica.inspect::<gauge::Entity>(1).await.unwrap();
        assert_eq!(state.fields[0].value, json!(level));
    }
    // Both columns at once, one of them to what it is.
    let mut change = row.clone().into_active_model();
    (change.level, change.note) = (Set(125), Set(Some("x".into())));
    change.update(&replica).await.unwrap();
    assert_agrees::<gauge::Entity, _>(&replica).await;
    let cells = cells(&replica, "gauges").await;
    assert_eq!(cells.len(), 3, "{cells:?}");
}

/// BEGIN and COMMIT not counted. Where statements return no rows, SeaORM reads them; and the commit order of MySQL and MariaDB
/// is a statement of its own.
#[apply(on_each_database!)]
async fn a_write_of_one_row_reads_nothing_of_the_replicas_own() {
    let (db, statements) = Statements::of_new_database().await;
    create_table(&db, gauge::Entity).await.unwrap();
    let replica = builder("node-1").0.entity::<gauge::Entity>().open(db).await.unwrap();
    // The row, and its record: SQLite takes both at once, PostgreSQL those of a birth.
    let (birth, other, read_back, order) = match backend() {
        DbBackend::MySql => (2, 2, 1, 1),
        DbBackend::Postgres => (1, 2, 0, 0),
        _ => (1, 1, 0, 0),
    };
    statements.take();
    let row = gauge::row(1).insert(&replica).await.unwrap();
    assert_eq!(statements.take().len(), birth + read_back + order);
    for level in [7, 8] {
        let mut change = row.clone().into_active_model();
        change.level = Set(level);
        change.update(&replica).await.unwrap();
        assert_eq!(statements.take().len(), other + read_back + order);
    }
    for _ in 0..2 {
        gauge::ActiveModel::increment_uses(&replica, 1, 1).await.unwrap();
        assert_eq!(statements.take().len(), other + order);
    }
    let row = gauge::row(2).insert(&replica).await.unwrap();
    statements.take();
    row.into_active_model().delete(&replica).await.unwrap();
    assert_eq!(statements.take().len(), other + order);
    assert_agrees::<gauge::Entity, _>(&replica).await;
}

/// Where a write and its record are sent together, the answer is that of the write.
#[apply(on_each_database!)]
async fn what_is_recorded_along_is_not_counted_as_written() {
    let replica = documents().await;
    let row = draft("a").insert(&replica).await.unwrap();
    let change = |title: &str| document::ActiveModel {
        id: Unchanged("a".to_owned()),
        title: Set(title.to_owned()),
        ..Default::default()
    };
    let updated = change("x").update_without_returning(&replica).await.unwrap();
    assert_eq!(updated.rows_affected, 1);
    assert_eq!(field(&replica, "a", "title").await, json!("x"));
    document::ActiveModel::increment_view_count(&replica, "a", 1)
        .await
        .unwrap();
    let deleted = row.clone().into_active_model().delete(&replica).await.unwrap();
    assert_eq!(deleted.rows_affected, 1);
    let deleted = row.clone().into_active_model().delete(&replica).await.unwrap();
    assert_eq!(deleted.rows_affected, 0);
    assert_agrees::<document::Entity, _>(&replica).await;
    let updated = change("y").update_without_returning(&replica).await;
    assert!(matches!(updated, Err(DbErr::RecordNotUpdated)), "{updated:?}");
}

/// The record lives on until somebody adopts that its row is gone.
#[apply(on_each_database!)]
async fn a_write_that_finds_no_row_records_nothing() {
    let replica = documents().await;
    let row = draft("1").insert(&replica).await.unwrap();
    retitle(&replica, "1", "old").await.unwrap();
    behind_its_back(&replica, "DELETE FROM documents").await;
    let before = states(&replica).await;
    let deleted = row.clone().into_active_model().delete(&replica).await.unwrap();
    assert_eq!(deleted.rows_affected, 0);
    retitle(&replica, "1", "x").await.unwrap_err();
    document::ActiveModel::increment_view_count(&replica, "1", 1)
        .await
        .unwrap_err();
    assert_eq!(states(&replica).await, before);
}

/// An insert that the database refuses leaves neither a row nor a record.
#[apply(on_each_database!)]
async fn a_refused_insert_records_nothing() {
    let replica = documents().await;
    draft("1").insert(&replica).await.unwrap();
    let before = states(&replica).await;
    let mut again = draft("1");
    again.title = Set("again".into());
    again.insert(&replica).await.unwrap_err();
    assert_eq!(states(&replica).await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
    draft("2").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// Of rows that are inserted together, some may have lived before.
#[apply(on_each_database!)]
async fn rows_that_are_inserted_together_begin_each_its_own_life() {
    let replica = documents().await;
    let before = row(1).insert(&replica).await.unwrap();
    before.into_active_model().delete(&replica).await.unwrap();
    let insert = document::Entity::insert_many((0..3).map(row));
    insert.exec_without_returning(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let states = states(&replica).await;
    let lives: Vec<_> = states.iter().map(|state| &state[..6]).collect();
    assert_eq!(lives, ["0|||1|", "1|||3|", "2|||1|"]);
}

/// It sees what it had to wait for, although it began before.
#[apply(on_each_database!)]
async fn an_insert_that_waits_for_a_death_begins_the_next_life() {
    let replica = documents().await;
    let row = draft("1").insert(&replica).await.unwrap();
    retitle(&replica, "1", "x").await.unwrap();
    let tx = replica.begin().await.unwrap();
    row.into_active_model().delete(&tx).await.unwrap();
    let inserting = tokio::spawn({
        let replica = replica.clone();
        async move { draft("1").insert(&replica).await }
    });
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    assert!(!inserting.is_finished());
    tx.commit().await.unwrap();
    inserting.await.unwrap().unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let states = states(&replica).await;
    assert!(states.len() == 1 && states[0].starts_with("1|||3|"), "{states:?}");
}
