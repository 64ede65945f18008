use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{builder, cells, create_table, entities::document, memory, replica_of};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

#[tokio::test]
async fn an_insert_is_one_shadow_row() {
    let replica: Replica = replica_of::<document::Entity>("node-1").await;
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("Hello".into()),
        view_count: Set(3),
        tags: Set(OrSet::from(["go".to_owned(), "crdt".to_owned()])),
        author: Set(None),
    }
    .insert(&replica)
    .await
    .unwrap();
    assert_eq!(doc.view_count, 3);
    println!("{:#?}", cells(&replica, "documents").await);
    let mut doc = doc.into_active_model();
    doc.title = Set("World".into());
    let doc = doc.update(&replica).await.unwrap();
    document::ActiveModel::increment_view_count(&replica, "doc-1", 5).await.unwrap();
    println!("{:#?}", cells(&replica, "documents").await);
    println!("{}", replica.inspect::<document::Entity>("doc-1").await.unwrap());
    let mut tags = doc.tags.clone();
    tags.remove(&"go".to_owned());
    let mut doc = doc.into_active_model();
    doc.tags = Set(tags);
    doc.update(&replica).await.unwrap();
    println!("{}", replica.inspect::<document::Entity>("doc-1").await.unwrap());
    document::Entity::delete_by_id("doc-1").exec(&replica).await.unwrap();
    println!("{:#?}", cells(&replica, "documents").await);
    let _ = (builder("x"), create_table(&memory().await, document::Entity).await);
}
