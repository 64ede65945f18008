//! Making users' rows agree with their records, set-wise; rows that the database refuses are told apart.
//!
//! Rows are written parents first, then dead ones are deleted, children first. A statement that breaks a constraint is
//! halved until the rows that break it stand alone.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, Value};
use serde_json::Value as Json;

use crate::{
    entity::{Role, Row, Table, key},
    error::Error,
    replica::{
        Core,
        attempt::{Broken, attempt},
        contest::{self, Contested},
        effect::field_value,
        references,
        sets::Sets,
        shown,
    },
    store::{catalog::Catalog, constraint::Constraint, driver, parked::Parked, row},
    types::{Kind, Record, is_same},
};

/// A record whose row is to agree with it.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub pk: String,
    pub record: Record,
    /// The fields to write; all of them when absent, or when the row is new.
    pub fields: Option<BTreeSet<String>>,
    /// What changes in sets, when of these the record has only the elements that were touched.
    pub sets: Option<Sets>,
    /// Whether the row is parked, so that there may be notes on what it shows instead.
    pub waited: bool,
}

/// Writes the rows of `wanted`, by table. Returns those that can't be as they should.
pub(crate) async fn materialise(
    core: &Core,
    tx: &DatabaseTransaction,
    wanted: BTreeMap<String, Vec<Wanted>>,
) -> Result<Vec<Parked>, Error> {
    let catalog = core.catalog(tx).await?;
    let mut work = Work {
        core,
        tx,
        catalog: &catalog,
        wanted,
        parked: Vec::new(),
        contested: BTreeMap::new(),
    };
    let mut deletes = Vec::new();
    for name in parents_first(&catalog, work.wanted.keys().map(String::as_str).collect()) {
        let table = core.registry.require(&name)?;
        let plan = work.plan(table).await?;
        for ((columns, update), rows) in plan.writes {
            let shape = Shaped {
                table,
                columns: &columns,
                update: &update,
                there: &plan.there,
            };
            work.write_all(&shape, rows).await?;
        }
        deletes.push((table, plan.deletes));
    }
    for (table, rows) in deletes.into_iter().rev() {
        if !rows.is_empty() {
            work.delete(table, rows).await?;
        }
    }
    work.resolve_contests().await?;
    for (name, wanted) in &work.wanted {
        let refused = work.parked.iter().filter(|row| row.table == *name);
        let refused = refused.map(|row| row.pk.as_str()).collect();
        let table = core.registry.require(name)?;
        shown::note_differences(tx, &catalog, table, wanted, &refused).await?;
    }
    Ok(work.parked)
}

/// Tables in an order in which no one refers to a later one, as far as there is such an order.
pub(super) fn parents_first(catalog: &Catalog, names: BTreeSet<&str>) -> Vec<String> {
    let mut left = names;
    let mut order = Vec::new();
    while !left.is_empty() {
        let free: Vec<_> = left
            .iter()
            .filter(|name| {
                !catalog
                    .parents_of(name)
                    .any(|key| key.parent != **name && left.contains(key.parent.as_str()))
            })
            .copied()
            .collect();
        // A circle has no beginning; any will do, and what fails is tried again.
        let next = if free.is_empty() {
            left.iter().take(1).copied().collect()
        } else {
            free
        };
        for name in next {
            left.remove(name);
            order.push(name.to_owned());
        }
    }
    order
}

/// The columns to insert, and those to update when the row is there.
type Shape = (Vec<usize>, Vec<usize>);

#[derive(Debug, Default)]
struct Plan {
    writes: BTreeMap<Shape, Vec<Row>>,
    /// The rows to delete, as they are.
    deletes: Vec<Row>,
    /// The keys under which there are rows.
    there: BTreeSet<String>,
}

/// What the rows of one statement have in common.
#[derive(Clone, Copy)]
struct Shaped<'a> {
    table: &'a Table,
    columns: &'a [usize],
    update: &'a [usize],
    there: &'a BTreeSet<String>,
}

impl<'a> Shaped<'a> {
    fn target(&self) -> row::Target<'a> {
        row::Target {
            table: self.table,
            columns: self.columns,
            update: self.update,
        }
    }

    fn is_there(&self, row: &Row) -> bool {
        key::of_row(self.table, row).is_ok_and(|pk| self.there.contains(&pk))
    }
}

pub(super) struct Work<'a> {
    pub core: &'a Core,
    pub tx: &'a DatabaseTransaction,
    pub catalog: &'a Catalog,
    wanted: BTreeMap<String, Vec<Wanted>>,
    parked: Vec<Parked>,
    /// By table.
    contested: BTreeMap<String, Vec<Contested>>,
}

