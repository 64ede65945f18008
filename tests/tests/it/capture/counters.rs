//! Counters: those that remember their steps, and plain integers.

use grove_crdt_tests::{assert_agrees, backend, cells, entities::document, replica_of};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ActiveValue::Unchanged, DbBackend, EntityTrait, IntoActiveModel,
    TransactionSession, TransactionTrait,
};
use serde_json::json;

use super::{documents, draft, execute};

mod tally {
    use grove_crdt::{Counter, Crdt};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "tallies")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(counter)]
        pub exact: Counter,
        #[crdt(counter)]
        pub small: i32,
        #[crdt(lww)]
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

use grove_crdt::{Counter, Replica};

async fn tally() -> (Replica, tally::Model) {
    let replica = replica_of::<tally::Entity>("node-1").await;
    let row = tally::ActiveModel {
        id: Set("t".into()),
        exact: Set(Counter::new(10)),
        small: Set(1),
        note: Set(String::new()),
    };
    let row = row.insert(&replica).await.unwrap();
    (replica, row)
}

async fn value(replica: &Replica) -> tally::Model {
    assert_agrees::<tally::Entity, _>(replica).await;
    tally::Entity::find_by_id("t").one(replica).await.unwrap().unwrap()
}

fn plus(row: &tally::Model, by: i64) -> tally::ActiveModel {
    let mut exact = row.exact;
    exact += by;
    tally::ActiveModel {
        exact: Set(exact),
        ..row.clone().into_active_model()
    }
}

#[apply(on_each_database!)]
async fn a_stale_read_never_undoes_the_work_of_others() {
    let (replica, stale) = tally().await;
    tally::ActiveModel::increment_exact(&replica, "t", 100).await.unwrap();
    let saved = plus(&stale, 1).update(&replica).await.unwrap();
    assert_eq!(saved.exact, 111);
    plus(&stale, -2).update(&replica).await.unwrap();
    assert_eq!(value(&replica).await.exact, 109);
    let shown = replica.inspect::<tally::Entity>("t").await.unwrap().to_string();
    assert!(shown.contains("exact (counter): 109 [node-1: +111 -2]"), "{shown}");
}

#[apply(on_each_database!)]
async fn two_steps_in_one_transaction_both_count() {
    let (replica, stale) = tally().await;
    let tx = replica.begin().await.unwrap();
    plus(&stale, 1).update(&tx).await.unwrap();
    plus(&stale, 1).update(&tx).await.unwrap();
    tally::ActiveModel::increment_exact(&tx, "t", 5).await.unwrap();
    execute(&tx, "UPDATE tallies SET exact = exact + 3, small = small * 4", []).await;
    plus(&stale, -1).update_without_returning(&tx).await.unwrap();
    tx.commit().await.unwrap();
    let row = value(&replica).await;
    assert_eq!((row.exact.get(), row.small), (19, 4));
}

#[apply(on_each_database!)]
async fn a_model_that_came_back_from_a_save_can_be_gone_on_with() {
    let (replica, row) = tally().await;
    let row = plus(&row, 1).update(&replica).await.unwrap();
    tally::ActiveModel::increment_exact(&replica, "t", 100).await.unwrap();
    plus(&row, 1).update(&replica).await.unwrap();
    assert_eq!(value(&replica).await.exact, 112);
    let saved = plus(&row, 1).save(&replica).await.unwrap();
    let mut exact = saved.exact.clone().unwrap();
    exact += 1;
    tally::ActiveModel {
        exact: Set(exact),
        ..saved
    }
    .save(&replica)
    .await
    .unwrap();
    assert_eq!(value(&replica).await.exact, 114);
}

#[apply(on_each_database!)]
async fn a_counter_made_anew_is_made_so() {
    let (replica, _) = tally().await;
    tally::ActiveModel::increment_exact(&replica, "t", 100).await.unwrap();
    let change = tally::ActiveModel {
        id: Unchanged("t".into()),
        exact: Set(Counter::new(7)),
        ..Default::default()
    };
    change.update(&replica).await.unwrap();
    assert_eq!(value(&replica).await.exact, 7);
    let shown = replica.inspect::<tally::Entity>("t").await.unwrap().to_string();
    assert!(shown.contains("[node-1: +110 -103]"), "{shown}");
}

