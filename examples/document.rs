//! The table that the examples share, and how they open a replica of it.

use std::error::Error;

use grove_crdt::{Crdt, OrSet, Replica};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, Schema, entity::prelude::*};
use serde::Serialize;

/// A document: an ordinary SeaORM entity, whose `#[crdt(…)]` say how each column merges.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Serialize, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "documents")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    #[crdt(lww)]
    pub title: String,
    #[crdt(counter)]
    pub view_count: i64,
    #[crdt(set)]
    pub tags: OrSet<String>,
}

/// Opens a node's replica on a database, and creates the table first when it is not there.
pub async fn open(node: &str, url: &str) -> Result<Replica, Box<dyn Error>> {
    let mut options = ConnectOptions::new(url);
    if url.contains(":memory:") {
        // Each connection to memory would be a database of its own.
        options.max_connections(1);
    }
    let db = Database::connect(options).await?;
    let mut create = Schema::new(db.get_database_backend()).create_table_from_entity(Entity);
    db.execute(create.if_not_exists()).await?;
    Ok(Replica::builder(node).entity::<Entity>().open(db).await?)
}
