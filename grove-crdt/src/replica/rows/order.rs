//! Orders in which rows can be written and deleted: what a foreign key refers to comes before what refers to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sea_orm::Value;

use crate::{
    entity::{Row, Table, codec},
    replica::rows::target::RowChange,
    store::catalog::{Catalog, ForeignKey},
    types::canonical,
};

/// Tables in an order in which none refers to a later one, as far as there is such an order.
pub(in crate::replica) fn parents_first(catalog: &Catalog, names: BTreeSet<&str>) -> Vec<String> {
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
        // A circle has no beginning; any will do, and what is refused is written in another way.
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

/// The places of columns, `None` when the entity does not have them all.
pub(super) fn places(table: &Table, names: &[String]) -> Option<Vec<usize>> {
    let place = |name: &String| {
        table
            .columns
            .iter()
            .position(|column| column.name.eq_ignore_ascii_case(name))
    };
    names.iter().map(place).collect()
}

/// The values of columns, and one text for them; `None` when one is null or can't be read.
pub(super) fn tuple(row: &[Value], columns: &[usize]) -> Option<(Vec<Value>, String)> {
    let mut values = Vec::with_capacity(columns.len());
    let mut texts = Vec::with_capacity(columns.len());
    for column in columns {
        let json = codec::encode(&row[*column]).ok().filter(|json| !json.is_null())?;
        values.push(row[*column].clone());
        texts.push(json);
    }
    Some((values, canonical(&texts.into())))
}

/// A reference of one row to another, by their places in a list.
#[derive(Clone, Debug)]
pub(super) struct Reference<'a> {
    pub child: usize,
    pub parent: usize,
    pub key: &'a ForeignKey,
}

/// The references among rows, by the foreign keys of these tables.
pub(super) fn references<'a>(catalog: &'a Catalog, rows: &[(&Table, &Row)]) -> Vec<Reference<'a>> {
    let mut by_table: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (at, (table, _)) in rows.iter().enumerate() {
        by_table.entry(&table.name).or_default().push(at);
    }
    let mut references = Vec::new();
    for (name, children) in &by_table {
        for key in catalog.parents_of(name) {
            let parents = by_table.iter().find(|(parent, _)| catalog.is_same(parent, &key.parent));
            let Some((_, parents)) = parents else { continue };
            let columns_of = |at: usize, names: &[String]| places(rows[at].0, names);
            let (Some(child_columns), Some(parent_columns)) = (
                columns_of(children[0], &key.child_columns),
                columns_of(parents[0], &key.parent_columns),
            ) else {
                continue;
            };
            let offered: HashMap<String, usize> = parents
                .iter()
                .filter_map(|at| Some((tuple(rows[*at].1, &parent_columns)?.1, *at)))
                .collect();
            let referring = children.iter().filter_map(|child| {
                let parent = *offered.get(&tuple(rows[*child].1, &child_columns)?.1)?;
                (parent != *child).then_some(Reference {
                    child: *child,
                    parent,
                    key,
                })
            });
            references.extend(referring);
        }
    }
    references
}

/// An order of rows, and the references that it can't follow, which have to be empty for a while.
pub(super) struct Order<'a> {
    /// The places of the rows, each with its distance from the first ones.
    pub levels: Vec<(usize, usize)>,
    pub broken: Vec<Reference<'a>>,
}

/// The order in which what rows refer to comes first. In a circle, a reference is broken that `can_be_empty`; if there is none, the
/// rows of the circle come at once.
pub(super) fn by_reference<'a>(
    count: usize,
    references: &[Reference<'a>],
    can_be_empty: impl Fn(&Reference<'a>) -> bool,
) -> Order<'a> {
    let mut waits_for: Vec<Vec<usize>> = vec![Vec::new(); count];
    let mut needed_by: Vec<Vec<usize>> = vec![Vec::new(); count];
    for (at, reference) in references.iter().enumerate() {
        waits_for[reference.child].push(at);
        needed_by[reference.parent].push(at);
    }
    let mut open: Vec<usize> = waits_for.iter().map(Vec::len).collect();
    let mut is_closed = vec![false; references.len()];
    let mut levels: Vec<(usize, usize)> = Vec::with_capacity(count);
    let mut broken = Vec::new();
    let mut left: BTreeSet<usize> = (0..count).collect();
    let mut ready: Vec<usize> = left.iter().copied().filter(|row| open[*row] == 0).collect();
    let mut level = 0;
    loop {
        while !ready.is_empty() {
            let mut next = Vec::new();
            for row in std::mem::take(&mut ready) {
                left.remove(&row);
                levels.push((row, level));
                for at in &needed_by[row] {
                    if !std::mem::replace(&mut is_closed[*at], true) {
                        let child = references[*at].child;
                        open[child] -= 1;
                        if open[child] == 0 && left.contains(&child) {
                            next.push(child);
                        }
                    }
                }
            }
            ready = next;
            level += 1;
        }
        if left.is_empty() {
            return Order { levels, broken };
        }
        // Every row that is left waits for another one that is left: there is a circle.
        let in_the_way = |row: &usize| waits_for[*row].iter().copied().filter(|at| !is_closed[*at]);
        let weak = |row: &usize| in_the_way(row).all(|at| can_be_empty(&references[at]));
        let row = left.iter().copied().find(|row| weak(row)).or_else(|| {
            let mut some = left.iter().copied();
            some.find(|row| in_the_way(row).any(|at| can_be_empty(&references[at])))
        });
        let Some(row) = row else {
            ready = left.iter().copied().collect();
            continue;
        };
        for at in in_the_way(&row).collect::<Vec<_>>() {
            if can_be_empty(&references[at]) {
                is_closed[at] = true;
                open[row] -= 1;
                broken.push(references[at].clone());
            }
        }
        if open[row] == 0 {
            ready.push(row);
        }
    }
}

/// The changes of one table in the order in which no row refers to a later one, where each row or each part of them is checked by
/// itself.
pub(super) fn sorted_within(catalog: &Catalog, changes: Vec<RowChange>) -> Vec<RowChange> {
    let refers_to_itself = |change: &RowChange| {
        let name = &change.table.name;
        catalog.parents_of(name).any(|key| catalog.is_same(&key.parent, name))
    };
    if changes.len() < 2 || !refers_to_itself(&changes[0]) {
        return changes;
    }
    let rows: Vec<_> = changes.iter().map(|change| (&*change.table, &change.row)).collect();
    let references = references(catalog, &rows);
    let order = by_reference(rows.len(), &references, |_| false);
    let mut changes: Vec<_> = changes.into_iter().map(Some).collect();
    let sorted = order.levels.into_iter().filter_map(|(at, _)| changes[at].take());
    sorted.collect()
}
