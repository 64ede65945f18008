//! Adopting rows that were written elsewhere.

use std::{
    cell::Cell,
    future::IntoFuture,
    pin::pin,
    rc::Rc,
    sync::Arc,
    sync::atomic::{AtomicUsize, Ordering},
    task::Poll,
};

use grove_crdt::{AdoptReport, OrSet, Replica};
use grove_crdt_tests::{
    TestDatabase, assert_agrees, builder, cells, create_table, entities::document, new_database, replica_of, rows,
};
use sea_orm::{ActiveValue::Set, ActiveValue::Unchanged, ConnectionTrait, DatabaseConnection, EntityTrait};

use crate::{
    capture::{draft, epochs, execute, field, sql},
    merge::support::{changes_of, push},
};

/// `n` documents in a table that no replica has seen.
async fn fill(db: &DatabaseConnection, n: i64) {
    create_table(db, document::Entity).await.unwrap();
    let rows = (1..=n).map(|i| document::ActiveModel {
        id: Set(format!("{i:04}")),
        title: Set(format!("title {i}")),
        view_count: Set(i),
        tags: Set(OrSet::from(["a".to_owned(), format!("t{}", i % 3)])),
        author: Set(None),
    });
    document::Entity::insert_many(rows)
        .exec_without_returning(db)
        .await
        .unwrap();
}

async fn open(db: DatabaseConnection, node: &str) -> Replica {
    builder(node).0.entity::<document::Entity>().open(db).await.unwrap()
}

/// The cells with what is local to the replica.
async fn all_of_shadow(replica: &Replica) -> Vec<(String, i64)> {
    let text = "SELECT concat(pk, field, cell, state), version FROM _documents_crdt";
    let rows = replica.query_all_raw(sql(text, [])).await.unwrap();
    let mut all: Vec<_> = rows
        .iter()
        .map(|row| (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap()))
        .collect();
    all.sort();
    all
}

#[apply(on_each_database!)]
async fn rows_join_in_pages_and_progress_is_told() {
    let db = new_database().await;
    fill(&db, 25).await;
    let replica = open(db, "node-1").await;
    let mut seen = Vec::new();
    let report = replica
        .adopt::<document::Entity>()
        .page_size(10)
        .on_progress(|progress| seen.push((progress.table.clone(), progress.last_pk.clone(), progress.report.rows)))
        .await
        .unwrap();
    assert_eq!(
        report,
        AdoptReport {
            rows: 25,
            adopted: 25,
            ..AdoptReport::default()
        }
    );
    assert_eq!(report.to_string(), "rows=25 adopted=25 changed=0 deleted=0");
    let expected = [("0010", 10), ("0020", 20), ("0025", 25)];
    assert_eq!(
        seen,
        expected.map(|(pk, rows)| ("documents".to_owned(), pk.to_owned(), rows))
    );
    assert_agrees::<document::Entity, _>(&replica).await;
    let versions: std::collections::BTreeSet<_> = all_of_shadow(&replica).await.into_iter().map(|(_, v)| v).collect();
    assert_eq!(versions.len(), 3, "one version for each page");
}

