//! The usual way to write rows: parents first, then deletes, children first. A statement that is refused is halved until the rows that
//! are refused stand alone.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, TransactionTrait as _};

use super::{
    along::Along,
    order::{parents_first, references, sorted_within},
    orphans::{self, Keys},
    savepoint::{Refusal, attempt},
    target::{ChangeKind, RowChange, RowId, RowTarget, write_of},
};
use crate::{
    entity::{Table, key},
    error::Error,
    replica::{Core, shown},
    store::{
        catalog::{Catalog, ForeignKey},
        constraint::Constraint,
        parked::Parked,
        row::{self, Way},
    },
    types::Record,
};

/// Writes the rows of `targets`, by table. Returns those that can't be as they should.
pub(crate) async fn write_rows(
    core: &Core,
    tx: &DatabaseTransaction,
    targets: BTreeMap<String, Vec<RowTarget>>,
) -> Result<Vec<Parked>, Error> {
    let catalog = core.catalog(tx).await?;
    let mut writer = RowWriter {
        core,
        tx,
        catalog: &catalog,
        targets,
        parked: BTreeMap::new(),
    };
    let (writes, deletes) = writer.plan().await?;
    if writer.checks_later(&writes, &deletes) {
        // The database has to be asked to check before it commits.
        let all = writes.into_iter().chain(deletes).collect();
        writer.settle(all, &HashMap::new()).await?;
    } else {
        let mut along = Along::default();
        let followed = writer.followed(&writes, &deletes);
        let refused = if writer.refers_later(&writes) {
            match writer.write_all_or_none(&writes, &mut along).await? {
                None => Vec::new(),
                Some(reasons) => {
                    writer.settle([writes, deletes].concat(), &reasons).await?;
                    return writer.finish().await;
                }
            }
        } else {
            writer.write_all(writes, &mut along).await?
        };
        let (hopeful, reasons) = writer.park_hopeless(refused, &deletes).await?;
        if hopeful.is_empty() {
            let (blocked, reasons) = writer.delete_all(deletes, &mut along).await?;
            writer.settle(blocked, &reasons).await?;
        } else {
            writer
                .settle(hopeful.into_iter().chain(deletes).collect(), &reasons)
                .await?;
        }
        let lost = writer.restore(&along, &followed).await?;
        writer.parked.extend(lost);
    }
    writer.finish().await
}

/// Writes rows in a transaction.
pub(crate) struct RowWriter<'a> {
    pub core: &'a Core,
    pub tx: &'a DatabaseTransaction,
    pub catalog: &'a Catalog,
    pub(super) targets: BTreeMap<String, Vec<RowTarget>>,
    pub(super) parked: BTreeMap<RowId, Refusal>,
}

/// Rows with the reasons why they were refused.
pub(super) type Refused = Vec<(RowChange, Refusal)>;