impl Work<'_> {
    /// The record as it is to be, when its row is among those to be written: its cells may not be stored yet.
    pub(super) fn wanted(&self, table: &Table, pk: &str) -> Option<&Record> {
        let mut wanted = self.wanted.get(&table.name)?.iter();
        wanted.find(|wanted| wanted.pk == pk).map(|wanted| &wanted.record)
    }

    pub(super) fn park(&mut self, table: &Table, pk: &str, why: Broken) {
        self.parked.push(Parked {
            table: table.name.clone(),
            pk: pk.to_owned(),
            reason: why.violation.constraint,
            constraint: why.violation.name,
            holder: None,
            detail: why.detail,
            since: self.core.clock.now_micros(),
        });
    }

    async fn plan(&mut self, table: &Table) -> Result<Plan, Error> {
        let mut wanted = self.wanted.remove(&table.name).unwrap_or_default();
        let mut keys = Vec::with_capacity(wanted.len());
        for wanted in &wanted {
            keys.push(key::parse(table, &wanted.pk)?);
        }
        let mut existing = row::read(self.tx, table, &keys).await?;
        self.complete(table, &mut wanted, &existing).await?;
        let mut plan = Plan {
            there: existing.keys().cloned().collect(),
            ..Plan::default()
        };
        for (wanted, key) in wanted.iter_mut().zip(keys) {
            let there = existing.remove(&wanted.pk);
            if wanted.record.is_alive() {
                match self.target(table, wanted, &key, there) {
                    Ok(Some((shape, row))) => plan.writes.entry(shape).or_default().push(row),
                    Ok(None) => {}
                    Err(detail) => self.park(table, &wanted.pk, Broken::found(Constraint::Value, detail)),
                }
            } else if wanted.record.head().is_some() {
                plan.deletes.extend(there);
            }
        }
        self.wanted.insert(table.name.clone(), wanted);
        Ok(plan)
    }

    /// The row as it should be, `None` when it is so already; or what keeps it from being so.
    fn target(
        &self,
        table: &Table,
        wanted: &mut Wanted,
        key: &[Value],
        there: Option<Row>,
    ) -> Result<Option<(Shape, Row)>, String> {
        let is_there = there.is_some();
        let mut row: Row = there.unwrap_or_else(|| fresh(table, key));
        let mut columns: Vec<usize> = Vec::new();
        let mut update = Vec::new();
        let mut differs = !is_there;
        for (index, column) in table.columns.iter().enumerate() {
            if self.catalog.is_generated(&table.name, &column.name) {
                continue;
            }
            let Some(kind) = column.kind() else {
                columns.push(index);
                continue;
            };
            let named = wanted
                .fields
                .as_ref()
                .is_none_or(|fields| fields.contains(&column.name));
            if is_there && !named {
                columns.push(index);
                if absent(kind).is_some() || wanted.record.knows(&column.name) {
                    update.push(index);
                }
                continue;
            }
            let (value, stands_already) = match wanted.sets.as_mut().and_then(|sets| sets.take(&column.name)) {
                Some(shown) => (Some(shown.elements), Some(!shown.differs)),
                None => {
                    let value = wanted.record.value(&column.name, kind);
                    let value = value.map_err(|_| format!("counter `{}` is out of the range of i64", column.name))?;
                    (value.or_else(|| absent(kind)), None)
                }
            };
            let Some(value) = value else {
                // A field that no one has given a value: the column keeps what it has, or takes its default.
                if is_there {
                    columns.push(index);
                }
                continue;
            };
            columns.push(index);
            update.push(index);
            let stands = || is_there.then(|| field_value(table, &row, index).ok()).flatten();
            if !stands_already.unwrap_or_else(|| stands().is_some_and(|stands| is_same(&stands, &value))) {
                differs = true;
                row[index] = column
                    .decode(&value)
                    .map_err(|detail| format!("field `{}`: {detail}", column.name))?;
                if let Some(detail) = driver::refused(self.tx.get_database_backend(), &row[index]) {
                    return Err(format!("field `{}`: {detail}", column.name));
                }
            }
        }
        Ok(differs.then_some(((columns, update), row)))
    }

    /// Writes rows of one shape; those that can't be written are parked.
    async fn write_all(&mut self, shaped: &Shaped<'_>, rows: Vec<Row>) -> Result<(), Error> {
        // What is checked only at the end would fail the whole transaction.
        let rows = self.park_orphans(shaped.table, rows, true).await?;
        match self.attempt_all(shaped, &rows).await? {
            Err(broken) if broken.violation.constraint == Constraint::ForeignKey && rows.len() > 1 => {
                let rows = self.park_orphans(shaped.table, rows, false).await?;
                self.write(shaped, &rows).await
            }
            refused => self.take_apart(shaped, &rows, refused).await,
        }
    }

    /// Parks the rows that refer to rows which are not there, and returns the others.
    async fn park_orphans(&mut self, table: &Table, rows: Vec<Row>, deferred_only: bool) -> Result<Vec<Row>, Error> {
        let orphans = references::orphans(self.tx, self.catalog, table, &rows, deferred_only).await?;
        if orphans.is_empty() {
            return Ok(rows);
        }
        let mut others = Vec::with_capacity(rows.len() - orphans.len());
        for (at, row) in rows.into_iter().enumerate() {
            if let Some(parent) = orphans.get(&at) {
                let detail = format!("FOREIGN KEY: the row of `{parent}` that it refers to is not here");
                let why = Broken::found(Constraint::ForeignKey, detail);
                self.park(table, &key::of_row(table, &row)?, why);
            } else {
                others.push(row);
            }
        }
        Ok(others)
    }

    /// The first attempt, which may have written some of the rows when it fails. They are attempted again, which does not matter
    /// unless the database notices.
    async fn attempt_all(&self, shaped: &Shaped<'_>, rows: &[Row]) -> Result<Result<(), Broken>, Error> {
        if self.catalog.may_alter(&shaped.table.name) {
            return self.attempt_write(shaped, rows).await;
        }
        let rows: Vec<_> = rows.iter().collect();
        let (target, is_there) = (shaped.target(), |row: &Row| shaped.is_there(row));
        attempt(self.tx, async |tx| {
            row::write_up_to_refusal(tx, target, &rows, is_there).await
        })
        .await
    }

    async fn attempt_write(&self, shaped: &Shaped<'_>, rows: &[Row]) -> Result<Result<(), Broken>, Error> {
        let rows: Vec<_> = rows.iter().collect();
        let (target, is_there) = (shaped.target(), |row: &Row| shaped.is_there(row));
        attempt(self.tx, async |tx| row::write(tx, target, &rows, is_there).await).await
    }

    fn write<'b>(&'b mut self, shaped: &'b Shaped<'_>, rows: &'b [Row]) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            let refused = self.attempt_write(shaped, rows).await?;
            self.take_apart(shaped, rows, refused).await
        }
        .boxed()
    }

    /// After an attempt: halves what was refused, and parks what stands alone.
    async fn take_apart(
        &mut self,
        shaped: &Shaped<'_>,
        rows: &[Row],
        refused: Result<(), Broken>,
    ) -> Result<(), Error> {
        match (refused, rows) {
            (Ok(()), _) => {}
            (Err(broken), [row]) => {
                let pk = key::of_row(shaped.table, row)?;
                if broken.violation.constraint != Constraint::Unique {
                    self.park(shaped.table, &pk, broken);
                    return Ok(());
                }
                self.contested
                    .entry(shaped.table.name.clone())
                    .or_default()
                    .push(Contested {
                        columns: shaped.columns.to_vec(),
                        update: shaped.update.to_vec(),
                        row: row.clone(),
                        there: shaped.there.contains(&pk),
                        broken,
                    });
            }
            (Err(_), rows) => {
                let (first, second) = rows.split_at(rows.len() / 2);
                self.write(shaped, first).await?;
                self.write(shaped, second).await?;
            }
        }
        Ok(())
    }

    /// Writes rows that want each other's values, and parks those that want what others keep.
    async fn resolve_contests(&mut self) -> Result<(), Error> {
        for (name, contested) in std::mem::take(&mut self.contested) {
            let table = self.core.registry.require(&name)?;
            for contested in contest::resolve(self.tx, self.catalog, table, contested).await? {
                let pk = key::of_row(table, &contested.row)?;
                let holder = self.holder(table, &contested).await?;
                self.park(table, &pk, contested.broken);
                if let Some(parked) = self.parked.last_mut() {
                    parked.holder = holder;
                }
            }
        }
        Ok(())
    }
}

