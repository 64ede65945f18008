//! What a schema allows, worked out from the rows alone: who breaks which rule, and which parked rows would break none.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    schema::{Reference, Schema},
    tables::{CODE, ID, POS, Row, Val},
};

/// Rows by table and key.
pub type Rows = BTreeMap<(usize, Val), Row>;

/// A row by table and key.
pub type Place = (usize, Val);

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    /// It has no value for this column.
    Null(Place, usize),
    /// Its `pos` fails the check.
    Check(Place),
    /// They have the same values in a unique constraint.
    Unique(Place, Place),
    /// It refers to a value of this column that no row of that table has.
    Orphan(Place, usize, usize, Val),
}

/// All that is wrong with these rows.
pub fn breaches(schema: &Schema, rows: &Rows) -> Vec<Breach> {
    let mut breaches = Vec::new();
    for table in &schema.0 {
        let here: Vec<_> = rows.iter().filter(|((number, _), _)| *number == table.number).collect();
        for (place, row) in here.iter().copied() {
            let nulls = table.not_null.iter().filter(|column| row[**column].is_null());
            breaches.extend(nulls.map(|column| Breach::Null(place.clone(), *column)));
            let in_range = matches!(row[POS], Val::Null | Val::Int(0..100_000));
            if table.checked && !in_range {
                breaches.push(Breach::Check(place.clone()));
            }
            for reference in &table.references {
                let value = &row[reference.column];
                if !value.is_null() && !is_offered(rows, reference, value) {
                    let Reference { parent, to, .. } = *reference;
                    breaches.push(Breach::Orphan(place.clone(), parent, to, value.clone()));
                }
            }
        }
        for (columns, _) in &table.unique {
            let mut first: BTreeMap<Vec<&Val>, &Place> = BTreeMap::new();
            for (place, row) in here.iter().copied() {
                let values: Vec<_> = columns.iter().map(|column| &row[*column]).collect();
                if values.iter().any(|value| value.is_null()) {
                    continue;
                }
                if let Some(other) = first.insert(values, place) {
                    breaches.push(Breach::Unique(other.clone(), place.clone()));
                }
            }
        }
    }
    breaches
}

fn is_offered(rows: &Rows, reference: &Reference, value: &Val) -> bool {
    if reference.to == ID {
        return rows.contains_key(&(reference.parent, value.clone()));
    }
    debug_assert_eq!(reference.to, CODE);
    let mut parents = rows.iter().filter(|((number, _), _)| *number == reference.parent);
    parents.any(|(_, row)| row[reference.to] == *value)
}

/// The rows with those of `places` as they should be.
pub fn with(rows: &Rows, targets: &BTreeMap<Place, Option<Row>>, places: &BTreeSet<Place>) -> Rows {
    let mut rows = rows.clone();
    for place in places {
        match targets.get(place).and_then(Option::as_ref) {
            Some(row) => rows.insert(place.clone(), row.clone()),
            None => rows.remove(place),
        };
    }
    rows
}

/// Of rows that are not as they should be, some that all could be at once, without breaking any rule.
pub fn could_be_written(
    schema: &Schema,
    rows: &Rows,
    targets: &BTreeMap<Place, Option<Row>>,
    waiting: &BTreeSet<Place>,
) -> BTreeSet<Place> {
    let mut left = waiting.clone();
    loop {
        let after = with(rows, targets, &left);
        let breaches = breaches(schema, &after);
        let mut guilty = BTreeSet::new();
        for breach in &breaches {
            guilty.extend(involved(breach, rows).into_iter().filter(|place| left.contains(place)));
        }
        if guilty.is_empty() {
            assert!(
                breaches.is_empty(),
                "the database holds what its constraints forbid: {breaches:?}"
            );
            return left;
        }
        left.retain(|place| !guilty.contains(place));
    }
}

/// The rows that have a part in a breach: of an orphan, also those that have offered what it refers to.
pub fn involved(breach: &Breach, before: &Rows) -> Vec<Place> {
    match breach {
        Breach::Null(place, _) | Breach::Check(place) => vec![place.clone()],
        Breach::Unique(one, other) => vec![one.clone(), other.clone()],
        Breach::Orphan(place, parent, to, value) => {
            let offered = before
                .iter()
                .filter(|((number, _), row)| number == parent && row[*to] == *value);
            let offered = offered.map(|(place, _)| place.clone());
            std::iter::once(place.clone()).chain(offered).collect()
        }
    }
}
