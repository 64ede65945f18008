//! The application's migrations: its own table, then the shadow of it.

use grove_crdt::migration::Migration as Replicated;
use sea_orm_migration::prelude::*;

use crate::models;

/// All of them.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(Documents),
            Box::new(Replicated::new("m0002_replicate").entity::<models::Entity>()),
        ]
    }
}

struct Documents;

impl MigrationName for Documents {
    fn name(&self) -> &'static str {
        "m0001_documents"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Documents {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let schema = sea_orm::Schema::new(manager.get_database_backend());
        manager
            .create_table(schema.create_table_from_entity(models::Entity))
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.drop_table(Table::drop().table(models::Entity).to_owned()).await
    }
}
