//! Capturing a write by what it did: the affected rows before and after.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, QueryResult, Value};
use sqlparser::ast;

use crate::{
    entity::{Registry, Row, Table, key},
    error::Error,
    replica::{
        begun::Begun,
        call::Answer,
        count::{Count, escaped},
        effect::{Effect, What, difference},
        foreign_keys::{Cascade, Parents},
        foretold, insert,
        made_keys::MadeKeys,
        moved::Places,
        selection::{Selection, assigned_columns},
        statement::{Write, WriteKind, refusal},
    },
    store::{
        catalog::Catalog,
        failed,
        row::{self, Rows, Way},
        shadow::Written,
    },
    types::{Kind, canonical},
};

/// A table, and keys of its rows as text.
type TableKeys = (Arc<Table>, BTreeSet<String>);

/// The rows a statement may change, as they were.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    tables: BTreeMap<String, Watched>,
    /// The table that the statement itself writes, when it is replicated.
    own: Option<String>,
    /// What is known of the rows it may write there.
    pub(super) count: Count,
    /// The database makes the keys of the rows it inserts.
    pub(super) made_keys: Option<MadeKeys>,
    /// Whether the keys of the rows that it inserts are in the order in which it inserts them.
    pub(super) in_order: bool,
    /// The rows that it inserts, when it can be told what they will be. They are watched by their keys as well.
    pub(super) foretold: Option<Vec<Row>>,
    /// What it gives to columns of the rows that it updates, when it can be told what they will hold.
    assigned: Option<Vec<(usize, Value)>>,
    /// Where its rows were.
    places: Option<Places>,
    /// Whether the keys of its rows may change.
    moves_key: bool,
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

    /// The rows that it is known to bring to its table.
    pub(super) fn foretold(&self) -> Option<(&Arc<Table>, &[Row])> {
        let watched = self.tables.get(self.own.as_ref()?)?;
        Some((&watched.table, self.foretold.as_deref()?))
    }

    /// Whether it has brought just them.
    pub(super) fn is_as_foretold(&self, answer: &Answer) -> bool {
        let is_all = |rows: &Vec<Row>| answer.rows_written() == Some(rows.len()) || answer.rows().len() == rows.len();
        self.foretold.as_ref().is_some_and(is_all)
    }

    /// Those of the rows that it was known to bring whose births are written.
    pub(super) fn begun(&mut self, written: &Written) -> Begun {
        let Some((table, rows)) = self.foretold() else {
            return Begun::default();
        };
        let table = table.clone();
        let rows = match written {
            // There is nothing else that they are asked for.
            Written::All => self.foretold.take().unwrap_or_default(),
            Written::Some(cells) => {
                let is_written = |pk: String| cells.contains(&(pk, String::new()));
                let rows = rows.iter().filter(|row| key::of_row(&table, row).is_ok_and(is_written));
                rows.cloned().collect()
            }
            Written::None => Vec::new(),
        };
        Begun::new(table, rows)
    }

    /// The keys of the rows that an insert brings first, if it brings new ones alone. Rows of a query have no order.
    fn first_keys(&self, rows: usize) -> Result<Option<TableKeys>, Error> {
        let own = self.own.as_ref().and_then(|own| self.tables.get(own));
        let Some(watched) = own.filter(|_| self.count == Count::Births) else {
            return Ok(None);
        };
        let keys = watched.raw_keys.iter().take(if self.in_order { rows } else { 0 });
        let keys = keys.map(|key| key::of_values(&watched.table, key));
        Ok(Some((watched.table.clone(), keys.collect::<Result<_, _>>()?)))
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
    write: &Write<'_>,
) -> Result<Watch, Error> {
    let mut watch = Watch {
        own: registry.get(write.table()).map(|table| table.name.clone()),
        ..Watch::default()
    };
    match &write.kind {
        WriteKind::Insert(insert) => {
            insert::before(tx, registry, catalog, write, insert, &mut watch).await?;
        }
        WriteKind::Update(update) => {
            before_update(tx, registry, catalog, write, update, &mut watch).await?;
        }
        WriteKind::Delete(_) => {
            let selection = Selection::new(write);
            selection.check()?;
            let cascade = Cascade { tx, registry, catalog };
            let parents = Parents::Selected(&selection);
            if let Some(table) = registry.get(write.table()) {
                let rows = selection.rows(tx, table).await?;
                // What a trigger brings back is not dead; MySQL has none that does.
                watch.count = if catalog.must_compare(&table.name) && tx.get_database_backend() != DbBackend::MySql {
                    Count::AtMost(rows.len())
                } else {
                    Count::Deaths
                };
                if watch.rows(table, rows)?.is_empty() {
                    return Ok(watch);
                }
            } else if locks_parents(tx) {
                cascade.lock(&parents).await?;
            }
            cascade.of_delete(&parents, &mut watch, 0).await?;
        }
    }
    Ok(watch)
}

