//! Random programs: after each step, every row is what its record says.

use grove_crdt::{OrSet, Replica, ReplicaTransaction};
use grove_crdt_tests::{Inspect, assert_agrees, backend, database::for_all, entities::document};
use proptest::prelude::*;
use sea_orm::{
    ActiveValue::{Set, Unchanged},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, ExprTrait as _, IntoActiveModel, QueryFilter,
    TransactionSession, TransactionTrait,
    sea_query::{Expr, OnConflict},
};

use super::documents;

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, i8),
    InsertMany(u8, u8),
    Upsert(u8, i8),
    Title(u8, u8),
    Views(u8, i8),
    Increment(u8, i8),
    Tags(u8, u8, u8),
    StaleTags(u8, u8, u8),
    UpdateMany(u8, i8),
    Raw(u8, u8),
    Move(u8, u8),
    Delete(u8),
    DeleteById(u8),
    DeleteMany(u8),
    Savepoint(Vec<Step>, bool),
    Read,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..6_u8;
    let leaf = prop_oneof![
        4 => (id.clone(), any::<i8>()).prop_map(|(id, n)| Step::Insert(id, n)),
        1 => (id.clone(), 0..4_u8).prop_map(|(id, n)| Step::InsertMany(id, n)),
        2 => (id.clone(), any::<i8>()).prop_map(|(id, n)| Step::Upsert(id, n)),
        2 => (id.clone(), 0..3_u8).prop_map(|(id, n)| Step::Title(id, n)),
        1 => (id.clone(), any::<i8>()).prop_map(|(id, n)| Step::Views(id, n)),
        3 => (id.clone(), -2..3_i8).prop_map(|(id, n)| Step::Increment(id, n)),
        2 => (id.clone(), 0..4_u8, 0..4_u8).prop_map(|(id, a, b)| Step::Tags(id, a, b)),
        2 => (id.clone(), 0..4_u8, 0..4_u8).prop_map(|(id, a, b)| Step::StaleTags(id, a, b)),
        2 => (id.clone(), any::<i8>()).prop_map(|(id, n)| Step::UpdateMany(id, n)),
        3 => (id.clone(), 0..7_u8).prop_map(|(id, n)| Step::Raw(id, n)),
        1 => (id.clone(), id.clone()).prop_map(|(a, b)| Step::Move(a, b)),
        1 => id.clone().prop_map(Step::Delete),
        1 => id.clone().prop_map(Step::DeleteById),
        1 => id.prop_map(Step::DeleteMany),
        1 => Just(Step::Read),
    ];
    leaf.prop_recursive(2, 12, 4, |inner| {
        (prop::collection::vec(inner, 0..4), any::<bool>()).prop_map(|(steps, keep)| Step::Savepoint(steps, keep))
    })
}

fn tag(n: u8) -> String {
    format!("t{n}")
}

fn row(id: u8, n: i8) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.to_string()),
        title: Set(format!("title {}", n % 3)),
        view_count: Set(n.into()),
        tags: Set(OrSet::from([tag(id % 4), tag(n.unsigned_abs() % 4)])),
        author: Set(None),
    }
}

fn change(id: u8) -> document::ActiveModel {
    document::ActiveModel {
        id: Unchanged(id.to_string()),
        ..Default::default()
    }
}

async fn raw<C: ConnectionTrait>(conn: &C, id: u8, which: u8) -> Result<(), DbErr> {
    let array = format!(
        r#"UPDATE documents SET tags = '["{}","t1", "t1"]' WHERE ? <> '' AND id = ?"#,
        tag(id)
    );
    let text = match (which, backend()) {
        (0, _) => "UPDATE documents SET view_count = -view_count, title = id || ? WHERE id >= ?",
        (1, _) => array.as_str(),
        (2, _) => {
            "INSERT INTO documents SELECT id || 'c', title, view_count, tags, author FROM documents WHERE ? <> id AND id = ?"
        }
        (3, _) => "DELETE FROM documents WHERE title = ? OR id = ? || 'c'",
        (4, DbBackend::MySql) => {
            "UPDATE documents AS d, documents AS o SET d.title = o.title WHERE o.id <> d.id AND o.id <> ? AND d.id = ? AND o.id = '0'"
        }
        (4, _) => {
            "UPDATE documents AS d SET title = o.title FROM documents AS o WHERE o.id <> d.id AND o.id <> ? AND d.id = ? AND o.id = '0'"
        }
        (5, DbBackend::MySql) => {
            "INSERT IGNORE INTO documents (title, id, view_count, tags) VALUES (?, ?, 1, '[\"t9\", \"t1\"]')"
        }
        (5, DbBackend::Postgres) => {
            "INSERT INTO documents VALUES (?2, ?1, 1, '[\"t9\", \"t1\"]', NULL) ON CONFLICT DO NOTHING"
        }
        (5, _) => "INSERT OR IGNORE INTO documents VALUES (?2, ?1, 1, '[\"t9\", \"t1\"]', NULL)",
        _ => {
            let local = "UPDATE documents SET author = 'local', title = title";
            return conn.execute_raw(super::sql(local, [])).await.map(drop);
        }
    };
    let values = [tag(id).into(), id.to_string().into()];
    conn.execute_raw(super::sql(text, values)).await.map(drop)
}