#[apply(on_each_database!)]
async fn reset_all_of_a_model_that_was_read_moves_no_counter() {
    let (replica, stale) = tally().await;
    tally::ActiveModel::increment_exact(&replica, "t", 100).await.unwrap();
    // `reset_all` sets every column to what was read; a counter that was read and not moved has no step to make.
    let mut change = stale.into_active_model().reset_all();
    change.small = Unchanged(1);
    change.note = Set("n".into());
    change.update(&replica).await.unwrap();
    let row = value(&replica).await;
    assert_eq!((row.exact.get(), row.note.as_str()), (110, "n"));
}

#[apply(on_each_database!)]
async fn a_plain_integer_is_made_so_against_the_row_as_it_is() {
    let (replica, stale) = tally().await;
    tally::ActiveModel::increment_small(&replica, "t", 9).await.unwrap();
    tally::ActiveModel {
        small: Set(3),
        ..stale.into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(value(&replica).await.small, 3);
}

#[apply(on_each_database!)]
async fn what_does_not_fit_an_i32_is_refused_and_nothing_written() {
    let (replica, row) = tally().await;
    let before = cells(&replica, "tallies").await;
    let error = tally::ActiveModel::increment_small(&replica, "t", i64::from(i32::MAX))
        .await
        .unwrap_err()
        .to_string();
    // A column of 32 bits may refuse it before anybody else does.
    let says = error.contains("small") && error.contains("2147483648");
    assert!(says || backend() != DbBackend::Sqlite, "{error}");
    let tx = replica.begin().await.unwrap();
    let raw = super::sql("UPDATE tallies SET small = small + 2147483647", []);
    sea_orm::ConnectionTrait::execute_raw(&tx, raw).await.unwrap_err();
    // SQLite took it, and so the transaction is spoiled; where the database refused it, there is nothing to commit.
    let committed = tx.commit().await;
    assert!(committed.is_err() || backend() != DbBackend::Sqlite);
    assert_eq!(cells(&replica, "tallies").await, before);
    assert_eq!(value(&replica).await, row);
}

#[apply(on_each_database!)]
async fn what_does_not_fit_an_i64_is_refused_and_nothing_written() {
    let (replica, row) = tally().await;
    let before = cells(&replica, "tallies").await;
    let error = plus(&row, i64::MAX).update(&replica).await.unwrap_err().to_string();
    assert!(
        error.contains("counter `exact` would leave the range of i64"),
        "{error}"
    );
    tally::ActiveModel::increment_exact(&replica, "t", i64::MAX)
        .await
        .unwrap_err();
    let raw = super::sql("UPDATE tallies SET exact = exact + 9223372036854775807", []);
    sea_orm::ConnectionTrait::execute_raw(&replica, raw).await.unwrap_err();
    assert_eq!(cells(&replica, "tallies").await, before);
    assert_eq!(value(&replica).await, row);
    // The value would fit, but what was ever added would not.
    let change = tally::ActiveModel {
        exact: Set(Counter::new(i64::MIN)),
        ..row.into_active_model()
    };
    change.update(&replica).await.unwrap_err();
    assert_eq!(cells(&replica, "tallies").await, before);
}

/// Two updates that were begun one within the other read the same row; the second wrote over the step of the first, and
/// both were recorded.
#[apply(on_each_database!)]
async fn updates_side_by_side_in_one_transaction_lose_no_step() {
    let (replica, stale) = tally().await;
    let tx = replica.begin().await.unwrap();
    let first = grove_crdt::hooks::before_save(plus(&stale, 1), &tx, false)
        .await
        .unwrap();
    plus(&stale, 1).update(&tx).await.unwrap();
    // What the first update would now send was worked out before the second.
    let statement = sea_orm::QueryTrait::build(&sea_orm::EntityTrait::update(first).validate().unwrap(), backend());
    let error = sea_orm::ConnectionTrait::execute_raw(&tx, statement)
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("one after the other"), "{error}");
    tx.commit().await.unwrap();
    assert_eq!(value(&replica).await.exact, 11);
}

#[apply(on_each_database!)]
async fn a_remembered_step_needs_a_transaction() {
    let (replica, row) = tally().await;
    let error = ActiveModelTrait::update(plus(&row, 1), &replica)
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("own `update` or `save`, or begin a transaction"),
        "{error}"
    );
    assert_eq!(value(&replica).await, row);
    let tx = replica.begin().await.unwrap();
    ActiveModelTrait::update(plus(&row, 1), &tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(value(&replica).await.exact, 11);
}

#[apply(on_each_database!)]
async fn increments_of_documents() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "a", 5)
        .await
        .unwrap();
    document::ActiveModel::increment_view_count(&replica, "a", -7)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(super::field(&replica, "a", "view_count").await, json!(8));
}
