//! The tables that replication adds to a database.
//!
//! Beside each replicated table stands its shadow, `_<table>_crdt`, in the same schema. Tables named `_grove_…` hold what
//! belongs to the replica as a whole. The user's tables are never altered.

use std::fmt::Write as _;

#[cfg(feature = "migration")]
use sea_orm::sea_query::{Expr, ExprTrait as _, Query};
use sea_orm::{
    ConnectionTrait, DbErr,
    sea_query::{Alias, ColumnDef, Index, IntoIden, IntoTableRef, Table as TableDdl, TableCreateStatement, TableRef},
};
use sha2::{Digest as _, Sha256};

use crate::{
    entity::{Table, key::MAX_KEY},
    store::{catalog::Catalog, dialect, server::Server},
};

pub(crate) const REPLICA: &str = "_grove_replica";
pub(crate) const INCARNATIONS: &str = "_grove_incarnations";
pub(crate) const FIELDS: &str = "_grove_fields";
pub(crate) const PEERS: &str = "_grove_peers";
pub(crate) const NODES: &str = "_grove_nodes";
pub(crate) const LEASES: &str = "_grove_leases";
pub(crate) const PARKED: &str = "_grove_parked";
pub(crate) const DEAD_LETTERS: &str = "_grove_dead_letters";
pub(crate) const ADOPTIONS: &str = "_grove_adoptions";
pub(crate) const INEXACT: &str = "_grove_inexact";

/// The layout this library writes. A database with a newer one is not touched.
pub(crate) const LAYOUT: i32 = 1;

/// The longest name of a field, in bytes.
pub(crate) const MAX_FIELD: usize = 64;

/// The longest text that is part of a bookkeeping table's key, in bytes. With a key, a field and a cell of this length, a
/// shadow's primary key just fits MySQL's 3,072 bytes.
pub(crate) const MAX_NAME: usize = 191;

/// The longest name of a shadow: PostgreSQL cuts names off at 63 bytes, and its index adds to it.
const MAX_SHADOW: usize = 55;

