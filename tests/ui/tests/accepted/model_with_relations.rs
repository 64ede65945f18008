//! `#[sea_orm::model]`: the derive sees `Model` and `ModelEx`, and the generated writes of `ActiveModelEx` go through
//! those of `ActiveModel`.

mod author {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "authors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[crdt(lww)]
        pub name: String,
        #[sea_orm(has_many)]
        pub posts: HasMany<super::post::Entity>,
    }
}

mod post {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "posts")]
    #[crdt(behavior = "manual")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[crdt(lww)]
        pub author_id: Option<Uuid>,
        #[crdt(lww)]
        pub parent_id: Option<Uuid>,
        #[crdt(counter)]
        pub likes: i32,
        #[crdt(set)]
        pub tags: OrSet<String>,
        #[crdt(default = 7)]
        pub draft: i32,
        #[sea_orm(belongs_to, from = "author_id", to = "id")]
        pub author: BelongsTo<Option<super::author::Entity>>,
        #[sea_orm(self_ref, relation_enum = "Parent", from = "parent_id", to = "id")]
        pub parent: HasOne<Entity>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

use sea_orm::{ConnectionTrait, DbErr, Set, TransactionTrait};

#[allow(dead_code)]
async fn nested<C: ConnectionTrait + TransactionTrait>(db: &C) -> Result<(), DbErr> {
    let id = sea_orm::prelude::Uuid::nil();
    let author: author::ModelEx = author::ActiveModel::builder()
        .set_id(id)
        .set_name("Ada")
        .add_post(post::ActiveModel::builder().set_id(id).set_likes(0))
        .insert(db)
        .await?;
    let row: author::Model = author::ActiveModel {
        id: Set(author.id),
        ..Default::default()
    }
    .update(db)
    .await?;
    post::ActiveModel::increment_likes(db, row.id, 5).await
}
