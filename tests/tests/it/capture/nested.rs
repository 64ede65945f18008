//! `ActiveModelEx`: a row is saved with those that belong to it.

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, builder, cells, create_table, new_database};
use sea_orm::{EntityLoaderTrait as _, EntityTrait, IntoActiveModel as _, TransactionSession, TransactionTrait};

use super::execute;

mod author {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "authors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub name: String,
        #[crdt(counter)]
        pub fans: i64,
        #[sea_orm(has_many)]
        pub posts: HasMany<super::post::Entity>,
    }
}

mod post {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "posts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub author_id: Option<String>,
        #[crdt(set)]
        pub marks: OrSet<String>,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: BelongsTo<Option<super::author::Entity>>,
        #[sea_orm(has_many, via = "post_tag")]
        pub tags: HasMany<super::tag::Entity>,
    }
}

mod tag {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "tags")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub label: String,
        #[sea_orm(has_many, via = "post_tag")]
        pub posts: HasMany<super::post::Entity>,
    }
}

mod post_tag {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "post_tag")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub post_id: String,
        #[sea_orm(primary_key, auto_increment = false)]
        pub tag_id: String,
        #[sea_orm(belongs_to, from = "post_id", to = "id")]
        pub post: BelongsTo<super::post::Entity>,
        #[sea_orm(belongs_to, from = "tag_id", to = "id")]
        pub tag: BelongsTo<super::tag::Entity>,
    }
}

async fn blog() -> Replica {
    let db = new_database().await;
    create_table(&db, author::Entity).await.unwrap();
    create_table(&db, post::Entity).await.unwrap();
    create_table(&db, tag::Entity).await.unwrap();
    create_table(&db, post_tag::Entity).await.unwrap();
    let builder = builder("node-1").0.entity::<author::Entity>().entity::<post::Entity>();
    builder
        .entity::<tag::Entity>()
        .entity::<post_tag::Entity>()
        .open(db)
        .await
        .unwrap()
}

async fn agrees(replica: &Replica, rows: [usize; 4]) {
    assert_agrees::<author::Entity, _>(replica).await;
    assert_agrees::<post::Entity, _>(replica).await;
    assert_agrees::<tag::Entity, _>(replica).await;
    assert_agrees::<post_tag::Entity, _>(replica).await;
    let mut alive = [0; 4];
    for (count, table) in alive.iter_mut().zip(["authors", "posts", "tags", "post_tag"]) {
        *count = super::epochs(replica, table)
            .await
            .iter()
            .filter(|(_, epoch)| epoch % 2 == 1)
            .count();
    }
    assert_eq!(alive, rows);
}

fn author() -> author::ActiveModelEx {
    author::ActiveModel::builder()
        .set_id("ann")
        .set_name("Ann")
        .set_fans(1)
        .add_post(post("p1"))
        .add_post(post("p2"))
}

fn post(id: &str) -> post::ActiveModelEx {
    post::ActiveModel::builder()
        .set_id(id)
        .set_marks(grove_crdt::OrSet::from(["m".to_owned()]))
        .add_tag(tag::ActiveModel::builder().set_id(format!("{id}-tag")).set_label("l"))
}

#[apply(on_each_database!)]
async fn a_nested_insert_records_every_row() {
    let replica = blog().await;
    author().insert(&replica).await.unwrap();
    agrees(&replica, [1, 2, 2, 2]).await;
    let tx = replica.begin().await.unwrap();
    author::ActiveModel::builder()
        .set_id("bob")
        .set_name("B")
        .set_fans(0)
        .add_post(post("p3"))
        .insert(&tx)
        .await
        .unwrap();
    tx.rollback().await.unwrap();
    agrees(&replica, [1, 2, 2, 2]).await;
}

#[apply(on_each_database!)]
async fn a_nested_insert_that_fails_in_the_middle_leaves_no_trace() {
    let replica = blog().await;
    execute(&replica, "INSERT INTO tags VALUES ('x', 'x')", []).await;
    let tags = cells(&replica, "tags").await;
    author().add_post(post("p1")).insert(&replica).await.unwrap_err();
    agrees(&replica, [0, 0, 1, 0]).await;
    assert_eq!(cells(&replica, "tags").await, tags);
}

#[apply(on_each_database!)]
async fn a_nested_save_of_what_was_loaded_records_what_changed() {
    let replica = blog().await;
    author().insert(&replica).await.unwrap();
    let load = || author::Entity::load().with((post::Entity, tag::Entity));
    let ann = load().one(&replica).await.unwrap().unwrap();
    let mut ann = ann.into_active_model();
    ann.name = sea_orm::Set("Anna".into());
    let before = cells(&replica, "posts").await;
    ann.save(&replica).await.unwrap();
    agrees(&replica, [1, 2, 2, 2]).await;
    assert_eq!(cells(&replica, "posts").await, before);
    let row = author::Entity::find_by_id("ann").one(&replica).await.unwrap().unwrap();
    assert_eq!(row.name, "Anna");
}

#[apply(on_each_database!)]
async fn a_nested_delete_takes_along_what_belongs_to_it() {
    let replica = blog().await;
    author().insert(&replica).await.unwrap();
    let post = post::Entity::load()
        .filter_by_id("p1")
        .one(&replica)
        .await
        .unwrap()
        .unwrap();
    post.delete(&replica).await.unwrap();
    agrees(&replica, [1, 1, 2, 1]).await;
}
