//! The shadow tables as a migration, for applications that create all their tables with `sea-orm-migration`.
//!
//! [`ReplicaBuilder::open`](crate::ReplicaBuilder::open) creates what is missing by itself; after this migration it finds nothing to do,
//! and its database account needs no right to create tables.
//!
//! ```
//! use grove_crdt::{CrdtEntity, migration::Migration};
//! use sea_orm_migration::{MigrationTrait, MigratorTrait};
//!
//! # struct CreateDocuments;
//! # impl sea_orm_migration::MigrationName for CreateDocuments { fn name(&self) -> &str { "m1" } }
//! # #[async_trait::async_trait]
//! # impl MigrationTrait for CreateDocuments {
//! #     async fn up(&self, _: &sea_orm_migration::SchemaManager) -> Result<(), sea_orm::DbErr> { Ok(()) }
//! # }
//! # mod document {
//! #     use grove_crdt::Crdt;
//! #     use sea_orm::entity::prelude::*;
//! #     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
//! #     #[sea_orm(table_name = "documents")]
//! #     pub struct Model { #[sea_orm(primary_key, auto_increment = false)] pub id: String, #[crdt(lww)] pub title: String }
//! #     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//! #     pub enum Relation {}
//! # }
//! struct Migrator;
//!
//! impl MigratorTrait for Migrator {
//!     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!         vec![
//!             Box::new(CreateDocuments),
//!             Box::new(Migration::new("m20260101_000002_replicate_documents").entity::<document::Entity>()),
//!         ]
//!     }
//! }
//! ```

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};

use crate::{
    entity::{CrdtEntity, Table},
    error::Error,
    store::{catalog::Catalog, schema, server::Server},
};

/// Creates the shadow tables of some entities, and the bookkeeping tables if need be; on the way down, drops them. See the
/// [module](self).
///
/// Going down forgets the history of these tables: a replica opened on the database afterwards has to
/// [adopt](crate::Replica::adopt) their rows. The bookkeeping tables go when no other table is replicated.
#[derive(Debug)]
pub struct Migration {
    name: String,
    tables: Vec<Result<Table, Error>>,
}

impl Migration {
    /// A migration of this name, under which the migrator remembers it: unique among its migrations, and in their order.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            tables: Vec::new(),
        }
    }

    /// Includes an entity's table.
    #[must_use]
    pub fn entity<E: CrdtEntity>(mut self) -> Self {
        self.tables.push(Table::of::<E>());
        self
    }

    fn tables(&self) -> Result<Vec<&Table>, DbErr> {
        let tables = self.tables.iter().map(|table| {
            let bad = |error: &Error| DbErr::Migration(error.to_string());
            table.as_ref().map_err(bad)
        });
        tables.collect()
    }
}

impl MigrationName for Migration {
    fn name(&self) -> &str {
        &self.name
    }
}

#[async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        create(conn, &self.tables()?).await.map_err(DbErr::from)
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let conn = manager.get_connection();
        schema::drop_shadows(conn, &self.tables()?).await
    }
}

async fn create<C: ConnectionTrait>(conn: &C, tables: &[&Table]) -> Result<(), Error> {
    let server = Server::of(conn).await?;
    let catalog = Catalog::load(conn).await?;
    schema::create_bookkeeping(conn, server, &catalog).await?;
    for table in tables {
        schema::create_shadow(conn, server, &catalog, table).await?;
    }
    Ok(())
}
