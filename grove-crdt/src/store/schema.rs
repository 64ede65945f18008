//! The tables that replication adds to a database.
//!
//! Beside each replicated table stands its shadow, `_<table>_crdt`, in the same schema. Tables named `_grove_…` hold what
//! belongs to the replica as a whole. The user's tables are never altered.

use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, ColumnDef, Index, IntoIden, IntoTableRef, Table as TableDdl, TableCreateStatement, TableRef},
};

use crate::{entity::Table, store::dialect};

pub(crate) const REPLICA: &str = "_grove_replica";
pub(crate) const INCARNATIONS: &str = "_grove_incarnations";
pub(crate) const FIELDS: &str = "_grove_fields";
pub(crate) const PEERS: &str = "_grove_peers";
pub(crate) const NODES: &str = "_grove_nodes";
pub(crate) const PARKED: &str = "_grove_parked";
pub(crate) const DEAD_LETTERS: &str = "_grove_dead_letters";
pub(crate) const ADOPTIONS: &str = "_grove_adoptions";

/// The layout this library writes. A database with a newer one is not touched.
pub(crate) const LAYOUT: i32 = 1;

/// The name of a table's shadow.
pub(crate) fn shadow_name(table: &str) -> String {
    format!("_{table}_crdt")
}

/// A reference to a table's shadow.
pub(crate) fn shadow_ref(table: &Table) -> TableRef {
    qualified(table, shadow_name(&table.name))
}

/// A reference to the user's table.
pub(crate) fn table_ref(table: &Table) -> TableRef {
    qualified(table, table.name.clone())
}

fn qualified(table: &Table, name: String) -> TableRef {
    match &table.schema {
        Some(schema) => (Alias::new(schema), Alias::new(name)).into_table_ref(),
        None => Alias::new(name).into_table_ref(),
    }
}

/// Whether `name` is a table that only this library writes.
pub(crate) fn is_own(name: &str, tables: impl IntoIterator<Item = String>) -> bool {
    name.to_ascii_lowercase().starts_with("_grove_")
        || tables
            .into_iter()
            .any(|table| shadow_name(&table).eq_ignore_ascii_case(name))
}

/// Creates the tables of the replica as a whole, where they are missing.
pub(crate) async fn create_bookkeeping<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    for statement in bookkeeping() {
        conn.execute(&statement).await?;
    }
    Ok(())
}

/// Creates a table's shadow, where it is missing.
pub(crate) async fn create_shadow<C: ConnectionTrait>(conn: &C, table: &Table) -> Result<(), DbErr> {
    let mut shadow = TableDdl::create();
    shadow
        .table(shadow_ref(table))
        .if_not_exists()
        .col(text("pk").not_null())
        .col(text("field").not_null())
        .col(text("cell").not_null())
        .col(ColumnDef::new("epoch").integer().not_null())
        .col(ColumnDef::new("hlc_ts").big_integer().not_null())
        .col(ColumnDef::new("hlc_counter").big_integer().not_null())
        .col(text("node_id").not_null())
        .col(text("state").not_null())
        .col(ColumnDef::new("version").big_integer().not_null())
        .col(text("via"))
        .primary_key(Index::create().col("pk").col("field").col("cell"));
    conn.execute(&shadow).await?;
    dialect::create_index(conn, table.schema.as_deref(), &shadow_name(&table.name), "version").await
}

fn text(name: &'static str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.text();
    column
}

fn create(name: &'static str) -> TableCreateStatement {
    let mut table = TableDdl::create();
    table.table(name.into_iden()).if_not_exists();
    table
}

fn bookkeeping() -> Vec<TableCreateStatement> {
    vec![
        create(REPLICA)
            .col(ColumnDef::new("id").integer().not_null().primary_key())
            .col(ColumnDef::new("layout").integer().not_null())
            .col(text("replica_id").not_null())
            .col(ColumnDef::new("version_floor").big_integer().not_null())
            .take(),
        create(INCARNATIONS)
            .col(ColumnDef::new("seq").big_integer().not_null().primary_key())
            .col(text("id").not_null())
            .col(ColumnDef::new("from_version").big_integer().not_null())
            .take(),
        create(FIELDS)
            .col(text("table_name").not_null())
            .col(text("field").not_null())
            .col(text("kind").not_null())
            .primary_key(Index::create().col("table_name").col("field"))
            .take(),
        create(PEERS)
            .col(text("peer").not_null())
            .col(text("scope").not_null())
            .col(text("replica_id"))
            .col(text("pull_cursor"))
            .col(text("pushed").not_null())
            .primary_key(Index::create().col("peer").col("scope"))
            .take(),
        create(NODES)
            .col(text("node_id").not_null().primary_key())
            .col(text("replica_id").not_null())
            .take(),
        create(PARKED)
            .col(text("table_name").not_null())
            .col(text("pk").not_null())
            .col(text("reason").not_null())
            .col(text("detail").not_null())
            .col(ColumnDef::new("since").big_integer().not_null())
            .primary_key(Index::create().col("table_name").col("pk"))
            .take(),
        create(DEAD_LETTERS)
            .col(text("id").not_null().primary_key())
            .col(text("direction").not_null())
            .col(text("peer").not_null())
            .col(text("code").not_null())
            .col(text("message").not_null())
            .col(text("change").not_null())
            .col(ColumnDef::new("since").big_integer().not_null())
            .take(),
        create(ADOPTIONS)
            .col(text("table_name").not_null().primary_key())
            .col(text("after_pk").not_null())
            .take(),
    ]
}
