//! Steps of a transaction. What a step means depends on the rows that it finds: it picks among those that there are, so that
//! most of its statements are taken.

use proptest::prelude::*;

use super::{
    statement::{Change, Way},
    tables::{CODE, ID, Kind, OWN, POS, Row, TITLE, Val, kind},
    world::World,
};

/// One step. The small numbers are picks among what there is.
#[derive(Clone, Debug)]
pub enum Step {
    Insert {
        table: u8,
        picks: [u8; 8],
        way: Way,
    },
    /// Several rows by one statement.
    InsertMany {
        table: u8,
        picks: [u8; 8],
        more: u8,
        way: Way,
    },
    Update {
        table: u8,
        row: u8,
        column: u8,
        pick: u8,
        way: Way,
    },
    Delete {
        table: u8,
        row: u8,
        way: Way,
    },
    /// All rows that have what one row has in a column.
    DeleteMany {
        table: u8,
        row: u8,
        column: u8,
        way: Way,
    },
    Rekey {
        table: u8,
        row: u8,
        pick: u8,
    },
    /// All positions from one on move up or down, all at once or by way of positions far away.
    Shift {
        table: u8,
        from: u8,
        up: bool,
        far: bool,
    },
    /// The values of a column go round, by way of a value for the time being, or of null.
    Permute {
        table: u8,
        column: u8,
        row: u8,
        count: u8,
        null: bool,
    },
    /// A new row takes the values of an old one, which goes or gives its values up.
    HandOn {
        table: u8,
        row: u8,
        pick: u8,
        order: u8,
    },
    /// The children of one row go to another, and the first is deleted.
    MoveChildren {
        reference: u8,
        row: u8,
        to: u8,
        delete: bool,
    },
    /// A new row takes the place of an old one, with its values and its children.
    Replace {
        table: u8,
        row: u8,
        pick: u8,
        way: Way,
    },
    /// A row is deleted, and comes again with what another had.
    Reborn {
        table: u8,
        row: u8,
        other: u8,
    },
    /// Whatever can be checked at the end is.
    Defer,
}

pub fn steps() -> impl Strategy<Value = Step> {
    let (table, row) = (0..4_u8, 0..6_u8);
    let picks = || prop::array::uniform8(0..16_u8);
    let way = || prop_oneof![Just(Way::Model), Just(Way::Many), Just(Way::Raw)];
    let pick = || 0..16_u8;
    let column = || prop_oneof![4 => 1..7_u8, 3 => Just(1_u8), 3 => Just(2_u8)];
    let at = (table, row);
    let at = || at.clone();
    prop_oneof![
        8 => (0..4_u8, picks(), way()).prop_map(|(table, picks, way)| Step::Insert { table, picks, way }),
        2 => (0..4_u8, picks(), 1..3_u8, way())
            .prop_map(|(table, picks, more, way)| Step::InsertMany { table, picks, more, way }),
        6 => (at(), column(), pick(), way())
            .prop_map(|((table, row), column, pick, way)| Step::Update { table, row, column, pick, way }),
        3 => (at(), way()).prop_map(|((table, row), way)| Step::Delete { table, row, way }),
        1 => (at(), column(), way())
            .prop_map(|((table, row), column, way)| Step::DeleteMany { table, row, column, way }),
        2 => (at(), pick()).prop_map(|((table, row), pick)| Step::Rekey { table, row, pick }),
        2 => (0..4_u8, 0..6_u8, any::<bool>(), any::<bool>())
            .prop_map(|(table, from, up, far)| Step::Shift { table, from, up, far }),
        4 => (at(), column(), 2..5_u8, any::<bool>())
            .prop_map(|((table, row), column, count, null)| Step::Permute { table, column, row, count, null }),
        4 => (at(), pick(), 0..4_u8).prop_map(|((table, row), pick, order)| Step::HandOn { table, row, pick, order }),
        4 => (pick(), 0..6_u8, 0..6_u8, prop::bool::weighted(0.8))
            .prop_map(|(reference, row, to, delete)| Step::MoveChildren { reference, row, to, delete }),
        3 => (at(), pick(), way()).prop_map(|((table, row), pick, way)| Step::Replace { table, row, pick, way }),
        2 => (at(), 0..6_u8).prop_map(|((table, row), other)| Step::Reborn { table, row, other }),
        1 => Just(Step::Defer),
    ]
}

/// A code for the time being.
fn aside(table: usize, n: usize) -> Val {
    match kind(table, CODE) {
        Kind::Uuid => Val::uuid(1_000 + n),
        _ => Val::Text(format!("~{n}")),
    }
}