impl RowWriter<'_> {
    /// The records of a table as they are to be, by key: of those whose rows are to be written.
    pub(super) fn targets_of(&self, table: &str) -> impl Iterator<Item = (&str, &Record)> {
        let targets = self.targets.get(table).into_iter().flatten();
        targets.map(|target| (target.pk.as_str(), &target.record))
    }

    pub(super) fn park(&mut self, id: RowId, refusal: Refusal) {
        self.parked.insert(id, refusal);
    }

    /// The writes, parents first, and the deletes, children first.
    async fn plan(&mut self) -> Result<(Vec<RowChange>, Vec<RowChange>), Error> {
        let names = parents_first(self.catalog, self.targets.keys().map(String::as_str).collect());
        let (mut writes, mut deletes) = (Vec::new(), Vec::new());
        for name in names {
            let table = self.core.registry.require(&name)?;
            let mut targets = self.targets.remove(&name).unwrap_or_default();
            let keys = targets.iter().map(|target| key::parse(table, &target.pk));
            let keys = keys.collect::<Result<Vec<_>, _>>()?;
            let mut present = row::read(self.tx, table, &keys).await?;
            self.complete(table, &mut targets, &present).await?;
            for (target, key) in targets.iter_mut().zip(keys) {
                let present = present.remove(&target.pk);
                if target.record.is_alive() {
                    let backend = self.tx.get_database_backend();
                    match write_of(backend, self.catalog, table, target, key, present) {
                        Ok(write) => writes.extend(write),
                        Err(detail) => {
                            let refusal = Refusal::found(Constraint::Value, detail);
                            self.park((name.clone(), target.pk.clone()), refusal);
                        }
                    }
                } else if target.record.head().is_some()
                    && let Some(row) = present
                {
                    deletes.push(RowChange {
                        table: table.clone(),
                        pk: target.pk.clone(),
                        key,
                        row,
                        kind: ChangeKind::Delete,
                        is_there: true,
                    });
                }
            }
            self.targets.insert(name, targets);
        }
        deletes.reverse();
        Ok((writes, deletes))
    }

    /// Whether the usual statements may break rules that the database checks only when the transaction commits.
    fn checks_later(&self, writes: &[RowChange], deletes: &[RowChange]) -> bool {
        let names = |changes: &[RowChange]| changes.iter().map(|change| change.table.name.clone()).collect();
        let (written, emptied): (BTreeSet<_>, BTreeSet<_>) = (names(writes), names(deletes));
        written.union(&emptied).any(|name| self.catalog.has_deferrable(name))
            || writes
                .iter()
                .any(|change| self.changes_referenced(change, Keys::Deferred))
            || emptied.iter().any(|name| self.reaches_deferred(name))
    }

    /// Whether rows of these may refer to others by a key that the database checks only when the transaction commits.
    fn refers_later(&self, writes: &[RowChange]) -> bool {
        let names: BTreeSet<_> = writes.iter().map(|change| change.table.name.as_str()).collect();
        let mut keys = names.into_iter().flat_map(|name| self.catalog.parents_of(name));
        keys.any(|key| key.deferred)
    }

    /// Those of the writes that foreign keys may undo when they follow other writes, or deletes.
    fn followed(&self, writes: &[RowChange], deletes: &[RowChange]) -> Vec<RowChange> {
        let mut parents: BTreeSet<_> = deletes.iter().map(|change| change.table.name.as_str()).collect();
        let there = writes.iter().filter(|change| change.is_there);
        parents.extend(there.map(|change| change.table.name.as_str()));
        let follows =
            |key: &ForeignKey| (key.on_delete.acts() || key.on_update.acts()) && parents.contains(key.parent.as_str());
        let mut by_table: HashMap<&str, bool> = HashMap::new();
        let followed = writes.iter().filter(|change| {
            let name = change.table.name.as_str();
            *by_table
                .entry(name)
                .or_insert_with(|| self.catalog.parents_of(name).any(follows))
        });
        followed.cloned().collect()
    }

    /// Writes rows in this order of tables. If any are refused, none is written, since others may refer to them; then returns why they
    /// were.
    async fn write_all_or_none(
        &mut self,
        writes: &[RowChange],
        along: &mut Along,
    ) -> Result<Option<HashMap<RowId, Refusal>>, Error> {
        let savepoint = self.tx.begin().await?;
        let inner = RowWriter {
            core: self.core,
            tx: &savepoint,
            catalog: self.catalog,
            targets: std::mem::take(&mut self.targets),
            parked: BTreeMap::new(),
        };
        let refused = inner.write_all(writes.to_vec(), along).await;
        self.targets = inner.targets;
        let refused = refused?;
        if refused.is_empty() {
            savepoint.commit().await?;
            return Ok(None);
        }
        savepoint.rollback().await?;
        let reasons = refused.into_iter().map(|(change, refusal)| (change.id(), refusal));
        Ok(Some(reasons.collect()))
    }

    /// Writes rows in this order of tables, those of one form together. Returns those that were refused.
    async fn write_all(&self, writes: Vec<RowChange>, along: &mut Along) -> Result<Refused, Error> {
        let mut refused = Vec::new();
        for group in Group::all(self.tx.get_database_backend(), self.catalog, writes) {
            let Group { form, changes } = group;
            let changes = self.watch_update(&form, changes, along, &mut refused).await?;
            // What is checked only at the end would fail the whole transaction.
            let mut changes = self.without_orphans(changes, Keys::Deferred, &mut refused).await?;
            let checks_each_row = self.tx.get_database_backend() == DbBackend::MySql;
            if checks_each_row {
                changes = sorted_within(self.catalog, changes);
            }
            let outcome = self.attempt_first(&form, &changes).await?;
            if outcome.is_err() && !checks_each_row {
                // Its parts are checked each by itself.
                changes = sorted_within(self.catalog, changes);
            }
            match outcome {
                Err(refusal) if refusal.violation.constraint == Constraint::ForeignKey && changes.len() > 1 => {
                    let changes = self.without_orphans(changes, Keys::All, &mut refused).await?;
                    self.write_halving(&form, changes, &mut refused).await?;
                }
                outcome => self.halve(&form, changes, outcome, &mut refused).await?,
            }
        }
        Ok(refused)
    }

    /// Moves the rows that refer to rows which are not there to the refused ones, and returns the others. All are of one table.
    pub(super) async fn without_orphans(
        &self,
        changes: Vec<RowChange>,
        keys: Keys,
        refused: &mut Refused,
    ) -> Result<Vec<RowChange>, Error> {
        let Some(first) = changes.first() else {
            return Ok(changes);
        };
        let table = first.table.clone();
        let rows: Vec<_> = changes.iter().map(|change| &change.row).collect();
        let orphans = orphans::orphans(self.tx, self.catalog, &table, &rows, keys).await?;
        if orphans.is_empty() {
            return Ok(changes);
        }
        let mut others = Vec::with_capacity(changes.len() - orphans.len());
        for (at, change) in changes.into_iter().enumerate() {
            if let Some(parent) = orphans.get(&at) {
                refused.push((change, Refusal::without_parent(parent)));
            } else {
                others.push(change);
            }
        }
        Ok(others)
    }

    /// The first attempt, which may have written some of the rows when it fails. They are attempted again, which does not matter
    /// unless the database notices.
    async fn attempt_first(&self, form: &Form, changes: &[RowChange]) -> Result<Result<(), Refusal>, Error> {
        if self.catalog.may_alter(&form.table) {
            return self.attempt_write(form, changes).await;
        }
        let Some(first) = changes.first() else {
            return Ok(Ok(()));
        };
        let (target, rows) = form.statement(&first.table, changes);
        attempt(self.tx, async |tx| row::write_up_to_refusal(tx, target, &rows).await).await
    }

    pub(super) async fn attempt_write(&self, form: &Form, changes: &[RowChange]) -> Result<Result<(), Refusal>, Error> {
        let Some(first) = changes.first() else {
            return Ok(Ok(()));
        };
        let (target, rows) = form.statement(&first.table, changes);
        attempt(self.tx, async |tx| row::write(tx, target, &rows).await).await
    }

    pub(super) fn write_halving<'b>(
        &'b self,
        form: &'b Form,
        changes: Vec<RowChange>,
        refused: &'b mut Refused,
    ) -> BoxFuture<'b, Result<(), Error>> {
        async move {
            let outcome = self.attempt_write(form, &changes).await?;
            self.halve(form, changes, outcome, refused).await
        }
        .boxed()
    }

    /// After an attempt: halves what was refused until rows stand alone.
    async fn halve(
        &self,
        form: &Form,
        mut changes: Vec<RowChange>,
        outcome: Result<(), Refusal>,
        refused: &mut Refused,
    ) -> Result<(), Error> {
        let Err(refusal) = outcome else { return Ok(()) };
        if changes.len() < 2 {
            refused.extend(changes.pop().map(|change| {
                let refusal = self.explain(&change, refusal);
                (change, refusal)
            }));
            return Ok(());
        }
        let second = changes.split_off(changes.len() / 2);
        self.write_halving(form, changes, refused).await?;
        self.write_halving(form, second, refused).await
    }

    /// A row that has all the values it must have can lack one only in rows that a foreign key makes null.
    fn explain(&self, change: &RowChange, refusal: Refusal) -> Refusal {
        let lacks = || {
            let mut columns = change.table.columns.iter().zip(&change.row);
            columns.any(|(column, value)| {
                !self.catalog.is_nullable(&change.table.name, &column.name) && *value == value.as_null()
            })
        };
        if change.is_there && refusal.violation.constraint == Constraint::NotNull && !lacks() {
            return refusal.by_reference();
        }
        refusal
    }

    /// Parks the refused rows that no other row of this write can make room for. Returns the others with the reasons of all.
    async fn park_hopeless(
        &mut self,
        refused: Refused,
        deletes: &[RowChange],
    ) -> Result<(Vec<RowChange>, HashMap<RowId, Refusal>), Error> {
        let mut holders = Vec::with_capacity(refused.len());
        for (change, refusal) in &refused {
            let is_unique = refusal.violation.constraint == Constraint::Unique;
            holders.push(if is_unique {
                self.holder(change, refusal).await?
            } else {
                None
            });
        }
        let leaving: BTreeSet<RowId> = deletes.iter().map(RowChange::id).collect();
        let mut hopeful: BTreeMap<RowId, usize> = (0..refused.len()).map(|at| (refused[at].0.id(), at)).collect();
        let rows: Vec<_> = refused
            .iter()
            .map(|(change, _)| (&*change.table, &change.row))
            .collect();
        let references = references(self.catalog, &rows);
        loop {
            let has_hope = |at: usize| {
                let (change, refusal) = &refused[at];
                match refusal.violation.constraint {
                    Constraint::Unique => holders[at].as_ref().is_none_or(|pk| {
                        let holder = (change.table.name.clone(), pk.clone());
                        leaving.contains(&holder) || hopeful.contains_key(&holder)
                    }),
                    Constraint::ForeignKey => {
                        let mut own = references.iter().filter(|reference| reference.child == at);
                        own.any(|reference| hopeful.contains_key(&refused[reference.parent].0.id()))
                            || self.changes_referenced(change, Keys::All)
                    }
                    _ => false,
                }
            };
            let left: BTreeMap<_, _> = hopeful
                .iter()
                .filter(|(_, at)| has_hope(**at))
                .map(|(id, at)| (id.clone(), *at))
                .collect();
            let is_settled = left.len() == hopeful.len();
            hopeful = left;
            if is_settled {
                break;
            }
        }
        let (mut changes, mut reasons) = (Vec::new(), HashMap::new());
        for (change, refusal) in refused {
            if hopeful.contains_key(&change.id()) {
                reasons.insert(change.id(), refusal);
                changes.push(change);
            } else {
                self.park(change.id(), refusal);
            }
        }
        Ok((changes, reasons))
    }

    /// Whether a write changes columns of a row that is there, to which others refer by such keys.
    fn changes_referenced(&self, change: &RowChange, keys: Keys) -> bool {
        let ChangeKind::Write { update, .. } = &change.kind else {
            return false;
        };
        if !change.is_there {
            return false;
        }
        let children = self.catalog.children_of(&change.table.name);
        let mut names = children.filter(|key| keys.has(key)).flat_map(|key| &key.parent_columns);
        names.any(|name| {
            update
                .iter()
                .any(|index| change.table.columns[*index].name.eq_ignore_ascii_case(name))
        })
    }

    /// The key of the row that has the unique value which a row was refused for, as far as it can be told.
    async fn holder(&self, change: &RowChange, refusal: &Refusal) -> Result<Option<String>, Error> {
        let table = &change.table;
        let name = refusal.violation.name.as_deref();
        let unique = name.and_then(|name| self.catalog.unique_key(&table.name, name));
        let Some(unique) = unique else { return Ok(None) };
        let columns = unique.columns.iter().map(|name| Some(table.column(name)?.0));
        let Some(columns) = columns.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        row::with_values_of(self.tx, self.catalog, table, &columns, &change.row).await
    }

    /// Notes what the columns of refused and inexact rows show, and returns the rows that are parked.
    async fn finish(self) -> Result<Vec<Parked>, Error> {
        let mut parked = Vec::with_capacity(self.parked.len());
        let since = self.core.clock.now_micros();
        for ((name, pk), refusal) in &self.parked {
            let table = self.core.registry.require(name)?;
            let holder = match self.refused_row(table, pk)? {
                Some(change) if refusal.violation.constraint == Constraint::Unique => {
                    self.holder(&change, refusal).await?
                }
                _ => None,
            };
            parked.push(Parked {
                table: name.clone(),
                pk: pk.clone(),
                reason: refusal.violation.constraint,
                constraint: refusal.violation.name.clone(),
                holder,
                detail: refusal.detail.clone(),
                since,
            });
        }
        for (name, targets) in &self.targets {
            let refused = self.parked.keys().filter(|(table, _)| table == name);
            let refused = refused.map(|(_, pk)| pk.as_str()).collect();
            let table = self.core.registry.require(name)?;
            shown::note_differences(self.tx, self.catalog, table, targets, &refused).await?;
        }
        Ok(parked)
    }

    /// A row that was refused, as it should be.
    fn refused_row(&self, table: &Arc<Table>, pk: &str) -> Result<Option<RowChange>, Error> {
        let targets = self.targets.get(&table.name).into_iter().flatten();
        let Some(target) = targets.into_iter().find(|target| target.pk == pk) else {
            return Ok(None);
        };
        let mut whole = RowTarget::whole(pk.to_owned(), target.record.clone());
        let key = key::parse(table, pk)?;
        let backend = self.tx.get_database_backend();
        Ok(write_of(backend, self.catalog, table, &mut whole, key, None)
            .ok()
            .flatten())
    }
}

