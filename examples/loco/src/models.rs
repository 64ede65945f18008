//! The documents.

use grove_crdt::{Crdt, OrSet};
use sea_orm::entity::prelude::*;
use serde::Serialize;

/// A document.
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

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}
