use grove_crdt::{Crdt, OrSet};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
#[crdt(allow_auto_increment = true)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[crdt(lww = true)]
    pub title: String,
    #[crdt(set(of = "String"))]
    pub tags: OrSet<String>,
}

fn main() {}
