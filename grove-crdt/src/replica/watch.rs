//! Capturing a write by what it did: the affected rows before and after.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};
use sqlparser::ast;

use crate::{
    entity::{Registry, Row, Table, key},
    error::Error,
    replica::{
        effect::{Effect, What, difference},
        foreign_keys::{Cascade, Parents},
        insert,
        selection::Selection,
        session::Answer,
        statement::{Write, WriteKind, refusal},
    },
    store::{catalog::Catalog, row},
    types::{Kind, canonical},
};

/// The rows a statement may change, as they were.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    tables: BTreeMap<String, Watched>,
    /// The keys of inserted rows are in the answer, because the database makes them; and whether it is one row at most.
    pub(super) keys_in_answer: Option<(Arc<Table>, bool)>,
    /// How many rows of its table the statement may write; unknown for an insert, which tells by its result.
    expected: Option<usize>,
    /// The replicated table that the statement itself inserts into, when each row it writes must be new.
    pub(super) all_new: Option<String>,
}

#[derive(Debug)]
struct Watched {
    table: Arc<Table>,
    keys: HashMap<String, Vec<Value>>,
    /// Keys whose text is not known before the rows are read.
    raw_keys: Vec<Vec<Value>>,
    before: HashMap<String, Row>,
}

impl Watch {
    fn watched(&mut self, table: &Arc<Table>) -> &mut Watched {
        self.tables.entry(table.name.clone()).or_insert_with(|| Watched {
            table: table.clone(),
            keys: HashMap::new(),
            raw_keys: Vec::new(),
            before: HashMap::new(),
        })
    }

    /// Watches rows that are there. Returns the keys of those that were not watched yet.
    pub(super) fn rows(&mut self, table: &Arc<Table>, rows: Vec<Row>) -> Result<Vec<Vec<Value>>, Error> {
        let watched = self.watched(table);
        let mut fresh = Vec::new();
        for row in rows {
            let pk = key::of_row(table, &row)?;
            let values: Vec<_> = table.key.iter().map(|index| row[*index].clone()).collect();
            if watched.keys.insert(pk.clone(), values.clone()).is_none() {
                fresh.push(values);
                watched.before.insert(pk, row);
            }
        }
        Ok(fresh)
    }

    /// The rows that are watched, as they were.
    pub(super) fn into_before(self) -> impl Iterator<Item = (Arc<Table>, HashMap<String, Row>)> {
        self.tables.into_values().map(|watched| (watched.table, watched.before))
    }

    /// Watches keys under which there may be rows afterwards.
    pub(super) fn keys(&mut self, table: &Arc<Table>, keys: Vec<Vec<Value>>) {
        self.watched(table).raw_keys.extend(keys);
    }
}

/// Finds the rows that a write may change.
pub(crate) async fn before(
    tx: &DatabaseTransaction,
    registry: &Registry,
    catalog: &Catalog,
    write: &Write,
) -> Result<Watch, Error> {
    let mut watch = Watch::default();
    match &write.kind {
        WriteKind::Insert(insert) => {
            insert::before(tx, registry, catalog, write, insert, &mut watch).await?;
        }
        WriteKind::Update(update) => {
            before_update(tx, registry, catalog, write, update, &mut watch).await?;
        }
        WriteKind::Delete(_) => {
            let selection = Selection::new(write, tx.get_database_backend());
            selection.check()?;
            if let Some(table) = registry.get(write.table()) {
                let rows = selection.rows(tx, table).await?;
                watch.expected = Some(rows.len());
                if watch.rows(table, rows)?.is_empty() {
                    return Ok(watch);
                }
            }
            let cascade = Cascade { tx, registry, catalog };
            cascade.of_delete(&Parents::Selected(&selection), &mut watch, 0).await?;
        }
    }
    Ok(watch)
}

async fn before_update(
    tx: &DatabaseTransaction,
    registry: &Registry,
    catalog: &Catalog,
    write: &Write,
    update: &ast::Update,
    watch: &mut Watch,
) -> Result<(), Error> {
    if matches!(
        update.or,
        Some(ast::SqliteOnConflict::Replace | ast::SqliteOnConflict::Fail | ast::SqliteOnConflict::Rollback)
    ) {
        return Err(refusal(
            format!("an `UPDATE OR …` of `{}`", write.table()),
            "update without it",
        ));
    }
    let selection = Selection::new(write, tx.get_database_backend());
    selection.check()?;
    let assigned = assigned_columns(&update.assignments);
    if let Some(table) = registry.get(write.table()) {
        let rows = selection.rows(tx, table).await?;
        watch.expected = Some(rows.len());
        if rows.is_empty() {
            return Ok(());
        }
        watch.rows(table, rows)?;
        let moves_key = table
            .key_columns()
            .any(|column| assigned.iter().any(|a| a.eq_ignore_ascii_case(&column.name)));
        if moves_key {
            let moved = selection.rows_with(tx, table, &update.assignments).await?;
            let keys = moved
                .iter()
                .map(|row| table.key.iter().map(|index| row[*index].clone()).collect());
            watch.keys(table, keys.collect());
        }
    }
    let cascade = Cascade { tx, registry, catalog };
    let parents = Parents::Selected(&selection);
    cascade.of_update(&parents, &assigned, watch, 0).await
}