/// What rows of one statement have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub table: String,
    pub kind: ChangeKind,
    pub way: Way,
}

impl Form {
    fn of(backend: DbBackend, catalog: &Catalog, change: &RowChange) -> Self {
        let partial = matches!(change.kind, ChangeKind::Write { partial: true, .. });
        Self {
            table: change.table.name.clone(),
            kind: change.kind.clone(),
            way: if partial {
                Way::Singly
            } else {
                Way::of(backend, catalog, &change.table.name)
            },
        }
    }

    fn statement<'c>(&'c self, table: &'c Table, changes: &'c [RowChange]) -> (row::Target<'c>, row::Rows<'c>) {
        let (columns, update): (&[usize], &[usize]) = match &self.kind {
            ChangeKind::Write { columns, update, .. } => (columns, update),
            ChangeKind::Delete => (&[], &[]),
        };
        let target = row::Target {
            table,
            columns,
            update,
            way: self.way,
        };
        let (there, new): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.is_there);
        let rows = |changes: Vec<&'c RowChange>| changes.into_iter().map(|change| &change.row).collect();
        let rows = row::Rows {
            new: rows(new),
            there: rows(there),
        };
        (target, rows)
    }
}

/// Rows of one form.
pub(super) struct Group {
    pub form: Form,
    pub changes: Vec<RowChange>,
}

impl Group {
    /// Groups of rows that follow each other by table, each with all of its form.
    fn all(backend: DbBackend, catalog: &Catalog, changes: Vec<RowChange>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        let mut places: HashMap<(String, ChangeKind), usize> = HashMap::new();
        for change in changes {
            let place = *places
                .entry((change.table.name.clone(), change.kind.clone()))
                .or_insert_with(|| {
                    let form = Form::of(backend, catalog, &change);
                    groups.push(Self {
                        form,
                        changes: Vec::new(),
                    });
                    groups.len() - 1
                });
            groups[place].changes.push(change);
        }
        groups
    }

    /// Groups of rows of one form that follow each other directly.
    pub(super) fn in_order(backend: DbBackend, catalog: &Catalog, changes: Vec<RowChange>) -> Vec<Self> {
        let mut groups: Vec<Self> = Vec::new();
        for change in changes {
            let form = Form::of(backend, catalog, &change);
            match groups.last_mut() {
                Some(last) if last.form == form => last.changes.push(change),
                _ => groups.push(Self {
                    form,
                    changes: vec![change],
                }),
            }
        }
        groups
    }
}
