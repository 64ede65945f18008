//! What rows become that need not be read back: where a statement binds plain values, and the columns are sure to hold them as
//! they are.

use std::collections::BTreeSet;

use sea_orm::{DbBackend, Value, sea_query::Expr as SqlExpr};
use serde_json::Value as Json;
use sqlparser::ast::{self, Expr, SetExpr};

use crate::{
    entity::{Column, Row, Table, codec},
    replica::{given::Rows, placeholders::placeholder, statement::Write},
    store::{catalog::Catalog, inexact},
    types::{Kind, canonical},
};

/// Judges whether what is bound is what will be read.
struct Prophet<'a> {
    backend: DbBackend,
    catalog: &'a Catalog,
    table: &'a Table,
    write: &'a Write<'a>,
}

impl Rows<'_> {
    /// The rows that a plain insert brings, those columns left null that are neither replicated nor of the key: nothing depends
    /// on them. `None` when some value shows only once it is there.
    pub(super) fn foretold(&self, catalog: &Catalog) -> Option<Vec<Row>> {
        let table = self.table;
        if self.may_exist() {
            return None;
        }
        let prophet = Prophet::new(self.backend(), catalog, table, self.write)?;
        let SetExpr::Values(values) = self.insert.source.as_ref()?.body.as_ref() else {
            return None;
        };
        let columns = table.columns.iter().enumerate();
        let columns = columns.filter(|(_, column)| column.is_key() || column.kind().is_some());
        let places = columns.map(|(index, column)| {
            let place = self.place_of(&column.name)?;
            (!catalog.is_generated(&table.name, &column.name)).then_some((index, column, place))
        });
        let places = places.collect::<Option<Vec<_>>>()?;
        let rows = values.rows.iter().map(|given| {
            let mut row = vec![Value::String(None); table.columns.len()];
            for (index, column, place) in &places {
                row[*index] = prophet.kept(column, given.content.get(*place)?)?;
            }
            Some(row)
        });
        rows.collect()
    }
}

/// What an update gives to the replicated columns that it writes, by their places. `None` when some value shows only once it is
/// there; and what becomes of keys always does.
pub(super) fn assigned(
    backend: DbBackend,
    catalog: &Catalog,
    table: &Table,
    write: &Write<'_>,
    update: &ast::Update,
) -> Option<Vec<(usize, Value)>> {
    let is_generated = |column: &Column| catalog.is_generated(&table.name, &column.name);
    if table.columns.iter().any(is_generated) {
        return None;
    }
    let prophet = Prophet::new(backend, catalog, table, write)?;
    let mut assigned: Vec<(usize, Value)> = Vec::new();
    for assignment in &update.assignments {
        let ast::AssignmentTarget::ColumnName(name) = &assignment.target else {
            return None;
        };
        let name = &name.0.last()?.as_ident()?.value;
        let mut columns = table.columns.iter().enumerate();
        let Some((index, column)) = columns.find(|(_, column)| column.name.eq_ignore_ascii_case(name)) else {
            continue;
        };
        if column.is_key() || assigned.iter().any(|(other, _)| *other == index) {
            return None;
        }
        if column.kind().is_some() {
            assigned.push((index, prophet.kept(column, &assignment.value)?));
        }
    }
    Some(assigned)
}

impl<'a> Prophet<'a> {
    /// `None` when nothing can be told of the table: what is written to it may be altered, or go to another row; or two of its
    /// columns differ in letters' case only, as PostgreSQL lets them, so that a name alone does not tell which is meant.
    fn new(backend: DbBackend, catalog: &'a Catalog, table: &'a Table, write: &'a Write<'a>) -> Option<Self> {
        let names = catalog.columns(&table.name)?;
        let folded: BTreeSet<_> = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        let is_clear = folded.len() == names.len() && !catalog.must_compare(&table.name);
        is_clear.then_some(Self {
            backend,
            catalog,
            table,
            write,
        })
    }

    /// The value that is bound for a column, if it is read from it just as it is bound.
    fn kept(&self, column: &Column, given: &Expr) -> Option<Value> {
        let Expr::Value(ast::ValueWithSpan {
            value: ast::Value::Placeholder(text),
            ..
        }) = given
        else {
            return None;
        };
        let value = self.write.values.get(placeholder(text)?)?;
        keeps(self.backend, self.catalog, self.table, column, value).then(|| value.clone())
    }
}

/// The row that an insert of these values brings, by column; otherwise as [`Rows::foretold`]. Nothing alters what is written to
/// the table.
pub(super) fn row(
    backend: DbBackend,
    catalog: &Catalog,
    table: &Table,
    given: impl Fn(&Column) -> Option<Value>,
) -> Option<Row> {
    let values = table.columns.iter().map(|column| {
        if !column.is_key() && column.kind().is_none() {
            return Some(Value::String(None));
        }
        let is_kept = |value: &Value| is_bound_as_it_is(column, value) && keeps(backend, catalog, table, column, value);
        let is_generated = catalog.is_generated(&table.name, &column.name);
        given(column).filter(|value| !is_generated && is_kept(value))
    });
    values.collect()
}

/// Whether an active model's value is bound by itself, not as a part of something else.
pub(super) fn is_bound_as_it_is(column: &Column, value: &Value) -> bool {
    column.bind(value.clone()) == SqlExpr::val(value.clone())
}

/// Whether a value that is bound for a column is read from it just as it is bound.
pub(super) fn keeps(backend: DbBackend, catalog: &Catalog, table: &Table, column: &Column, value: &Value) -> bool {
    // Drivers bind others in ways of their own.
    let is_plain = matches!(
        value,
        Value::Bool(_)
            | Value::TinyInt(_)
            | Value::SmallInt(_)
            | Value::Int(_)
            | Value::BigInt(_)
            | Value::TinyUnsigned(_)
            | Value::SmallUnsigned(_)
            | Value::Unsigned(_)
            | Value::BigUnsigned(_)
            | Value::String(_)
            | Value::Bytes(_)
            | Value::Uuid(_)
            | Value::Json(_)
    );
    if !is_plain || !column.takes(value) {
        return false;
    }
    // Most columns hold every text that has a form.
    if let Value::String(Some(text)) = value
        && inexact::holds_all(backend, catalog, table, column)
    {
        return codec::has_form(text);
    }
    codec::encode(value).is_ok_and(|json| {
        let in_order = column.kind() != Some(Kind::Set) || is_canonical(&json);
        in_order && !inexact::at_risk(backend, catalog, table, column, &json)
    })
}

/// Whether a set's elements stand in their order, each once.
fn is_canonical(set: &Json) -> bool {
    let Json::Array(elements) = set else { return false };
    let texts: Vec<_> = elements.iter().map(canonical).collect();
    texts.is_sorted_by(|one, next| one < next)
}