/// The name of a table's shadow. A long table name is cut off and told apart by a hash.
pub(crate) fn shadow_name(table: &str) -> String {
    let name = format!("_{table}_crdt");
    if name.len() <= MAX_SHADOW {
        return name;
    }
    let mut hash = String::new();
    for byte in &Sha256::digest(table)[..6] {
        // Writing to a String can't fail.
        let _ = write!(hash, "{byte:02x}");
    }
    let kept = table.floor_char_boundary(MAX_SHADOW - "__".len() - hash.len() - "_crdt".len());
    format!("_{}_{hash}_crdt", &table[..kept])
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

/// Creates the tables of the replica as a whole, as far as the catalog does not have them.
pub(crate) async fn create_bookkeeping<C: ConnectionTrait>(
    conn: &C,
    server: Server,
    catalog: &Catalog,
) -> Result<(), DbErr> {
    for (name, statement) in bookkeeping(server) {
        if catalog.columns(name).is_none() {
            conn.execute(&statement).await?;
        }
    }
    // It came after the table.
    if catalog
        .columns(DEAD_LETTERS)
        .is_some_and(|columns| !columns.contains("later"))
    {
        let add = TableDdl::alter().table(DEAD_LETTERS).add_column(later()).take();
        conn.execute(&add).await?;
    }
    Ok(())
}

/// Whether a dead letter was refused for now only. With a default, for programs of before that share the database.
fn later() -> ColumnDef {
    ColumnDef::new("later").integer().not_null().default(0).take()
}

/// Creates a table's shadow, unless the catalog has it.
pub(crate) async fn create_shadow<C: ConnectionTrait>(
    conn: &C,
    server: Server,
    catalog: &Catalog,
    table: &Table,
) -> Result<(), DbErr> {
    let name = shadow_name(&table.name);
    if table.schema.is_none() && catalog.columns(&name).is_some() {
        return Ok(());
    }
    // A statement of many rows that may break a rule can be taken back: for that, SQLite keeps the pages that it changes in a
    // file. Nobody else writes a shadow, so there it has no such rule.
    let required = |mut column: ColumnDef| match server {
        Server::Sqlite => column,
        _ => column.not_null().take(),
    };
    let number = |name: &'static str| ColumnDef::new(name).big_integer().take();
    let mut shadow = TableDdl::create();
    shadow
        .table(shadow_ref(table))
        .if_not_exists()
        .col(required(key_text(server, "pk", MAX_KEY)))
        .col(required(key_text(server, "field", MAX_FIELD)))
        .col(required(key_text(server, "cell", MAX_NAME)))
        .col(required(number("epoch")))
        .col(required(number("hlc_ts")))
        .col(required(number("hlc_counter")))
        .col(required(key_text(server, "node_id", MAX_FIELD)))
        .col(required(text(server, "state")))
        .col(required(number("version")))
        .col(key_text(server, "via", MAX_NAME))
        .primary_key(Index::create().col("pk").col("field").col("cell"));
    dialect::create_with_index(conn, shadow, table.schema.as_deref(), &name, "version").await
}

/// Drops the shadows of tables and what is kept of them; the bookkeeping tables too, when no other table has a history here.
#[cfg(feature = "migration")]
pub(crate) async fn drop_shadows<C: ConnectionTrait>(conn: &C, tables: &[&Table]) -> Result<(), DbErr> {
    for table in tables {
        let shadow = TableDdl::drop().table(shadow_ref(table)).if_exists().take();
        conn.execute(&shadow).await?;
    }
    let catalog = Catalog::load(conn).await?;
    if catalog.columns(FIELDS).is_none() {
        return Ok(());
    }
    for own in [FIELDS, PARKED, ADOPTIONS] {
        let names = tables.iter().map(|table| table.name.as_str());
        let delete = Query::delete()
            .from_table(own)
            .and_where(Expr::col("table_name").is_in(names))
            .take();
        conn.execute(&delete).await?;
    }
    let left = Query::select().column("table_name").from(FIELDS).limit(1).take();
    if conn.query_one(&left).await?.is_some() {
        return Ok(());
    }
    for (name, _) in bookkeeping(Server::Sqlite) {
        let bookkeeping = TableDdl::drop().table(name).if_exists().take();
        conn.execute(&bookkeeping).await?;
    }
    Ok(())
}

/// A text of any length, compared byte by byte.
fn text(server: Server, name: &'static str) -> ColumnDef {
    typed(name, &dialect::text_type(server, None))
}

/// A text of some length in bytes that can be part of a key.
fn key_text(server: Server, name: &'static str, length: usize) -> ColumnDef {
    typed(name, &dialect::text_type(server, Some(length)))
}

fn typed(name: &'static str, sql: &str) -> ColumnDef {
    let mut column = ColumnDef::new(name);
    column.custom(Alias::new(sql));
    column
}

fn create(name: &'static str) -> TableCreateStatement {
    let mut table = TableDdl::create();
    table.table(name.into_iden()).if_not_exists();
    table
}

/// The bookkeeping tables by name.
pub(crate) fn bookkeeping(server: Server) -> Vec<(&'static str, TableCreateStatement)> {
    let text = |name| text(server, name);
    let name = |name| key_text(server, name, MAX_NAME);
    vec![
        (
            REPLICA,
            create(REPLICA)
                .col(ColumnDef::new("id").integer().not_null().primary_key())
                .col(ColumnDef::new("layout").integer().not_null())
                .col(name("replica_id").not_null())
                .col(ColumnDef::new("version_floor").big_integer().not_null())
                .col(ColumnDef::new("version_offset").big_integer().not_null())
                .take(),
        ),
        (
            INCARNATIONS,
            create(INCARNATIONS)
                .col(ColumnDef::new("seq").big_integer().not_null().primary_key())
                .col(name("id").not_null())
                .col(ColumnDef::new("from_version").big_integer().not_null())
                .take(),
        ),
        (
            FIELDS,
            create(FIELDS)
                .col(name("table_name").not_null())
                .col(name("field").not_null())
                .col(name("kind").not_null())
                .primary_key(Index::create().col("table_name").col("field"))
                .take(),
        ),
        (
            PEERS,
            create(PEERS)
                .col(name("peer").not_null())
                .col(name("scope").not_null())
                .col(name("replica_id"))
                .col(text("pull_cursor"))
                .col(text("pushed").not_null())
                .primary_key(Index::create().col("peer").col("scope"))
                .take(),
        ),
        (
            NODES,
            create(NODES)
                .col(name("node_id").not_null().primary_key())
                .col(name("replica_id").not_null())
                .take(),
        ),
        (
            LEASES,
            create(LEASES)
                .col(name("node_id").not_null().primary_key())
                .col(name("holder").not_null())
                .col(ColumnDef::new("until").big_integer().not_null())
                .take(),
        ),
        (
            PARKED,
            create(PARKED)
                .col(name("table_name").not_null())
                .col(key_text(server, "pk", MAX_KEY).not_null())
                .col(name("reason").not_null())
                .col(text("constraint_name"))
                .col(text("holder"))
                .col(text("detail").not_null())
                .col(ColumnDef::new("since").big_integer().not_null())
                .primary_key(Index::create().col("table_name").col("pk"))
                .take(),
        ),
        (DEAD_LETTERS, dead_letters(server)),
        (
            ADOPTIONS,
            create(ADOPTIONS)
                .col(name("table_name").not_null().primary_key())
                .col(key_text(server, "after_pk", MAX_KEY).not_null())
                .take(),
        ),
        (
            INEXACT,
            create(INEXACT)
                .col(name("table_name").not_null())
                .col(key_text(server, "pk", MAX_KEY).not_null())
                .col(key_text(server, "field", MAX_FIELD).not_null())
                .col(name("value").not_null())
                .col(name("shown").not_null())
                .primary_key(Index::create().col("table_name").col("pk").col("field"))
                .take(),
        ),
    ]
}

fn dead_letters(server: Server) -> TableCreateStatement {
    let text = |name| text(server, name);
    let name = |name| key_text(server, name, MAX_NAME);
    create(DEAD_LETTERS)
        .col(name("id").not_null().primary_key())
        .col(name("direction").not_null())
        .col(text("peer").not_null())
        .col(name("code").not_null())
        .col(text("message").not_null())
        .col(later())
        .col(text("change").not_null())
        .col(ColumnDef::new("since").big_integer().not_null())
        .take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shadows_name_fits_every_database_and_tells_tables_apart() {
        assert_eq!(shadow_name("documents"), "_documents_crdt");
        let (a, b) = ("ü".repeat(40) + "a", "ü".repeat(40) + "b");
        assert!(shadow_name(&a).len() <= MAX_SHADOW, "{}", shadow_name(&a));
        assert_ne!(shadow_name(&a), shadow_name(&b));
    }
}
