//! Rows that refer to rows which are not there, and rows which others still refer to: found for many rows at once, and
//! before a database that checks only when the transaction commits would fail it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::{DatabaseTransaction, Value};

use super::order::{places, tuple};
use crate::{
    entity::{Row, Table, key},
    error::Error,
    store::{
        catalog::{Action, Catalog, ForeignKey},
        references::present,
        row,
    },
};

/// Which foreign keys are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keys {
    All,
    /// Those that the database checks only when the transaction commits.
    Deferred,
    /// None: they are looked at once all is written.
    None,
}

impl Keys {
    pub(super) fn has(self, key: &ForeignKey) -> bool {
        match self {
            Self::All => true,
            Self::Deferred => key.deferred,
            Self::None => false,
        }
    }
}

/// The rows of `rows`, by place, that refer to a row which is not there and not among them either, with that one's table.
pub(super) async fn orphans(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    rows: &[&Row],
    keys: Keys,
) -> Result<BTreeMap<usize, String>, Error> {
    let mut missing = Vec::new();
    for key in catalog.parents_of(&table.name).filter(|key| keys.has(key)) {
        let Some(columns) = places(table, &key.child_columns) else {
            continue;
        };
        let references: Vec<_> = rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, tuple(row, &columns)?)))
            .collect();
        let tuples: Vec<_> = references.iter().map(|(_, (values, _))| values.clone()).collect();
        let there = present(tx, &key.parent, &key.parent_columns, &tuples).await?;
        let gone = references
            .into_iter()
            .enumerate()
            .filter(|(index, _)| !there.contains(index));
        let gone: Vec<_> = gone.map(|(_, (at, (_, text)))| (at, text)).collect();
        missing.push((key, gone));
    }
    Ok(settle(table, rows, &missing))
}

/// Those whose parent is not among `rows` either, or only as an orphan itself.
fn settle(table: &Table, rows: &[&Row], missing: &[(&ForeignKey, Vec<(usize, String)>)]) -> BTreeMap<usize, String> {
    let mut orphans: BTreeMap<usize, String> = BTreeMap::new();
    let given: Vec<HashMap<String, usize>> = missing.iter().map(|(key, _)| given_by(table, rows, key)).collect();
    loop {
        let before = orphans.len();
        for ((key, gone), given) in missing.iter().zip(&given) {
            for (at, parent) in gone {
                if given.get(parent).is_none_or(|at| orphans.contains_key(at)) {
                    orphans.insert(*at, key.parent.clone());
                }
            }
        }
        if orphans.len() == before {
            return orphans;
        }
    }
}

/// What rows of the table itself offer to a foreign key within it.
fn given_by(table: &Table, rows: &[&Row], key: &ForeignKey) -> HashMap<String, usize> {
    let columns = (key.parent == table.name)
        .then(|| places(table, &key.parent_columns))
        .flatten();
    let Some(columns) = columns else { return HashMap::new() };
    rows.iter()
        .enumerate()
        .filter_map(|(at, row)| Some((tuple(row, &columns)?.1, at)))
        .collect()
}

/// The rows of `rows`, by place, which a row refers to by a foreign key that lets no parent go in the end (`NO ACTION`); with the
/// child's table.
pub(super) async fn referred_to(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    rows: &[&Row],
    keys: Keys,
) -> Result<BTreeMap<usize, String>, Error> {
    let mut parents = BTreeMap::new();
    let keys = catalog
        .children_of(&table.name)
        .filter(|key| keys.has(key) && key.on_delete == Action::Refuse);
    for key in keys {
        let Some(columns) = places(table, &key.parent_columns) else {
            continue;
        };
        let offered: Vec<_> = rows
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, tuple(row, &columns)?)))
            .collect();
        let tuples: Vec<_> = offered.iter().map(|(_, (values, _))| values.clone()).collect();
        let mut there = present(tx, &key.child, &key.child_columns, &tuples).await?;
        if key.child == table.name && !there.is_empty() {
            there = kept_within(tx, table, key, rows, &offered, there).await?;
        }
        parents.extend(there.into_iter().map(|index| (offered[index].0, key.child.clone())));
    }
    Ok(parents)
}

/// The places in `offered` of the rows that are referred to by others of their table, which stay: those that are not among `rows`, or
/// are kept themselves.
async fn kept_within(
    tx: &DatabaseTransaction,
    table: &Table,
    key: &ForeignKey,
    rows: &[&Row],
    offered: &[(usize, (Vec<Value>, String))],
    there: BTreeSet<usize>,
) -> Result<BTreeSet<usize>, Error> {
    let Some(columns) = places(table, &key.child_columns) else {
        return Ok(there);
    };
    let tuples: Vec<_> = there.iter().map(|index| offered[*index].1.0.clone()).collect();
    let mut leaving = HashMap::new();
    for (index, (at, _)) in offered.iter().enumerate() {
        leaving.insert(key::of_row(table, rows[*at])?, index);
    }
    let mut children: HashMap<String, Vec<String>> = HashMap::new();
    for (pk, child) in row::with_tuples(tx, table, &columns, &tuples).await? {
        if let Some((_, text)) = tuple(&child, &columns) {
            children.entry(text).or_default().push(pk);
        }
    }
    let mut kept = BTreeSet::new();
    loop {
        let before = kept.len();
        for index in &there {
            let mut children = children.get(&offered[*index].1.1).into_iter().flatten();
            let stays = |pk: &String| leaving.get(pk).is_none_or(|child| kept.contains(child));
            if children.any(stays) {
                kept.insert(*index);
            }
        }
        if kept.len() == before {
            return Ok(kept);
        }
    }
}

/// The rows that were there before, by place, whose values some row still refers to though no row has them any more; with the child's
/// table. Of foreign keys by which the database does nothing to children.
pub(super) async fn left_behind(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    before: &[&Row],
    keys: Keys,
) -> Result<BTreeMap<usize, String>, Error> {
    let mut parents = BTreeMap::new();
    let passive = |key: &&ForeignKey| !key.on_delete.acts() || !key.on_update.acts();
    for key in catalog
        .children_of(&table.name)
        .filter(|key| keys.has(key))
        .filter(passive)
    {
        let Some(columns) = places(table, &key.parent_columns) else {
            continue;
        };
        let offered: Vec<_> = before
            .iter()
            .enumerate()
            .filter_map(|(at, row)| Some((at, tuple(row, &columns)?.0)))
            .collect();
        let tuples: Vec<_> = offered.iter().map(|(_, values)| values.clone()).collect();
        let referred = present(tx, &key.child, &key.child_columns, &tuples).await?;
        if referred.is_empty() {
            continue;
        }
        let there = present(tx, &key.parent, &key.parent_columns, &tuples).await?;
        let left = referred.difference(&there);
        parents.extend(left.map(|index| (offered[*index].0, key.child.clone())));
    }
    Ok(parents)
}

/// Whether a row refers to itself by a key.
pub(super) fn refers_to_itself(table: &Table, key: &ForeignKey, row: &Row) -> bool {
    let text = |names: &[String]| Some(tuple(row, &places(table, names)?)?.1);
    let refers = text(&key.child_columns);
    refers.is_some() && refers == text(&key.parent_columns)
}
