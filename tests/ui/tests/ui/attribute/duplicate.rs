use grove_crdt::Crdt;
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
#[crdt(allow_auto_increment)]
#[crdt(allow_auto_increment)]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[crdt(lww)]
    #[crdt(lww)]
    pub title: String,
    #[crdt(counter, counter)]
    pub views: i64,
    #[crdt(default = 1, default = 2)]
    pub note: i32,
}

fn main() {}
