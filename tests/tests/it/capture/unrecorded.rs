//! Rows that were there before they were replicated: the first change makes them baselines.

use grove_crdt::OrSet;
use grove_crdt_tests::{assert_agrees, cells, entities::document};
use sea_orm::{
    ActiveValue::Set, ActiveValue::Unchanged, EntityTrait, IntoActiveModel, ModelTrait, TransactionSession,
    TransactionTrait,
};

use super::{documents_after, execute};

const ROW: &str = r#"INSERT INTO documents VALUES ('a', 'old', 5, '["x","y"]', 'ann')"#;

fn change() -> document::ActiveModel {
    document::ActiveModel {
        id: Unchanged("a".into()),
        ..Default::default()
    }
}

#[apply(on_each_database!)]
async fn an_announced_change_adopts_what_the_row_was() {
    let replica = documents_after(&[ROW]).await;
    document::ActiveModel {
        title: Set("new".into()),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    document::ActiveModel::increment_view_count(&replica, "a", 2)
        .await
        .unwrap();
    let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
    assert!(
        shown.contains("view_count (counter): 7 [node-1: +2 -0] [~: +5 -0]"),
        "{shown}"
    );
    assert!(shown.contains(r#"title (lww): "new" (node=node-1"#), "{shown}");
}

#[apply(on_each_database!)]
async fn a_first_increment_adopts_what_was_before_it() {
    let replica = documents_after(&[ROW]).await;
    document::ActiveModel::increment_view_count(&replica, "a", 2)
        .await
        .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
    assert!(
        shown.contains("view_count (counter): 7 [node-1: +2 -0] [~: +5 -0]"),
        "{shown}"
    );
}

#[apply(on_each_database!)]
async fn steps_of_a_set_adopt_the_elements_that_were_there() {
    let replica = documents_after(&[ROW]).await;
    let doc = document::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    let mut tags = doc.tags.clone();
    tags.remove(&"x".to_owned());
    tags.insert("z".to_owned());
    document::ActiveModel {
        tags: Set(tags),
        ..doc.into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(super::field(&replica, "a", "tags").await, serde_json::json!(["y", "z"]));
}

/// Of a row that had no cells, only the elements added in the transaction were recorded, when an earlier statement of the
/// transaction had changed another field without reading the row.
#[apply(on_each_database!)]
async fn a_transaction_of_several_changes_adopts_what_the_row_was() {
    for order in 0..6 {
        let replica = documents_after(&[ROW]).await;
        let tx = replica.begin().await.unwrap();
        for step in [order % 3, (order + 1 + order / 3) % 3, (order + 2 - order / 3) % 3] {
            match step {
                0 => {
                    document::ActiveModel {
                        title: Set("new".into()),
                        ..change()
                    }
                    .update(&tx)
                    .await
                    .unwrap();
                }
                1 => {
                    execute(
                        &tx,
                        r#"UPDATE documents SET tags = '["y","z"]', view_count = view_count - 1"#,
                        [],
                    )
                    .await;
                }
                _ => document::ActiveModel::increment_view_count(&tx, "a", 3).await.unwrap(),
            }
        }
        tx.commit().await.unwrap();
        assert_agrees::<document::Entity, _>(&replica).await;
        let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
        assert!(shown.contains("[node-1: +2 -0] [~: +5 -0]"), "order {order}: {shown}");
        assert!(
            shown.contains(r#"title (lww): "new" (node=node-1"#),
            "order {order}: {shown}"
        );
        let cells = cells(&replica, "documents").await;
        assert!(
            cells.iter().any(|cell| cell.contains("\"x\"") && cell.contains("rem")),
            "order {order}: {cells:#?}"
        );
    }
}

#[apply(on_each_database!)]
async fn a_plain_value_adopts_what_was_before_it() {
    let replica = documents_after(&[ROW]).await;
    let change = document::ActiveModel {
        view_count: Set(1),
        tags: Set(OrSet::from(["y".to_owned()])),
        ..change()
    };
    change.update(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let shown = replica.inspect::<document::Entity>("a").await.unwrap().to_string();
    assert!(shown.contains("[node-1: +0 -4] [~: +5 -0]"), "{shown}");
}

#[apply(on_each_database!)]
async fn a_deleted_row_is_remembered_as_deleted() {
    let replica = documents_after(&[ROW]).await;
    let doc = document::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    doc.delete(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(super::epochs(&replica, "documents").await, [("a".to_owned(), 2)]);
}

#[apply(on_each_database!)]
async fn a_change_of_what_stays_local_adopts_nothing() {
    let replica = documents_after(&[ROW]).await;
    document::ActiveModel {
        author: Set(None),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    execute(&replica, "UPDATE documents SET author = 'bob'", []).await;
    assert!(cells(&replica, "documents").await.is_empty());
}