impl Work<'_> {
    /// The key of the row that has the unique value which a row was refused for, as far as it can be told.
    async fn holder(&self, table: &Table, contested: &Contested) -> Result<Option<String>, Error> {
        let name = contested.broken.violation.name.as_deref();
        let unique = name.and_then(|name| self.catalog.unique_key(&table.name, name));
        let Some(unique) = unique else { return Ok(None) };
        let columns = unique.columns.iter().map(|name| Some(table.column(name)?.0));
        let Some(columns) = columns.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        row::with_values_of(self.tx, table, &columns, &contested.row).await
    }
}

/// What a replicated column holds when nobody has said anything: an empty counter or set.
fn absent(kind: Kind) -> Option<Json> {
    match kind {
        Kind::Counter => Some(0.into()),
        Kind::Set => Some(Json::Array(Vec::new())),
        Kind::Lww => None,
    }
}

/// A row that arrives new, before its replicated columns are filled in.
fn fresh(table: &Table, key: &[Value]) -> Row {
    let mut key = table.key.iter().zip(key).collect::<HashMap<_, _>>();
    let columns = table.columns.iter().enumerate();
    columns
        .map(|(index, column)| match &column.role {
            Role::Key => key.remove(&index).cloned().unwrap_or(Value::String(None)),
            Role::Local(default) => default(),
            Role::Replicated(_) => Value::String(None),
        })
        .collect()
}
