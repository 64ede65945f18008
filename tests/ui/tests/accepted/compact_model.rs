//! `#[sea_orm::compact_model]`: relations are written by hand beside the compact struct.

mod document {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::compact_model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        pub revisions: HasMany<super::revision::Entity>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(has_many = "super::revision::Entity")]
        Revision,
    }

    impl Related<super::revision::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Revision.def()
        }
    }
}

mod revision {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[sea_orm::compact_model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "revisions")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub document_id: String,
        pub document: HasOne<super::document::Entity>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "super::document::Entity",
            from = "Column::DocumentId",
            to = "super::document::Column::Id"
        )]
        Document,
    }

    impl Related<super::document::Entity> for Entity {
        fn to() -> RelationDef {
            Relation::Document.def()
        }
    }
}
