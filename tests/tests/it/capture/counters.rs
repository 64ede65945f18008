//! Counters: those that remember their steps, and plain integers.

use grove_crdt_tests::{assert_agrees, backend, cells, entities::document, replica_of};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ActiveValue::Unchanged, DbBackend, EntityTrait, IntoActiveModel,
    TransactionSession, TransactionTrait,
};
use serde_json::json;

use super::{documents, draft, execute};
use crate::merge::support::carry;

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
}

/// What was ever added could not be more than a value, and so a counter that went to the end of its range and back could not
/// go there again. A birth with the least integer broke the statement of the next step.
#[apply(on_each_database!)]
async fn a_counter_swings_between_the_ends_of_i64() {
    let (replica, row) = tally().await;
    let made = async |value: i64| {
        let change = tally::ActiveModel {
            id: Unchanged("t".into()),
            exact: Set(Counter::new(value)),
            ..Default::default()
        };
        assert_eq!(change.update(&replica).await.unwrap().exact, value);
    };
    assert_eq!(row.exact, 10);
    for _ in 0..2 {
        for value in [i64::MIN, i64::MAX, 0] {
            made(value).await;
            assert_eq!(value_of(&replica, "t").await, value);
        }
        tally::ActiveModel::increment_exact(&replica, "t", i64::MAX)
            .await
            .unwrap();
        assert_eq!(value_of(&replica, "t").await, i64::MAX);
        execute(&replica, "UPDATE tallies SET exact = exact - 9223372036854775807", []).await;
        assert_eq!(value_of(&replica, "t").await, 0);
    }
    let least = tally::ActiveModel {
        id: Set("least".into()),
        exact: Set(Counter::new(i64::MIN)),
        small: Set(0),
        note: Set(String::new()),
    };
    least.insert(&replica).await.unwrap();
    tally::ActiveModel::increment_exact(&replica, "least", 3).await.unwrap();
    assert_eq!(value_of(&replica, "least").await, i64::MIN + 3);

    let shown = replica.inspect::<tally::Entity>("t").await.unwrap();
    let parts = serde_json::to_value(&shown.fields[0].parts).unwrap();
    let [inc, dec] = ["inc", "dec"].map(|part| parts[0][part].as_str().unwrap_or_default().to_owned());
    assert!(inc == dec && inc.len() == 20, "{parts}");

    let other = replica_of::<tally::Entity>("node-2").await;
    carry(&replica, &other, &["tallies"]).await;
    tally::ActiveModel::increment_exact(&other, "t", i64::MAX)
        .await
        .unwrap();
    tally::ActiveModel::increment_exact(&other, "t", -i64::MAX)
        .await
        .unwrap();
    carry(&other, &replica, &["tallies"]).await;
    for replica in [&replica, &other] {
        assert_eq!(value_of(replica, "t").await, 0);
        assert_eq!(value_of(replica, "least").await, i64::MIN + 3);
    }
    assert_eq!(cells(&replica, "tallies").await, cells(&other, "tallies").await);
}

async fn value_of(replica: &Replica, id: &str) -> i64 {
    let row = tally::Entity::find_by_id(id).one(replica).await.unwrap().unwrap();
    let recorded = replica.inspect::<tally::Entity>(id).await.unwrap().fields[0]
        .value
        .clone();
    let digits = recorded.as_str().map_or(recorded.to_string(), str::to_owned);
    assert_eq!(digits, row.exact.to_string());
    row.exact.get()
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
