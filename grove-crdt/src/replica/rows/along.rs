//! Rows that foreign keys delete or change along with others, though their own records say nothing of it. In the end they are
//! written as they are to be; those that can't be so any more are parked.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use sea_orm::{ConnectionTrait as _, DbBackend};

use super::{
    order::{parents_first, places, sorted_within, tuple},
    orphans::{self, Keys},
    rearrange::Rearranged,
    savepoint::Refusal,
    target::{ChangeKind, RowChange, RowId},
    vacate::write_as_it_is,
    writer::{Form, Group, Refused, RowWriter},
};
use crate::{
    entity::{Row, Table, is_unreadable, key},
    error::Error,
    replica::{
        foreign_keys::{Cascade, Parents},
        watch::Watch,
    },
    store::{
        catalog::{Action, Catalog},
        constraint::Constraint,
        row, shadow,
    },
    types::Record,
};

/// The rows that statements may have touched by foreign keys, as they were before the first of these statements.
#[derive(Default)]
pub(super) struct Along {
    rows: BTreeMap<String, HashMap<String, Touched>>,
    /// The tables whose rows follow updates. Rows that were written before such an update may follow it as well.
    followers: BTreeSet<String>,
}

struct Touched {
    before: Row,
    /// The table of the rows that it refers to.
    parent: String,
}

/// What is done to rows that others refer to.
enum Cause {
    Delete,
    /// An update of these columns.
    Update(Vec<String>),
}

impl Along {
    fn add(&mut self, watch: Watch, parent: &str) {
        for (table, rows) in watch.into_before() {
            let known = self.rows.entry(table.name.clone()).or_default();
            for (pk, before) in rows {
                known.entry(pk).or_insert_with(|| Touched {
                    before,
                    parent: parent.to_owned(),
                });
            }
        }
    }
}

