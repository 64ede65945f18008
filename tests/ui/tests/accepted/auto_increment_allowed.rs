//! `allow_auto_increment` permits a key that the database counts.

mod document {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    #[crdt(allow_auto_increment)]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        #[crdt(lww)]
        pub title: String,
    }
}
