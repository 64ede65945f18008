//! Rows that want each other's unique values: no order of writing them one by one will do, so all give up what they have
//! before any takes what it wants.

use std::collections::BTreeSet;

use sea_orm::{DatabaseTransaction, DbErr, TransactionTrait as _, Value, sea_query::ArrayType};

use crate::{
    entity::{Role, Row, Table},
    error::Error,
    replica::attempt::Broken,
    store::{catalog::Catalog, constraint, row},
};

/// A row that the database refused because another has its unique value.
#[derive(Debug)]
pub(super) struct Contested {
    pub columns: Vec<usize>,
    pub update: Vec<usize>,
    pub row: Row,
    /// Whether there is a row under its key, which may have what another wants.
    pub there: bool,
    pub broken: Broken,
}

/// How many rows are tried together: each try takes statements for every row.
const MAX_ROWS: usize = 100;

/// Writes the rows that can be written together, and returns the others.
pub(super) async fn resolve(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    contested: Vec<Contested>,
) -> Result<Vec<Contested>, Error> {
    let (mut ring, mut left): (Vec<_>, Vec<_>) = contested.into_iter().partition(|contested| contested.there);
    if ring.len() < 2 {
        left.append(&mut ring);
        return Ok(left);
    }
    left.extend(ring.drain(MAX_ROWS.min(ring.len())..));
    let unique = catalog.unique_columns(&table.name);
    let free = freeable(catalog, table, &unique);
    // A row that fails among the others wants what an outsider has: the rest may do without it.
    while ring.len() >= 2 && !free.is_empty() {
        let savepoint = tx.begin().await?;
        let failed = match write_ring(&savepoint, table, &free, &ring).await {
            Ok(failed) if failed.is_empty() => {
                savepoint.commit().await?;
                return Ok(left);
            }
            Ok(failed) => failed,
            Err(error) => {
                constraint::broken(&error).ok_or(error)?;
                savepoint.rollback().await?;
                break;
            }
        };
        savepoint.rollback().await?;
        for at in failed.into_iter().rev() {
            left.push(ring.remove(at));
        }
    }
    left.append(&mut ring);
    Ok(left)
}

/// Frees what the rows have and writes what they want. Returns the places of those that were refused.
async fn write_ring(
    tx: &DatabaseTransaction,
    table: &Table,
    free: &[Freeable],
    ring: &[Contested],
) -> Result<Vec<usize>, DbErr> {
    for (at, contested) in ring.iter().enumerate() {
        let key: Vec<_> = table.key.iter().map(|index| contested.row[*index].clone()).collect();
        for column in free {
            row::set(tx, table, &key, column.place, column.stand_in(at)).await?;
        }
    }
    let mut failed = Vec::new();
    for (at, contested) in ring.iter().enumerate() {
        let savepoint = tx.begin().await?;
        let target = row::Target {
            table,
            columns: &contested.columns,
            update: &contested.update,
        };
        match row::write(&savepoint, target, &[&contested.row], |_| true).await {
            Ok(()) => savepoint.commit().await?,
            Err(error) => {
                constraint::broken(&error).ok_or(error)?;
                savepoint.rollback().await?;
                failed.push(at);
            }
        }
    }
    Ok(failed)
}

/// A unique column that can hold something else for a moment.
struct Freeable {
    place: usize,
    nullable: bool,
    value_type: ArrayType,
}

impl Freeable {
    /// A value that nobody wants.
    fn stand_in(&self, at: usize) -> Value {
        if self.nullable {
            return null_of(&self.value_type);
        }
        let small = i32::try_from(at).unwrap_or_default();
        match self.value_type {
            ArrayType::Int => (i32::MAX - small).into(),
            ArrayType::BigInt => (i64::MAX - i64::from(small)).into(),
            _ => format!("~grove~{at}").into(),
        }
    }
}

fn null_of(value_type: &ArrayType) -> Value {
    match value_type {
        ArrayType::Int => Value::Int(None),
        ArrayType::BigInt => Value::BigInt(None),
        _ => Value::String(None),
    }
}

/// The unique columns that nobody else depends on, as far as there is something to put into them.
fn freeable(catalog: &Catalog, table: &Table, unique: &BTreeSet<(String, bool)>) -> Vec<Freeable> {
    let is_parent = |name: &str| {
        let mut names = catalog.children_of(&table.name).flat_map(|key| &key.parent_columns);
        names.any(|parent| parent.eq_ignore_ascii_case(name))
    };
    let is_child = |name: &str| {
        let mut names = catalog.parents_of(&table.name).flat_map(|key| &key.child_columns);
        names.any(|child| child.eq_ignore_ascii_case(name))
    };
    let columns = unique.iter().filter_map(|(name, nullable)| {
        let (place, column) = table.column(name)?;
        let replicated = matches!(column.role, Role::Replicated(_));
        let typed = matches!(
            column.value_type,
            ArrayType::Int | ArrayType::BigInt | ArrayType::String
        );
        let usable = *nullable || (typed && !is_child(name));
        (replicated && usable && !is_parent(name)).then(|| Freeable {
            place,
            nullable: *nullable,
            value_type: column.value_type.clone(),
        })
    });
    columns.collect()
}