#[apply(on_each_database!)]
async fn a_second_run_changes_nothing() {
    let db = new_database().await;
    fill(&db, 25).await;
    let replica = open(db, "node-1").await;
    draft("x").insert(&replica).await.unwrap();
    replica.adopt::<document::Entity>().page_size(7).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "0003", 4)
        .await
        .unwrap();
    document::Entity::delete_by_id("0004").exec(&replica).await.unwrap();
    let before = all_of_shadow(&replica).await;
    let report = replica
        .adopt::<document::Entity>()
        .page_size(7)
        .deletions(true)
        .await
        .unwrap();
    assert_eq!(
        report,
        AdoptReport {
            rows: 25,
            ..AdoptReport::default()
        }
    );
    assert_eq!(all_of_shadow(&replica).await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// Not on MySQL, whose driver waits for ever on a connection on which a statement was given up before it was sent.
#[apply(on_sqlite_and_postgres!)]
async fn an_interrupted_run_goes_on_where_it_stopped() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    fill(&db, 40).await;
    let replica = open(db, "node-1").await;
    let pages = Arc::new(AtomicUsize::new(0));
    {
        let pages = pages.clone();
        let adopt = replica.adopt::<document::Entity>().page_size(10).on_progress({
            let pages = pages.clone();
            move |_| {
                pages.fetch_add(1, Ordering::SeqCst);
            }
        });
        let mut future = pin!(adopt.into_future());
        // Polls it until two pages are done, and once more; then drops it in the middle of the third.
        let extra = Rc::new(Cell::new(0));
        std::future::poll_fn(|context| {
            let _ = future.as_mut().poll(context);
            extra.set(extra.get() + u32::from(pages.load(Ordering::SeqCst) >= 2));
            if extra.get() >= 2 {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
    let done = cells(&replica, "documents").await.len();
    assert!((20..40).contains(&done), "{done}");
    let report = replica.adopt::<document::Entity>().page_size(10).await.unwrap();
    // What was cancelled in its commit may have been committed all the same.
    assert!(report.rows <= 40 - done, "{report} after {done}");
    assert!(report.adopted <= report.rows, "{report} after {done}");
    assert_eq!(cells(&replica, "documents").await.len(), 40);
    assert_agrees::<document::Entity, _>(&replica).await;
    // The next one begins at the beginning again.
    assert_eq!(replica.adopt::<document::Entity>().await.unwrap().rows, 40);
}

#[apply(on_each_database!)]
async fn the_same_data_on_two_nodes_is_one_history() {
    let mut both = Vec::new();
    for node in ["node-1", "node-2"] {
        let db = new_database().await;
        fill(&db, 5).await;
        let replica = open(db, node).await;
        replica.adopt::<document::Entity>().await.unwrap();
        both.push(cells(&replica, "documents").await);
    }
    assert_eq!(both[0], both[1]);
    assert!(both[0][0].starts_with("0001   1 0.0 ~ "), "{}", both[0][0]);
}

#[apply(on_each_database!)]
async fn a_write_before_the_adoption_is_newer_than_it() {
    let db = new_database().await;
    fill(&db, 3).await;
    let replica = open(db, "node-1").await;
    let change = document::ActiveModel {
        id: Unchanged("0002".into()),
        title: Set("new".into()),
        ..Default::default()
    };
    change.update(&replica).await.unwrap();
    let report = replica.adopt::<document::Entity>().await.unwrap();
    // The field that was written had no baseline: what it was before is not known.
    assert_eq!((report.rows, report.adopted, report.changed), (3, 2, 0));
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "0002", "title").await, "new");
}

#[apply(on_each_database!)]
async fn what_was_written_behind_its_back_is_found() {
    let replica = replica_of::<document::Entity>("node-1").await;
    for id in ["lww", "counter", "set", "same", "dead", "gone"] {
        draft(id).insert(&replica).await.unwrap();
    }
    document::Entity::delete_by_id("dead").exec(&replica).await.unwrap();
    let untracked = replica.untracked();
    execute(&untracked, "UPDATE documents SET title = 'behind' WHERE id = 'lww'", []).await;
    execute(
        &untracked,
        "UPDATE documents SET view_count = 4 WHERE id = 'counter'",
        [],
    )
    .await;
    execute(
        &untracked,
        r#"UPDATE documents SET tags = '["b","c"]' WHERE id = 'set'"#,
        [],
    )
    .await;
    execute(&untracked, "UPDATE documents SET author = 'x' WHERE id = 'same'", []).await;
    execute(&untracked, "DELETE FROM documents WHERE id = 'gone'", []).await;
    execute(
        &untracked,
        "INSERT INTO documents VALUES ('dead', 'again', 1, '[]', NULL), ('new', 'n', 2, '[]', NULL)",
        [],
    )
    .await;
    let report = replica.adopt::<document::Entity>().await.unwrap();
    assert_eq!(
        report,
        AdoptReport {
            rows: 6,
            adopted: 1,
            changed: 4,
            deleted: 0
        }
    );
    let shown = async |id: &str| replica.inspect::<document::Entity>(id).await.unwrap().to_string();
    assert!(shown("lww").await.contains(r#"title (lww): "behind" (node=node-1"#));
    assert!(shown("counter").await.contains("4 [node-1: +10 -6]"));
    assert_eq!(field(&replica, "set", "tags").await, serde_json::json!(["b", "c"]));
    assert!(shown("dead").await.contains("\"again\" (node=node-1"));
    assert!(shown("new").await.contains("[~: +2 -0]"));
    // The row that is gone is not recorded as deleted unless asked for.
    let living = async || {
        let records = epochs(&replica, "documents").await;
        records.into_iter().filter(|(_, epoch)| epoch % 2 == 1).count()
    };
    assert_eq!(living().await, 7);
    let report = replica
        .adopt::<document::Entity>()
        .page_size(2)
        .deletions(true)
        .await
        .unwrap();
    assert_eq!(
        report,
        AdoptReport {
            rows: 6,
            adopted: 0,
            changed: 0,
            deleted: 1
        }
    );
    assert_eq!(living().await, 6);
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn a_field_that_came_later_is_adopted_as_a_baseline() {
    mod before {
        use grove_crdt::Crdt;
        use sea_orm::entity::prelude::*;

        #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
        #[sea_orm(table_name = "documents")]
        pub struct Model {
            #[sea_orm(primary_key, auto_increment = false)]
            pub id: String,
            #[crdt(lww)]
            pub title: String,
        }

        #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
        pub enum Relation {}
    }
    let db = new_database().await;
    fill(&db, 3).await;
    let old = builder("node-1")
        .0
        .entity::<before::Entity>()
        .open(db.clone())
        .await
        .unwrap();
    old.adopt::<before::Entity>().await.unwrap();
    drop(old);
    let replica = open(db, "node-1").await;
    let report = replica.adopt::<document::Entity>().await.unwrap();
    assert_eq!((report.rows, report.adopted, report.changed), (3, 0, 3));
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("0002").await.unwrap().to_string();
    assert!(shown.contains("view_count (counter): 2 [~: +2 -0]"), "{shown}");
    assert_eq!(replica.adopt::<document::Entity>().await.unwrap().changed, 0);
}

#[apply(on_each_database!)]
async fn writes_between_the_pages_are_theirs() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    fill(&db, 60).await;
    let replica = open(db, "node-1").await;
    let writer = tokio::spawn({
        let replica = replica.clone();
        async move {
            for n in 1..=60 {
                document::ActiveModel::increment_view_count(&replica, format!("{n:04}"), 1)
                    .await
                    .unwrap();
                if n % 10 == 0 {
                    document::Entity::delete_by_id(format!("{n:04}"))
                        .exec(&replica)
                        .await
                        .unwrap();
                }
            }
        }
    });
    replica
        .adopt::<document::Entity>()
        .page_size(5)
        .deletions(true)
        .await
        .unwrap();
    writer.await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("0007").await.unwrap().to_string();
    assert!(
        shown.contains("view_count (counter): 8 [node-1: +1 -0] [~: +7 -0]"),
        "{shown}"
    );
    assert_eq!(rows::<document::Entity, _>(&replica).await.len(), 54);
}

#[apply(on_each_database!)]
async fn a_failing_page_leaves_those_before_it() {
    let db = new_database().await;
    fill(&db, 25).await;
    let replica = open(db, "node-1").await;
    // Longer than a replicated row's key may be.
    let key = format!("0015{}", "€".repeat(180));
    let copy = format!(
        "INSERT INTO documents (id, title, view_count, tags) SELECT '{key}', title, view_count, tags FROM documents WHERE id = '0015'"
    );
    execute(&replica.untracked(), &copy, []).await;
    replica.adopt::<document::Entity>().page_size(10).await.unwrap_err();
    assert_eq!(cells(&replica, "documents").await.len(), 10);
    let delete = format!("DELETE FROM documents WHERE id = '{key}'");
    execute(&replica.untracked(), &delete, []).await;
    assert_eq!(
        replica.adopt::<document::Entity>().page_size(10).await.unwrap().rows,
        15
    );
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// What others did to a row was here before the row was: the row went on showing what it had shown.
#[apply(on_each_database!)]
async fn what_came_before_the_row_was_adopted_shows_with_it() {
    let mut both = Vec::new();
    for node in ["node-1", "node-2"] {
        let db = new_database().await;
        fill(&db, 2).await;
        both.push(open(db, node).await);
    }
    let [one, other] = &both[..] else { panic!("two") };
    one.adopt::<document::Entity>().await.unwrap();
    let row = document::ActiveModel {
        id: Unchanged("0001".into()),
        title: Set("edited".into()),
        ..Default::default()
    };
    row.update(one).await.unwrap();
    document::ActiveModel::increment_view_count(one, "0001", 8)
        .await
        .unwrap();
    let (heads, fields): (Vec<_>, Vec<_>) = changes_of(one, &["documents"])
        .await
        .into_iter()
        .partition(|change| change["field"] == "");
    push(one, other, &fields).await;
    let report = other.adopt::<document::Entity>().await.unwrap();
    assert_eq!((report.rows, report.adopted), (2, 2));
    assert_agrees::<document::Entity, _>(other).await;
    push(one, other, &heads).await;
    assert_eq!(
        rows::<document::Entity, _>(one).await,
        rows::<document::Entity, _>(other).await
    );
}