/// One step. A failing one, such as an insert of a row that is there, must leave no trace.
async fn run<C>(conn: &C, old: &[document::Model], step: &Step) -> Result<(), DbErr>
where
    C: ConnectionTrait + TransactionTrait + Inspect,
{
    match step {
        Step::Insert(id, n) => row(*id, *n).insert(conn).await.map(drop),
        Step::InsertMany(id, n) => {
            let rows = (*id..=id + n).map(|id| row(id, 1));
            document::Entity::insert_many(rows)
                .exec_without_returning(conn)
                .await
                .map(drop)
        }
        Step::Upsert(id, n) => {
            let conflict = OnConflict::column(document::Column::Id)
                .update_column(document::Column::Title)
                .value(document::Column::ViewCount, Expr::cust("documents.view_count + 1"))
                .to_owned();
            let rows = [row(*id, *n), row(5 - id % 6, *n)]
                .into_iter()
                .take(1 + usize::from(*n > 0 && *id != 5 - id));
            document::Entity::insert_many(rows)
                .on_conflict(conflict)
                .exec_without_returning(conn)
                .await
                .map(drop)
        }
        Step::Title(id, n) => {
            let change = document::ActiveModel {
                title: Set(format!("title {n}")),
                ..change(*id)
            };
            change.update(conn).await.map(drop)
        }
        Step::Views(id, n) => {
            let change = document::ActiveModel {
                view_count: Set((*n).into()),
                ..change(*id)
            };
            change.update_without_returning(conn).await.map(drop)
        }
        Step::Increment(id, by) => {
            document::ActiveModel::increment_view_count(conn, id.to_string(), (*by).into()).await
        }
        Step::Tags(id, a, b) => {
            let change = document::ActiveModel {
                tags: Set(OrSet::from([tag(*a), tag(*b)])),
                ..change(*id)
            };
            change.update(conn).await.map(drop)
        }
        Step::StaleTags(id, a, b) => {
            let Some(old) = old.iter().find(|row| row.id == id.to_string()) else {
                return Ok(());
            };
            let mut tags = old.tags.clone();
            tags.insert(tag(*a));
            tags.remove(&tag(*b));
            let change = document::ActiveModel {
                tags: Set(tags),
                ..old.clone().into_active_model()
            };
            change.update(conn).await.map(drop)
        }
        Step::UpdateMany(id, n) => document::Entity::update_many()
            .col_expr(
                document::Column::ViewCount,
                Expr::col(document::Column::ViewCount).add(i64::from(*n)),
            )
            .filter(document::Column::Id.gt(id.to_string()))
            .exec(conn)
            .await
            .map(drop),
        Step::Raw(id, which) => raw(conn, *id, *which).await,
        Step::Move(from, to) => {
            let text = "UPDATE documents SET id = ?, view_count = view_count + 1 WHERE id = ?";
            let values = [to.to_string().into(), from.to_string().into()];
            conn.execute_raw(super::sql(text, values)).await.map(drop)
        }
        Step::Delete(id) => row(*id, 0).delete(conn).await.map(drop),
        Step::DeleteById(id) => document::Entity::delete_by_id(id.to_string())
            .exec(conn)
            .await
            .map(drop),
        Step::DeleteMany(id) => {
            let many = document::Entity::delete_many().filter(document::Column::Id.lt(id.to_string()));
            many.exec(conn).await.map(drop)
        }
        Step::Savepoint(..) => unreachable!("run by the caller"),
        Step::Read => {
            agrees(conn).await;
            Ok(())
        }
    }
}

/// Rows and records agree.
async fn agrees(conn: &impl Inspect) {
    conn.state::<document::Entity>("0".to_owned()).await;
    assert_agrees::<document::Entity, _>(conn).await;
}

/// When a transaction is looked at in between.
#[derive(Clone, Copy, PartialEq)]
enum Looks {
    Never,
    WhereToldTo,
    AfterEachStep,
}

