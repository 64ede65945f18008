//! Everything wrong is said at once, and using the entity adds nothing to it.

use grove_crdt::{Crdt, CrdtEntity};
use sea_orm::{DatabaseConnection, Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
#[crdt(behaviour = "manual")]
pub struct Model {
    #[sea_orm(primary_key)]
    #[crdt(lww)]
    pub id: i64,
    #[crdt(lww, set)]
    pub title: String,
    #[crdt(counter, counter)]
    pub views: i64,
    #[crdt(lw)]
    pub author: String,
    #[crdt(counter, default = 0)]
    pub likes: i32,
}

fn replicated<E: CrdtEntity>() {}

async fn used(db: &DatabaseConnection) -> Result<(), DbErr> {
    replicated::<Entity>();
    let row: Model = ActiveModel {
        title: Set("title".into()),
        ..Default::default()
    }
    .insert(db)
    .await?;
    ActiveModel::increment_views(db, row.id, 1).await
}

fn main() {}
