use grove_crdt::{Crdt, OrSet};
use sea_orm::entity::prelude::*;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[crdt(set)]
    pub tags: String,
    #[crdt(set)]
    pub words: Vec<u8>,
    #[crdt(set)]
    pub maybe: Option<OrSet<String>>,
}

fn main() {}
