//! Active models: what SeaORM's hooks announce.

use grove_crdt::OrSet;
use grove_crdt_tests::{assert_agrees, cells, entities::document};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ActiveValue::Unchanged, DbErr, EntityTrait, IntoActiveModel, ModelTrait,
    TransactionSession, TransactionTrait,
};
use serde_json::json;

use super::{documents, draft, epochs, field, refused};

#[apply(on_each_database!)]
async fn an_insert_is_a_birth_with_its_values() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(cells(&replica, "documents").await.len(), 1);
    assert_eq!(field(&replica, "a", "tags").await, json!(["a", "b"]));
}

#[apply(on_each_database!)]
async fn an_update_is_a_cell_for_each_changed_field() {
    let replica = documents().await;
    let doc = draft("a").insert(&replica).await.unwrap();
    let mut doc = doc.into_active_model();
    doc.title = Set("other".into());
    doc.author = Set(None);
    doc.update(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let cells = cells(&replica, "documents").await;
    assert_eq!(cells.len(), 2, "{cells:?}");
    assert!(cells[1].starts_with("a title "), "{cells:?}");
}

#[apply(on_each_database!)]
async fn save_inserts_and_updates() {
    let replica = documents().await;
    // SeaORM's `save` updates when the key is unchanged, and inserts when it is not set; a set key means update too.
    let doc = draft("a").insert(&replica).await.unwrap();
    let mut doc = doc.into_active_model();
    doc.view_count = Set(12);
    let doc = doc.save(&replica).await.unwrap();
    assert_eq!(doc.view_count, Unchanged(12));
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "view_count").await, json!(12));
}

#[apply(on_each_database!)]
async fn update_without_returning_is_captured_as_stored() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let change = document::ActiveModel {
        id: Unchanged("a".into()),
        title: Set("other".into()),
        view_count: Set(7),
        tags: Set(OrSet::from(["z".to_owned()])),
        ..Default::default()
    };
    let result = change.update_without_returning(&replica).await.unwrap();
    assert_eq!(result.rows_affected, 1);
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "view_count").await, json!(7));
}

#[apply(on_each_database!)]
async fn a_delete_is_a_death_and_another_insert_a_rebirth() {
    let replica = documents().await;
    let doc = draft("a").insert(&replica).await.unwrap();
    doc.clone().into_active_model().delete(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(epochs(&replica, "documents").await, [("a".to_owned(), 2)]);
    draft("a").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(epochs(&replica, "documents").await, [("a".to_owned(), 3)]);
    assert_eq!(cells(&replica, "documents").await.len(), 1);
    let doc = document::Entity::find_by_id("a").one(&replica).await.unwrap().unwrap();
    doc.delete(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(epochs(&replica, "documents").await, [("a".to_owned(), 4)]);
}

#[apply(on_each_database!)]
async fn a_failing_insert_leaves_no_trace() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let mut again = draft("a");
    again.title = Set("again".into());
    again.insert(&replica).await.unwrap_err();
    assert_eq!(cells(&replica, "documents").await, before);
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn an_error_that_the_user_catches_costs_nothing_but_its_own_statement() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let tx = replica.begin().await.unwrap();
    draft("b").insert(&tx).await.unwrap();
    refused(&tx, async |tx| draft("a").insert(tx).await).await;
    let missing = document::ActiveModel {
        id: Unchanged("x".into()),
        title: Set("t".into()),
        ..Default::default()
    };
    assert!(matches!(missing.update(&tx).await, Err(DbErr::RecordNotUpdated)));
    draft("c").insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    let known: Vec<_> = epochs(&replica, "documents")
        .await
        .into_iter()
        .map(|(pk, _)| pk)
        .collect();
    assert_eq!(known, ["a", "b", "c"]);
}

#[apply(on_each_database!)]
async fn an_update_or_delete_that_matches_nothing_leaves_no_trace() {
    let replica = documents().await;
    let change = || document::ActiveModel {
        id: Unchanged("x".into()),
        title: Set("t".into()),
        ..Default::default()
    };
    change().update(&replica).await.unwrap_err();
    assert!(matches!(
        change().update_without_returning(&replica).await,
        Err(_) | Ok(_)
    ));
    draft("x").delete(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "x", 1)
        .await
        .unwrap_err();
    assert!(cells(&replica, "documents").await.is_empty());
}

/// An update that set a field to what it was made a cell with a new clock, and so undid a concurrent write of another
/// node that had changed it.
#[apply(on_each_database!)]
async fn an_update_that_changes_nothing_leaves_no_trace() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    draft("a").update(&replica).await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
    let nothing = document::ActiveModel {
        id: Unchanged("a".into()),
        ..Default::default()
    };
    nothing.update(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "a", 0)
        .await
        .unwrap();
    let local = document::ActiveModel {
        id: Unchanged("a".into()),
        author: Set(None),
        ..Default::default()
    };
    local.update(&replica).await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
}