async fn before_update(
    tx: &DatabaseTransaction,
    registry: &Registry,
    catalog: &Catalog,
    write: &Write<'_>,
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
    let selection = Selection::new(write);
    selection.check()?;
    let assigned = assigned_columns(&update.assignments);
    let cascade = Cascade { tx, registry, catalog };
    let parents = Parents::Selected(&selection);
    if let Some(table) = registry.get(write.table()) {
        let rows = selection.rows(tx, table).await?;
        watch.count = Count::AtMost(rows.len());
        if rows.is_empty() {
            return Ok(());
        }
        let keys = watch.rows(table, rows)?;
        watch.places = Places::before(tx, &selection, table, keys).await?;
        // What follows it may be rows of its own table as well.
        if selection.is_settled() && !cascade.follows_update(&table.name, &assigned) {
            watch.assigned = foretold::assigned(tx.get_database_backend(), catalog, table, write, update);
        }
        watch.moves_key = table
            .key_columns()
            .any(|column| assigned.iter().any(|a| a.eq_ignore_ascii_case(&column.name)));
        if watch.moves_key {
            let keys = selection.keys_after(tx, table, update).await?;
            watch.keys(table, keys);
        }
    } else if locks_parents(tx) && cascade.follows_update(write.table(), &assigned) {
        cascade.lock(&parents).await?;
    }
    cascade.of_update(&parents, &assigned, watch, 0).await
}

/// Whether rows have to be locked for no children to come to them: on SQLite, nobody else writes.
fn locks_parents(tx: &DatabaseTransaction) -> bool {
    tx.get_database_backend() != DbBackend::Sqlite
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
    if watch.is_as_foretold(answer)
        && let (Some(own), Some(rows)) = (&watch.own, watch.foretold.take())
        && let Some(watched) = watch.tables.remove(own)
    {
        return rows.into_iter().map(|row| born(&watched.table, row)).collect();
    }
    if let Some(places) = &watch.places {
        places.check(tx, written).await?;
    }
    if let Some(made) = watch.made_keys.take() {
        let keys = made.find(tx, answer).await?;
        watch.count = Count::Births;
        watch.keys(made.table(), keys);
    }
    compare(tx, catalog, watch, written).await
}

/// The same of a statement that has failed and left what it had done before.
///
/// # Errors
///
/// It can't be told which rows it has left.
pub(crate) async fn after_failure(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    mut watch: Watch,
) -> Result<Vec<Effect>, Error> {
    let left = failed::left(tx).await?;
    if left.rows == 0 {
        return Ok(Vec::new());
    }
    if let Some(made) = watch.made_keys.take() {
        watch.keys(made.table(), made.of_left(left)?);
    }
    watch.assigned = None;
    let first = watch.first_keys(left.rows)?;
    let mut effects = compare(tx, catalog, watch, Some(left.rows)).await?;
    if let Some((table, first)) = first {
        let is_born = |effect: &Effect| effect.table.name == table.name && matches!(effect.what, What::Born(_));
        if effects.iter().filter(|effect| is_born(effect)).count() > left.rows {
            // The row that it failed at was there before, and maybe others that it did not come to.
            effects.retain(|effect| !is_born(effect) || first.contains(&effect.pk));
        }
        if effects.iter().filter(|effect| is_born(effect)).count() != left.rows {
            return Err(Error::Uncapturable {
                what: format!("which rows of `{}` an insert has left that failed half way", table.name),
                instead: "roll back, or insert the rows one by one".into(),
            });
        }
    }
    Ok(effects)
}