/// Runs steps in a transaction.
async fn run_in(tx: &ReplicaTransaction, old: &[document::Model], steps: &[Step], looks: Looks) {
    for step in steps {
        match step {
            Step::Read if looks == Looks::Never => {}
            Step::Savepoint(steps, keep) => {
                let inner = tx.begin().await.unwrap();
                Box::pin(run_in(&inner, old, steps, looks)).await;
                match (keep, steps.len() % 2) {
                    (true, _) => inner.commit().await.unwrap(),
                    (false, 0) => inner.rollback().await.unwrap(),
                    (false, _) => drop(inner),
                }
            }
            // A failing step of a transaction is caught, and the transaction goes on: on PostgreSQL, from a savepoint.
            step if backend() == DbBackend::Postgres => {
                let inner = tx.begin().await.unwrap();
                match run(&inner, old, step).await {
                    Ok(()) => inner.commit().await.unwrap(),
                    Err(_) => inner.rollback().await.unwrap(),
                }
            }
            step => drop(run(tx, old, step).await),
        }
        if looks == Looks::AfterEachStep {
            for id in ["0", "1", "2", "3", "4", "5", "0c", "1c"] {
                tx.state::<document::Entity>(id.to_owned()).await;
            }
        }
    }
}

async fn program(transactions: Vec<(Vec<Step>, u8)>) {
    let replica: Replica = documents().await;
    let mut old = Vec::new();
    for (steps, end) in transactions {
        if end == 0 {
            for step in &steps {
                if !matches!(step, Step::Savepoint(..)) {
                    drop(run(&replica, &old, step).await);
                    assert_agrees::<document::Entity, _>(&replica).await;
                }
            }
        } else {
            let before = grove_crdt_tests::cells(&replica, "documents").await;
            let tx = replica.begin().await.unwrap();
            run_in(&tx, &old, &steps, Looks::WhereToldTo).await;
            match end {
                1 => tx.commit().await.unwrap(),
                2 => {
                    agrees(&tx).await;
                    tx.commit().await.unwrap();
                }
                _ => {
                    tx.rollback().await.unwrap();
                    assert_eq!(grove_crdt_tests::cells(&replica, "documents").await, before);
                }
            }
        }
        assert_agrees::<document::Entity, _>(&replica).await;
        if end != 3 {
            old = document::Entity::find().all(&replica).await.unwrap();
        }
    }
}

#[apply(on_each_database!)]
fn rows_and_records_agree_after_each_step(kind: Kind) {
    let programs = prop::collection::vec((prop::collection::vec(step(), 1..7), 0..4_u8), 1..6);
    for_all(kind, &programs, 256, program);
}

/// The cells but for their clock values.
async fn states(replica: &Replica) -> Vec<String> {
    let text = "SELECT pk, field, concat(cell, '|', epoch), state FROM \"_documents_crdt\"";
    let rows = replica.query_all_raw(super::sql(text, [])).await.unwrap();
    let states = rows.iter().map(|row| {
        let [pk, field, place, state] = [0, 1, 2, 3].map(|column| row.try_get_by_index::<String>(column).unwrap());
        let mut state: serde_json::Value = serde_json::from_str(&state).unwrap();
        if field == "tags" {
            without_clock(&mut state);
        }
        format!("{pk}|{field}|{place}|{state}")
    });
    let mut states: Vec<_> = states.collect();
    states.sort();
    states
}

/// In place of when an element was added and removed, whether it was.
fn without_clock(state: &mut serde_json::Value) {
    match state {
        serde_json::Value::Object(fields) => {
            let point = |name| {
                let point = fields.get(name)?.as_array()?;
                Some((point.first()?.as_i64()?, point.get(1)?.as_i64()?))
            };
            let (add, rem) = (point("add"), point("rem"));
            if add.is_some() || rem.is_some() {
                *state = format!(
                    "added {}, removed {}, there {}",
                    add.is_some(),
                    rem.is_some(),
                    add > rem
                )
                .into();
                return;
            }
            fields.values_mut().for_each(without_clock);
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(without_clock),
        _ => {}
    }
}

async fn looked_at(transactions: Vec<Vec<Step>>) {
    let (plain, looked_at) = (documents().await, documents().await);
    for steps in &transactions {
        for (replica, looks) in [(&plain, Looks::Never), (&looked_at, Looks::AfterEachStep)] {
            let old = document::Entity::find().all(replica).await.unwrap();
            let tx = replica.begin().await.unwrap();
            run_in(&tx, &old, steps, looks).await;
            tx.commit().await.unwrap();
            assert_agrees::<document::Entity, _>(replica).await;
        }
        assert_eq!(
            states(&plain).await,
            states(&looked_at).await,
            "{steps:?} of {transactions:?}"
        );
    }
}

#[apply(on_each_database!)]
fn what_is_recorded_does_not_depend_on_who_looks_when(kind: Kind) {
    let transactions = prop::collection::vec(prop::collection::vec(step(), 1..9), 1..4);
    for_all(kind, &transactions, 192, looked_at);
}