#[apply(on_each_database!)]
async fn there_and_back_in_one_transaction_leaves_no_trace() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let tx = replica.begin().await.unwrap();
    for title in ["other", "title of a"] {
        let change = document::ActiveModel {
            id: Unchanged("a".into()),
            title: Set(title.into()),
            ..Default::default()
        };
        change.update(&tx).await.unwrap();
    }
    draft("b").insert(&tx).await.unwrap();
    draft("b").delete(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(cells(&replica, "documents").await, before);
}

#[apply(on_each_database!)]
async fn a_trait_method_outside_a_transaction_is_captured_where_it_can_be() {
    let replica = documents().await;
    ActiveModelTrait::insert(draft("a"), &replica).await.unwrap();
    let change = document::ActiveModel {
        id: Unchanged("a".into()),
        title: Set("t".into()),
        ..Default::default()
    };
    ActiveModelTrait::update(change, &replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "title").await, json!("t"));
    ActiveModelTrait::delete(draft("a"), &replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// A hook had announced an update whose statement was never sent; the next update that read the same came to be taken
/// for it, although the row was another by then.
#[apply(on_each_database!)]
async fn an_announcement_whose_statement_never_came_is_not_taken_for_another() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let tx = replica.begin().await.unwrap();
    let plus = |doc: document::Model, tag: &str| {
        let mut tags = doc.tags.clone();
        tags.insert(tag.to_owned());
        document::ActiveModel {
            id: Unchanged(doc.id),
            tags: Set(tags),
            ..Default::default()
        }
    };
    let read = document::Entity::find_by_id("a").one(&tx).await.unwrap().unwrap();
    // As if the user's own hook had refused the write after ours had announced it.
    let announced = grove_crdt::hooks::before_save(plus(read, "c"), &tx, false)
        .await
        .unwrap();
    drop(announced);
    super::execute(&tx, r#"UPDATE documents SET tags = '["c"]' WHERE id = 'a'"#, []).await;
    let read = document::Entity::find_by_id("a").one(&tx).await.unwrap().unwrap();
    let mut change = plus(read, "b");
    let Set(tags) = &mut change.tags else { panic!() };
    tags.insert("a".to_owned());
    change.update(&tx).await.unwrap();
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
    assert_eq!(field(&replica, "a", "tags").await, json!(["a", "b", "c"]));
}

#[apply(on_each_database!)]
async fn whatever_happens_to_a_row_in_one_transaction_its_last_state_counts() {
    for (steps, epoch) in [("di", 3), ("did", 2), ("dididi", 3), ("d", 2), ("ud", 2), ("diu", 3)] {
        let replica = documents().await;
        draft("a").insert(&replica).await.unwrap();
        let tx = replica.begin().await.unwrap();
        for step in steps.chars() {
            match step {
                'd' => drop(draft("a").delete(&tx).await.unwrap()),
                'i' => drop(draft("a").insert(&tx).await.unwrap()),
                _ => document::ActiveModel::increment_view_count(&tx, "a", 1).await.unwrap(),
            }
        }
        tx.commit().await.unwrap();
        assert_agrees::<document::Entity, _>(&replica).await;
        assert_eq!(
            epochs(&replica, "documents").await,
            [("a".to_owned(), epoch)],
            "{steps}"
        );
    }
}