async fn compare(
    tx: &DatabaseTransaction,
    catalog: &Catalog,
    mut watch: Watch,
    written: Option<usize>,
) -> Result<Vec<Effect>, Error> {
    let mut effects = Vec::new();
    if let (Some(own), Some(assigned)) = (&watch.own, watch.assigned.take())
        && watch.count.is_all(written)
        && let Some(watched) = watch.tables.remove(own)
    {
        changes(watched, &assigned, &mut effects)?;
    }
    for watched in watch.tables.into_values() {
        effects_on(tx, catalog, watched, &mut effects).await?;
    }
    if let Some(own) = &watch.own {
        let backend = tx.get_database_backend();
        watch.count.check(own, written, &effects, backend)?;
        if watch.moves_key {
            check_moves(own, &effects, backend)?;
        }
    }
    Ok(effects)
}

/// What it does to rows that columns of theirs are given these values.
fn changes(watched: Watched, assigned: &[(usize, Value)], effects: &mut Vec<Effect>) -> Result<(), Error> {
    for (pk, before) in watched.before {
        let mut after = before.clone();
        for (index, value) in assigned {
            after[*index] = value.clone();
        }
        let key = watched.table.key.iter().map(|index| before[*index].clone()).collect();
        let is_assigned = |column| assigned.iter().any(|(index, _)| *index == column);
        if let Some(changed) = difference(&watched.table, before, after, is_assigned)? {
            effects.push(Effect {
                table: watched.table.clone(),
                pk,
                key,
                what: What::Changed(changed),
            });
        }
    }
    Ok(())
}

fn born(table: &Arc<Table>, row: Row) -> Result<Effect, Error> {
    Ok(Effect {
        pk: key::of_row(table, &row)?,
        key: table.key.iter().map(|index| row[*index].clone()).collect(),
        table: table.clone(),
        what: What::Born(Some(row)),
    })
}

/// # Errors
///
/// A row went to another key than was told.
fn check_moves(table: &str, effects: &[Effect], backend: DbBackend) -> Result<(), Error> {
    let own = || effects.iter().filter(|effect| effect.table.name == table);
    let died = own().filter(|effect| matches!(effect.what, What::Died)).count();
    let born = own().filter(|effect| matches!(effect.what, What::Born(_))).count();
    match died.checked_sub(born) {
        None | Some(0) => Ok(()),
        Some(rows) => Err(escaped(rows, backend)),
    }
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
            (Some(before), Some(after)) => match difference(table, before, after, |_| true)? {
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

/// Whether a JSON column holds this value as we would write it. Where JSON is a text to the database, the text counts; else
/// only the order of elements does, since the rest is of the database's own making.
fn is_stored_as(found: &QueryResult, column: &str, json: &serde_json::Value) -> Result<bool, DbErr> {
    match found.try_get::<String>("", column) {
        Ok(text) => {
            let ours = json.to_string();
            Ok(text == ours)
        }
        Err(_) => Ok(found.try_get::<serde_json::Value>("", column)? == *json),
    }
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
            if let Value::Json(Some(json)) = &mut row[*index] {
                let serde_json::Value::Array(elements) = json.as_mut() else {
                    return Err(table.value_error(&column.name, "a set holds a JSON array"));
                };
                elements.sort_by_cached_key(canonical);
                elements.dedup();
                in_order &= is_stored_as(&found, &column.name, json)?;
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
            way: Way::of(tx.get_database_backend(), catalog, &table.name),
        };
        let rows = Rows {
            there: changed,
            ..Rows::default()
        };
        row::write(tx, target, &rows).await?;
    }
    Ok(rows)
}
