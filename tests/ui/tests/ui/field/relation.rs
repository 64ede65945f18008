use grove_crdt::Crdt;
use sea_orm::entity::prelude::*;

mod author {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "authors")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub name: String,
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[crdt(lww)]
    pub author_id: String,
    #[sea_orm(belongs_to, from = "author_id", to = "id")]
    #[crdt(lww)]
    pub author: HasOne<author::Entity>,
}

fn main() {}
