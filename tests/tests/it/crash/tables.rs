//! What is written while it crashes: documents, comments that go with them, and a journal.

use grove_crdt::{Replica, ReplicaBuilder};
use grove_crdt_tests::{create_table, entities::document};
use sea_orm::DatabaseConnection;

pub(super) mod comment {
    use grove_crdt::Crdt;
    use grove_crdt_tests::entities::document;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "comments")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub document_id: String,
        #[crdt(lww)]
        pub body: String,
        #[crdt(counter)]
        pub likes: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {
        #[sea_orm(
            belongs_to = "document::Entity",
            from = "Column::DocumentId",
            to = "document::Column::Id",
            on_delete = "Cascade"
        )]
        Document,
    }
}

pub(super) mod entry {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "journal")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub node: String,
        #[crdt(lww)]
        pub amount: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

pub(super) async fn create(db: &DatabaseConnection) {
    create_table(db, document::Entity).await.expect("a table");
    create_table(db, comment::Entity).await.expect("a table");
    create_table(db, entry::Entity).await.expect("a table");
}

pub(super) fn builder(node: &str) -> ReplicaBuilder {
    Replica::builder(node)
        .entity::<document::Entity>()
        .entity::<comment::Entity>()
        .entity::<entry::Entity>()
        .node_lease(std::time::Duration::from_secs(1))
}