impl RowWriter<'_> {
    /// Watches what an update of rows changes along. Those that the database must not follow are refused, and the others returned.
    pub(super) async fn watch_update(
        &self,
        form: &Form,
        changes: Vec<RowChange>,
        along: &mut Along,
        refused: &mut Refused,
    ) -> Result<Vec<RowChange>, Error> {
        let (Some(first), ChangeKind::Write { update, .. }) = (changes.first(), &form.kind) else {
            return Ok(changes);
        };
        let table = first.table.clone();
        let columns: Vec<_> = update.iter().map(|index| table.columns[*index].name.clone()).collect();
        if !self.cascade().follows_update(&table.name, &columns) {
            return Ok(changes);
        }
        let (there, mut others): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| change.is_there);
        if !there.is_empty() {
            let acting = self.catalog.children_of(&table.name).filter(|key| key.on_update.acts());
            along.followers.extend(acting.map(|key| key.child.clone()));
        }
        let cause = Cause::Update(columns);
        others.extend(self.watch(&table, there, &cause, along, refused).await?);
        Ok(others)
    }

    /// The same for a delete.
    pub(super) async fn watch_delete(
        &self,
        table: &Arc<Table>,
        deletes: Vec<RowChange>,
        along: &mut Along,
        refused: &mut Refused,
    ) -> Result<Vec<RowChange>, Error> {
        if !self.catalog.children_of(&table.name).any(|key| key.on_delete.acts()) {
            return Ok(deletes);
        }
        self.watch(table, deletes, &Cause::Delete, along, refused).await
    }

    async fn watched(&self, cause: &Cause, table: &Arc<Table>, changes: &[RowChange]) -> Result<Watch, Error> {
        let keys: Vec<_> = changes.iter().map(|change| change.key.clone()).collect();
        let parents = Parents::Keyed(table, &keys);
        let (cascade, mut watch) = (self.cascade(), Watch::default());
        match cause {
            Cause::Delete => cascade.of_delete(&parents, &mut watch, 0).await?,
            Cause::Update(columns) => cascade.of_update(&parents, columns, &mut watch, 0).await?,
        }
        Ok(watch)
    }

    fn cascade(&self) -> Cascade<'_> {
        Cascade {
            tx: self.tx,
            registry: &self.core.registry,
            catalog: self.catalog,
        }
    }

    /// Watches rows together, or, if that is refused, each by itself.
    async fn watch(
        &self,
        table: &Arc<Table>,
        changes: Vec<RowChange>,
        cause: &Cause,
        along: &mut Along,
        refused: &mut Refused,
    ) -> Result<Vec<RowChange>, Error> {
        if changes.is_empty() {
            return Ok(changes);
        }
        match self.watched(cause, table, &changes).await {
            Ok(watch) => {
                along.add(watch, &table.name);
                return Ok(changes);
            }
            Err(Error::Uncapturable { .. }) => {}
            Err(error) => return Err(error),
        }
        let mut left = Vec::with_capacity(changes.len());
        for change in changes {
            match self.watched(cause, table, std::slice::from_ref(&change)).await {
                Ok(watch) => {
                    along.add(watch, &table.name);
                    left.push(change);
                }
                Err(Error::Uncapturable { what, .. }) => {
                    let refusal = Refusal::found(Constraint::ForeignKey, format!("FOREIGN KEY: {what}"));
                    refused.push((change, refusal));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(left)
    }

    /// Writes what was changed along, though its records live, as it is to be: as `changes` say, or as it was. Returns the rows that
    /// can't be so.
    pub(super) async fn restore(&self, along: &Along, changes: &[RowChange]) -> Result<Vec<(RowId, Refusal)>, Error> {
        let followers = changes
            .iter()
            .filter(|change| along.followers.contains(&change.table.name));
        let mut names: BTreeSet<_> = followers.map(|change| change.table.name.as_str()).collect();
        names.extend(along.rows.keys().map(String::as_str));
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let changes: HashMap<_, _> = changes.iter().map(|change| (change.id(), change)).collect();
        let mut refused = Vec::new();
        for name in parents_first(self.catalog, names) {
            let table = self.core.registry.require(&name)?;
            let changed = self.changed_along(table, along, &changes).await?;
            let (known, mut left): (Vec<_>, Vec<_>) = changed
                .into_iter()
                .partition(|change| change.is_there || is_known_whole(self.catalog, table, &change.row));
            let mut orphans = Vec::new();
            let mut known = self.without_orphans(known, Keys::All, &mut orphans).await?;
            left.extend(orphans.into_iter().map(|(change, _)| change));
            if self.tx.get_database_backend() == DbBackend::MySql {
                known = sorted_within(self.catalog, known);
            }
            let mut again = Vec::new();
            for Group { form, changes } in Group::in_order(self.tx.get_database_backend(), self.catalog, known) {
                self.write_halving(&form, changes, &mut again).await?;
            }
            left.extend(again.into_iter().map(|(change, _)| change));
            for change in left {
                let touched = along.rows.get(&name).and_then(|rows| rows.get(&change.pk));
                let detail = match touched {
                    Some(Touched { parent, .. }) => {
                        format!("the row of `{parent}` that it refers to was deleted or changed")
                    }
                    None => "a row that it refers to was changed".to_owned(),
                };
                refused.push((change.id(), Refusal::found(Constraint::ForeignKey, detail)));
            }
        }
        Ok(refused)
    }

    /// The rows of a table that live, and are not as they are to be.
    async fn changed_along(
        &self,
        table: &Arc<Table>,
        along: &Along,
        changes: &HashMap<RowId, &RowChange>,
    ) -> Result<Vec<RowChange>, Error> {
        let touched = along.rows.get(&table.name);
        let mut pks: BTreeSet<_> = touched.into_iter().flat_map(HashMap::keys).cloned().collect();
        if along.followers.contains(&table.name) {
            let own = changes.keys().filter(|(name, _)| *name == table.name);
            let own = own.filter(|id| !self.parked.contains_key(*id));
            pks.extend(own.map(|(_, pk)| pk.clone()));
        }
        let pks: Vec<_> = pks.into_iter().collect();
        let keys = pks.iter().map(|pk| key::parse(table, pk));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        let after = row::read(self.tx, table, &keys).await?;
        let stored = shadow::read(self.tx, &self.core.registry, table, &pks).await?;
        // Their cells may not be stored yet.
        let targets: HashMap<_, _> = self.targets_of(&table.name).collect();
        let mut changed = Vec::new();
        for (pk, key) in pks.into_iter().zip(keys) {
            let record = targets.get(pk.as_str()).copied().or_else(|| stored.records.get(&pk));
            if !record.is_some_and(Record::is_alive) {
                continue;
            }
            let stands = after.get(&pk);
            let id = (table.name.clone(), pk);
            let wanted = match changes.get(&id) {
                Some(change) if change.is_delete() => continue,
                Some(change) => &change.row,
                None => match touched.and_then(|touched| touched.get(&id.1)) {
                    Some(touched) => &touched.before,
                    None => continue,
                },
            };
            if stands != Some(wanted) {
                changed.push(RowChange {
                    table: table.clone(),
                    pk: id.1,
                    key,
                    row: wanted.clone(),
                    kind: write_as_it_is(self.catalog, table),
                    is_there: stands.is_some(),
                });
            }
        }
        Ok(changed)
    }

    /// Whether what a delete of rows of this table takes along may break a key that the database checks only when the transaction
    /// commits.
    pub(super) fn reaches_deferred(&self, table: &str) -> bool {
        let (mut seen, mut next) = (BTreeSet::new(), vec![(table, 0)]);
        while let Some((name, depth)) = next.pop() {
            for key in self.catalog.children_of(name) {
                let resets = key.on_delete.acts() && key.on_delete != Action::Cascade;
                if key.deferred && (depth > 0 || resets) {
                    return true;
                }
                if key.on_delete.acts() && seen.insert(&key.child) {
                    next.push((&key.child, depth + 1));
                }
            }
        }
        false
    }

    /// The rows of `rows` whose deletes or updates have changed others along in a way that breaks a key of these, which the database
    /// checks only when the transaction commits; or, if none is to be found, what is broken.
    pub(super) async fn broken_along(
        &self,
        rows: &Rearranged,
        along: &Along,
        keys: Keys,
    ) -> Result<Option<Result<Refused, Refusal>>, Error> {
        for (name, touched) in &along.rows {
            let table = self.core.registry.require(name)?;
            let before: Vec<_> = touched.values().map(|touched| &touched.before).collect();
            let mut broken = Vec::new();
            for (at, child) in orphans::left_behind(self.tx, self.catalog, table, &before, keys).await? {
                broken.push((before[at], Refusal::kept_by(&child)));
            }
            let own = before
                .iter()
                .map(|row| table.key.iter().map(|index| row[*index].clone()).collect());
            let own: Vec<_> = own.collect();
            let after: Vec<_> = row::read(self.tx, table, &own).await?.into_iter().collect();
            let stand: Vec<_> = after.iter().map(|(_, row)| row).collect();
            for at in orphans::orphans(self.tx, self.catalog, table, &stand, keys)
                .await?
                .into_keys()
            {
                broken.push((&touched[&after[at].0].before, Refusal::kept_by(name)));
            }
            let Some((_, first)) = broken.first().cloned() else {
                continue;
            };
            let mut guilty = BTreeMap::new();
            for (row, refusal) in broken {
                for at in self.causes(rows, along, table, row) {
                    guilty.insert(at, (rows.changes[at].clone(), refusal.clone()));
                }
            }
            return Ok(Some(if guilty.is_empty() {
                Err(first)
            } else {
                Ok(guilty.into_values().collect())
            }));
        }
        Ok(None)
    }

    /// The places of the rows that a row referred to, directly or by others that were changed along.
    fn causes(&self, rows: &Rearranged, along: &Along, table: &Table, row: &Row) -> BTreeSet<usize> {
        let (mut causes, mut seen) = (BTreeSet::new(), BTreeSet::new());
        let mut next = vec![(table.name.as_str(), row)];
        while let Some((name, row)) = next.pop() {
            let Ok(table) = self.core.registry.require(name) else {
                continue;
            };
            for key in self.catalog.parents_of(name) {
                let Some((_, referred)) = places(table, &key.child_columns).and_then(|columns| tuple(row, &columns))
                else {
                    continue;
                };
                let Some(parent) = self.core.registry.get(&key.parent) else {
                    continue;
                };
                let Some(offered) = places(parent, &key.parent_columns) else {
                    continue;
                };
                let offers = |row: &Row| tuple(row, &offered).is_some_and(|(_, text)| text == referred);
                for (at, change) in rows.changes.iter().enumerate() {
                    let before = rows
                        .present
                        .get(&change.id())
                        .filter(|_| change.table.name == parent.name);
                    let leaves = change.is_delete() || !offers(&change.row);
                    if leaves && before.is_some_and(offers) {
                        causes.insert(at);
                    }
                }
                for (pk, touched) in along.rows.get(&parent.name).into_iter().flatten() {
                    if offers(&touched.before) && seen.insert((parent.name.as_str(), pk)) {
                        next.push((&parent.name, &touched.before));
                    }
                }
            }
        }
        causes
    }
}

/// Whether all that a row holds is known, so that it can be inserted again.
pub(super) fn is_known_whole(catalog: &Catalog, table: &Table, row: &Row) -> bool {
    let columns: BTreeSet<_> = catalog.columns(&table.name).unwrap_or_default();
    let is_known = |name: &&str| {
        let mut own = table.columns.iter();
        own.any(|column| column.name == **name) || catalog.is_generated(&table.name, name)
    };
    columns.iter().all(is_known) && !row.iter().any(is_unreadable)
}