/// A position for the time being.
const FAR: i64 = 30_000;

fn update(table: usize, row: &Row, set: Vec<(usize, Val)>, way: Way) -> Change {
    let at = (ID, row[ID].clone());
    Change::Update { table, at, set, way }
}

fn delete(table: usize, row: &Row, way: Way) -> Change {
    let at = (ID, row[ID].clone());
    Change::Delete { table, at, way }
}

fn insert(table: usize, row: Row, way: Way) -> Change {
    Change::Insert {
        table,
        rows: vec![row],
        way,
    }
}

impl Step {
    /// The statements that it comes to, none when there is nothing that it could be done to.
    pub fn changes(&self, world: &World<'_>) -> Vec<Change> {
        self.try_changes(world).unwrap_or_default()
    }

    fn try_changes(&self, world: &World<'_>) -> Option<Vec<Change>> {
        Some(match *self {
            Self::Insert { table, ref picks, way } => {
                let table = world.number(table);
                vec![insert(table, world.draw(table, *picks)?, way)]
            }
            Self::InsertMany {
                table,
                ref picks,
                more,
                way,
            } => {
                let table = world.number(table);
                let mut world = world.clone();
                let mut picks = *picks;
                let mut rows = Vec::new();
                for _ in 0..=more {
                    let row = world.draw(table, picks)?;
                    world.rows_mut(table).push(row.clone());
                    rows.push(row);
                    picks.rotate_left(1);
                }
                vec![Change::Insert { table, rows, way }]
            }
            Self::Update {
                table,
                row,
                column,
                pick,
                way,
            } => {
                let (table, row) = world.row(table, row)?;
                let column = usize::from(column);
                let value = world.value(table, column, &row[ID], pick)?;
                vec![update(table, row, vec![(column, value)], way)]
            }
            Self::Delete { table, row, way } => {
                let (table, row) = world.row(table, row)?;
                vec![delete(table, row, way)]
            }
            Self::DeleteMany {
                table,
                row,
                column,
                way,
            } => {
                let (table, row) = world.row(table, row)?;
                let column = usize::from(column);
                let at = (column, row[column].clone());
                vec![Change::Delete { table, at, way }]
            }
            Self::Rekey { table, row, pick } => {
                let (table, row) = world.row(table, row)?;
                let key = world.fresh_key(table, pick)?;
                vec![update(table, row, vec![(ID, key)], Way::Raw)]
            }
            Self::Shift { table, from, up, far } => shift(world.number(table), from, up, far),
            Self::Permute {
                table,
                column,
                row,
                count,
                null,
            } => permute(world, table, usize::from(column), row, count, null)?,
            Self::HandOn {
                table,
                row,
                pick,
                order,
            } => {
                let (table, row) = world.row(table, row)?;
                hand_on(world, table, row, world.fresh_key(table, pick)?, order)
            }
            Self::MoveChildren {
                reference,
                row,
                to,
                delete: and_delete,
            } => {
                let (child, reference) = world.reference(reference)?;
                let rows = world.rows(reference.parent);
                let old = rows.get(usize::from(row) % rows.len().max(1))?;
                let new = rows.get(usize::from(to) % rows.len())?;
                let mut changes = vec![Change::Update {
                    table: child.number,
                    at: (reference.column, old[reference.to].clone()),
                    set: vec![(reference.column, new[reference.to].clone())],
                    way: if to % 2 == 0 { Way::Many } else { Way::Raw },
                }];
                changes.extend(and_delete.then(|| delete(reference.parent, old, Way::Model)));
                changes
            }
            Self::Replace { table, row, pick, way } => {
                let (table, row) = world.row(table, row)?;
                replace(world, table, row, world.fresh_key(table, pick)?, way)
            }
            Self::Reborn { table, row, other } => {
                let (table, row) = world.row(table, row)?;
                let (_, other) = world.row(u8::try_from(world.place(table)).ok()?, other)?;
                let mut new = row.clone();
                let mut changes = vec![delete(table, row, Way::Model)];
                if other[ID] != row[ID] {
                    (new[CODE], new[POS]) = (other[CODE].clone(), other[POS].clone());
                    let given_up = vec![(CODE, row[CODE].clone()), (POS, row[POS].clone())];
                    changes.push(update(table, other, given_up, Way::Model));
                }
                changes.push(insert(table, new, Way::Model));
                changes
            }
            Self::Defer => vec![Change::Sql(world.defer()?.to_owned())],
        })
    }
}

