//! The catalog of SQLite's main schema.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::{ConnectionTrait, DbErr, QueryResult, Statement};

use super::{
    Catalog,
    table::{Action, Column, ForeignKey, Storage, Tables, UniqueKey, cased_column, cased_table},
};

const COLUMNS: &str = "SELECT m.name, c.name, c.hidden, c.pk, c.type, c.\"notnull\", \
    EXISTS (SELECT 1 FROM sqlite_master t WHERE t.type = 'trigger' AND lower(t.tbl_name) = lower(m.name)) \
    FROM sqlite_master m, pragma_table_xinfo(m.name) c WHERE m.type = 'table' ORDER BY m.name, c.cid";

const FOREIGN_KEYS: &str = "SELECT m.name, f.id, f.seq, f.\"table\", f.\"from\", f.\"to\", f.on_delete, f.on_update, \
    m.sql LIKE '%DEFERRED%' AND (SELECT foreign_keys FROM pragma_foreign_keys) \
    FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table' ORDER BY m.name, f.id, f.seq";

const INDEXES: &str = "SELECT m.name, i.name, i.origin, i.partial, c.name, upper(c.coll) <> 'BINARY' \
    FROM sqlite_master m, pragma_index_list(m.name) i, pragma_index_xinfo(i.name) c \
    WHERE m.type = 'table' AND i.\"unique\" AND c.key ORDER BY m.name, i.seq, c.seqno";

pub(super) async fn load<C: ConnectionTrait>(conn: &C) -> Result<Catalog, DbErr> {
    let mut tables = tables(&query(conn, COLUMNS).await?)?;
    add_unique_keys(&mut tables, &query(conn, INDEXES).await?)?;
    let foreign_keys = foreign_keys(&tables, &query(conn, FOREIGN_KEYS).await?)?;
    Ok(Catalog {
        tables,
        foreign_keys,
        folds_case: true,
    })
}

async fn query<C: ConnectionTrait>(conn: &C, sql: &str) -> Result<Vec<QueryResult>, DbErr> {
    conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await
}

fn tables(rows: &[QueryResult]) -> Result<Tables, DbErr> {
    let mut tables = Tables::new();
    let mut keys: BTreeMap<String, BTreeMap<i64, String>> = BTreeMap::new();
    for row in rows {
        let name: String = row.try_get_by_index(0)?;
        let column: String = row.try_get_by_index(1)?;
        let hidden: i64 = row.try_get_by_index(2)?;
        let place: i64 = row.try_get_by_index(3)?;
        let declared: String = row.try_get_by_index(4)?;
        let not_null: bool = row.try_get_by_index(5)?;
        if place > 0 {
            keys.entry(name.clone()).or_default().insert(place, column.clone());
        }
        let table = tables.entry(name).or_default();
        table.altered = row.try_get_by_index(6)?;
        let generated = hidden == 2 || hidden == 3;
        if !generated {
            table.insertable.push(column.clone());
        }
        table.columns.push(Column {
            name: column,
            generated,
            nullable: !not_null,
            loose: false,
            storage: Storage {
                data_type: type_name(&declared),
                ..Storage::default()
            },
        });
    }
    for (name, columns) in keys {
        let key = UniqueKey {
            columns: columns.into_values().collect(),
            ..UniqueKey::plain(String::new())
        };
        tables.entry(name).or_default().primary = Some(key);
    }
    Ok(tables)
}

fn type_name(declared: &str) -> String {
    let name = declared.split('(').next().unwrap_or_default();
    name.trim().to_ascii_lowercase()
}

/// Adds the indexes. That of a primary key tells its collations, and is the key's name; a key that is the row's number
/// has none.
fn add_unique_keys(tables: &mut Tables, rows: &[QueryResult]) -> Result<(), DbErr> {
    for row in rows {
        let Some(table) = tables.get_mut(&row.try_get_by_index::<String>(0)?) else {
            continue;
        };
        let name: String = row.try_get_by_index(1)?;
        let column: Option<String> = row.try_get_by_index(4)?;
        if row.try_get_by_index::<String>(2)? == "pk" {
            table.loose_key |= row.try_get_by_index::<Option<bool>>(5)?.unwrap_or(false);
            if let Some(key) = &mut table.primary {
                key.name = name;
            }
            continue;
        }
        let partial: bool = row.try_get_by_index(3)?;
        let exact = !partial && column.is_some();
        let key = table.unique_named(name);
        key.exact &= exact;
        key.loose |= row.try_get_by_index::<Option<bool>>(5)?.unwrap_or(false);
        key.columns.extend(column);
    }
    Ok(())
}

fn foreign_keys(tables: &Tables, rows: &[QueryResult]) -> Result<Vec<ForeignKey>, DbErr> {
    let mut found: BTreeMap<(String, i64), ForeignKey> = BTreeMap::new();
    for row in rows {
        let child: String = row.try_get_by_index(0)?;
        let parent = cased_table(tables, row.try_get_by_index(3)?);
        let sequence: i64 = row.try_get_by_index(2)?;
        let to: Option<String> = row.try_get_by_index(5)?;
        // Without named columns, a foreign key means the parent's primary key.
        let implied = || {
            let key = tables.get(&parent)?.primary.as_ref()?;
            key.columns.get(usize::try_from(sequence).ok()?).cloned()
        };
        let to = to.or_else(implied).unwrap_or_default();
        let parent_column = cased_column(tables, &parent, to);
        let child_column = cased_column(tables, &child, row.try_get_by_index(4)?);
        let on_delete = Action::named(&row.try_get_by_index::<String>(6)?);
        let on_update = Action::named(&row.try_get_by_index::<String>(7)?);
        // The catalog does not say which key of a table it is; all of them is the safe side.
        let deferred = row.try_get_by_index::<Option<bool>>(8)?.unwrap_or(false);
        let key = found
            .entry((child.clone(), row.try_get_by_index(1)?))
            .or_insert_with(|| ForeignKey {
                child,
                child_columns: Vec::new(),
                parent,
                parent_columns: Vec::new(),
                on_delete,
                on_update,
                deferred,
            });
        key.child_columns.push(child_column);
        key.parent_columns.push(parent_column);
    }
    Ok(found.into_values().collect())
}

/// The tables whose definition says `ON CONFLICT REPLACE`.
pub(super) async fn replacing<C: ConnectionTrait>(conn: &C) -> Result<BTreeSet<String>, DbErr> {
    let definitions = "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND sql IS NOT NULL";
    let mut tables = BTreeSet::new();
    for row in query(conn, definitions).await? {
        let definition: String = row.try_get_by_index(1)?;
        let words: Vec<_> = definition
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_uppercase)
            .collect();
        if words.windows(3).any(|three| three == ["ON", "CONFLICT", "REPLACE"]) {
            tables.insert(row.try_get_by_index(0)?);
        }
    }
    Ok(tables)
}