/// The names of the columns that assignments write.
pub(super) fn assigned_columns(assignments: &[ast::Assignment]) -> Vec<String> {
    let names = assignments.iter().flat_map(|assignment| match &assignment.target {
        ast::AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
        ast::AssignmentTarget::Tuple(names) => names.as_slice(),
    });
    names
        .filter_map(|name| Some(name.0.last()?.as_ident()?.value.clone()))
        .collect()
}

/// Reads the rows again and tells what was done to each.
///
/// # Errors
///
/// The statement wrote more rows than were watched.
pub(crate) async fn after(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    mut watch: Watch,
    answer: &Answer,
) -> Result<Vec<Effect>, Error> {
    let written = answer.rows_written();
    if let (Some(expected), Some(written)) = (watch.expected, written)
        && written > expected
    {
        return Err(escaped(written - expected));
    }
    if let Some((table, single)) = watch.keys_in_answer.take() {
        let keys = insert::keys_in_answer(&table, single, answer)?;
        watch.keys(&table, keys);
    }
    let mut effects = Vec::new();
    for watched in watch.tables.into_values() {
        effects_on(tx, catalog, watched, &mut effects).await?;
    }
    if let (Some(table), Some(written)) = (watch.all_new, written) {
        let born = effects
            .iter()
            .filter(|e| e.table.name == table && matches!(e.what, What::Born(_)))
            .count();
        if written > born {
            return Err(escaped(written - born));
        }
    }
    Ok(effects)
}

fn escaped(rows: usize) -> Error {
    refusal(
        format!("a statement that wrote {rows} rows more than its conditions and keys named just before it ran"),
        "name the rows by values that stay the same, not by the time of day",
    )
}

async fn effects_on(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    mut watched: Watched,
    effects: &mut Vec<Effect>,
) -> Result<(), Error> {
    let table = &watched.table;
    let mut keys: Vec<_> = watched.keys.values().cloned().collect();
    keys.append(&mut watched.raw_keys);
    let mut after = read_in_order(tx, catalog, table, &keys).await?;
    let mut pks: Vec<_> = watched.before.keys().chain(after.keys()).cloned().collect();
    pks.sort_unstable();
    pks.dedup();
    for pk in pks {
        let (before, after) = (watched.before.remove(&pk), after.remove(&pk));
        let row = after.as_ref().or(before.as_ref());
        let key = row.map_or_else(Vec::new, |row| {
            table.key.iter().map(|index| row[*index].clone()).collect()
        });
        let what = match (before, after) {
            (None, Some(row)) => What::Born(Some(row)),
            (Some(_), None) => What::Died,
            (Some(before), Some(after)) => match difference(table, before, after)? {
                Some(changed) => What::Changed(changed),
                None => continue,
            },
            (None, None) => continue,
        };
        let table = table.clone();
        effects.push(Effect { table, pk, key, what });
    }
    Ok(())
}

/// Reads rows, and puts the sets that a statement wrote in canonical form, so that the column reads the same on every node.
async fn read_in_order(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    table: &Table,
    keys: &[Vec<Value>],
) -> Result<HashMap<String, Row>, Error> {
    let sets: Vec<_> = table.replicated().filter(|(.., kind)| *kind == Kind::Set).collect();
    let mut rows = HashMap::with_capacity(keys.len());
    let mut out_of_order = Vec::new();
    for found in row::read_results(tx, table, keys).await? {
        let mut row = table.decode(&found)?;
        let mut in_order = true;
        for (index, column, _) in &sets {
            let stored = found.try_get::<String>("", &column.name);
            let stored = stored.or_else(|_| {
                found
                    .try_get::<serde_json::Value>("", &column.name)
                    .map(|json| json.to_string())
            })?;
            if let Value::Json(Some(json)) = &mut row[*index] {
                let serde_json::Value::Array(elements) = json.as_mut() else {
                    return Err(table.value_error(&column.name, "a set holds a JSON array"));
                };
                elements.sort_by_cached_key(canonical);
                elements.dedup();
                in_order &= json.to_string() == stored;
            }
        }
        let pk = key::of_row(table, &row)?;
        if !in_order {
            out_of_order.push(pk.clone());
        }
        rows.insert(pk, row);
    }
    if !out_of_order.is_empty() {
        let columns = 0..table.columns.len();
        let columns: Vec<_> = columns
            .filter(|index| !catalog.is_generated(&table.name, &table.columns[*index].name))
            .collect();
        let sets: Vec<_> = sets.iter().map(|(index, ..)| *index).collect();
        let changed: Vec<_> = out_of_order.iter().filter_map(|pk| rows.get(pk)).collect();
        let target = row::Target {
            table,
            columns: &columns,
            update: &sets,
        };
        row::write(tx, target, &changed, |_| true).await?;
    }
    Ok(rows)
}