fn shift(table: usize, from: u8, up: bool, far: bool) -> Vec<Change> {
    let name = format!("t{}", table + 1);
    let by = if up { "+ 1" } else { "- 1" };
    let texts = if far {
        let back = if up { FAR - 1 } else { FAR + 1 };
        vec![
            format!("UPDATE {name} SET pos = pos + {FAR} WHERE pos >= {from} AND pos < {FAR}"),
            format!("UPDATE {name} SET pos = pos - {back} WHERE pos >= {FAR}"),
        ]
    } else {
        vec![format!("UPDATE {name} SET pos = pos {by} WHERE pos >= {from}")]
    };
    texts.into_iter().map(Change::Sql).collect()
}

fn permute(world: &World<'_>, table: u8, column: usize, row: u8, count: u8, null: bool) -> Option<Vec<Change>> {
    let table = world.number(table);
    let rows = world.rows(table);
    let count = usize::from(count).min(rows.len());
    if count < 2 || column == ID || column >= TITLE {
        return None;
    }
    let ring: Vec<_> = (0..count).map(|n| &rows[(usize::from(row) + n) % rows.len()]).collect();
    let aside = match column {
        _ if null && !world.schema.table(table).must_have(column) => Some(Val::Null),
        CODE => Some(aside(table, 0)),
        POS => Some(Val::Int(FAR)),
        // A reference can't refer to nothing in between.
        _ => None,
    };
    let set = |row: &Row, value: Val| update(table, row, vec![(column, value)], Way::Model);
    let mut changes: Vec<_> = aside.into_iter().map(|aside| set(ring[0], aside)).collect();
    changes.extend((1..count).map(|n| set(ring[n], ring[n - 1][column].clone())));
    changes.push(set(ring[0], ring[count - 1][column].clone()));
    Some(changes)
}

/// The unique values of a row set aside, where it has any.
fn set_aside(table: usize, row: &Row, n: usize) -> Change {
    let mut set = Vec::new();
    if !row[CODE].is_null() {
        set.push((CODE, aside(table, n)));
    }
    if !row[POS].is_null() {
        set.push((POS, Val::Int(FAR + i64::try_from(n).unwrap_or_default())));
    }
    if set.is_empty() {
        set.push((TITLE, Val::text("nothing to set aside")));
    }
    update(table, row, set, Way::Model)
}

/// A row like another under a new key. One that refers to itself goes on doing so.
fn like(row: &Row, key: Val) -> Row {
    let mut new = row.clone();
    if new[OWN] == row[ID] {
        new[OWN] = key.clone();
    }
    new[ID] = key;
    new
}

fn hand_on(world: &World<'_>, table: usize, row: &Row, key: Val, order: u8) -> Vec<Change> {
    let new = like(row, key);
    match order {
        0 => vec![
            set_aside(table, row, 0),
            insert(table, new, Way::Model),
            delete(table, row, Way::Model),
        ],
        1 => vec![delete(table, row, Way::Raw), insert(table, new, Way::Many)],
        2 => {
            // It stays, with what nobody else has.
            let n = world.rows(table).len();
            vec![set_aside(table, row, n), insert(table, new, Way::Model)]
        }
        _ => {
            let mut first = new.clone();
            let values = [CODE, POS].into_iter().filter(|column| !new[*column].is_null());
            let values: Vec<_> = values.map(|column| (column, new[column].clone())).collect();
            for (column, _) in &values {
                first[*column] = if *column == CODE {
                    aside(table, 1)
                } else {
                    Val::Int(FAR + 1)
                };
            }
            let mut changes = vec![insert(table, first, Way::Raw), set_aside(table, row, 2)];
            if !values.is_empty() {
                changes.push(update(table, &new, values, Way::Many));
            }
            changes.push(delete(table, row, Way::Model));
            changes
        }
    }
}

fn replace(world: &World<'_>, table: usize, row: &Row, key: Val, way: Way) -> Vec<Change> {
    let new = like(row, key);
    let mut changes = vec![set_aside(table, row, 0), insert(table, new.clone(), way)];
    for (child, reference) in world.schema.references() {
        // What refers to a code has followed it, or keeps the row.
        if reference.parent == table && reference.to == ID {
            changes.push(Change::Update {
                table: child.number,
                at: (reference.column, row[ID].clone()),
                set: vec![(reference.column, new[ID].clone())],
                way: if way == Way::Raw { Way::Raw } else { Way::Many },
            });
        }
    }
    changes.push(delete(table, row, way));
    changes
}
