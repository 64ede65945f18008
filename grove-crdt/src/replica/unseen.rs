//! Refuses statements that may put a stale value over the work of others.
//!
//! What a `Counter` or `OrSet` remembers is seen by the hooks of an active model. Once SeaORM has built a statement without them,
//! there is a plain integer or JSON array left, and nothing tells whether it was read long ago or is to be made so.

use sea_orm::{DbBackend, Value};
use sqlparser::ast::{self, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, ObjectName, SetExpr};

use crate::{
    entity::{Column, Registry, Table},
    error::Error,
    replica::{
        announce::Announced,
        given::inserted_columns,
        insert::upsert_assignments,
        placeholders::placeholder,
        statement::{Write, WriteKind, refusal},
    },
    store::catalog::Catalog,
    types::Kind,
};

/// Checks a write that no hook has announced.
///
/// # Errors
///
/// A column whose type remembers steps is given a bound value in a row that is there. A value that an update announced here has
/// brought up to date is none of those: the statement was changed after the hook.
pub(super) fn check(
    registry: &Registry,
    catalog: &Catalog,
    write: &Write<'_>,
    announced: &[Announced],
) -> Result<(), Error> {
    let table = registry.get(write.table());
    let Some(table) = table.filter(|table| table.columns.iter().any(|column| column.remembers)) else {
        return Ok(());
    };
    let (assignments, inserted) = match &write.kind {
        WriteKind::Update(update) => (update.assignments.as_slice(), None),
        WriteKind::Insert(insert) => (
            upsert_assignments(insert).unwrap_or_default(),
            Some(Inserted {
                insert,
                columns: inserted_columns(table, catalog, insert),
            }),
        ),
        WriteKind::Delete(_) => return Ok(()),
    };
    let statement = Assigning { write, inserted };
    for (name, value) in assignments.iter().flat_map(pairs) {
        let Some((index, column)) = statement.column(table, name) else {
            continue;
        };
        let is_new = |value: &&Value| announced.iter().any(|own| own.has_made(table, index, value));
        if !statement.bound(value).iter().all(is_new) {
            return Err(refused(table, column));
        }
    }
    Ok(())
}

fn refused(table: &Table, column: &Column) -> Error {
    let (moves, anew) = match column.kind() {
        Some(Kind::Counter) => (
            "move it by `increment_…`, or by `col_expr(column, Expr::col(column).add(n))`; ",
            "Counter::new(n)",
        ),
        _ => ("", "OrSet::from(…)"),
    };
    refusal(
        format!(
            "a statement that binds a value for `{}` of `{}`, without the steps that this value may remember,",
            column.name, table.name
        ),
        format!(
            "save the active model by its own `update` or `save`, with the replica or in a transaction (and in hooks of your own, \
             change it before `hooks::before_save`); {moves}to set it whatever it holds, save `{anew}` so"
        ),
    )
}

/// The columns that an assignment writes, each with its value. What a sub-query gives to several is none that was bound.
fn pairs(assignment: &ast::Assignment) -> Vec<(&ObjectName, &Expr)> {
    match &assignment.target {
        ast::AssignmentTarget::ColumnName(name) => vec![(name, &assignment.value)],
        ast::AssignmentTarget::Tuple(names) => names.iter().zip(parts(&assignment.value)).collect(),
    }
}

/// The values in a row of them.
fn parts(row: &Expr) -> Vec<&Expr> {
    match row {
        Expr::Tuple(values) => values.iter().collect(),
        Expr::Function(function) if is_called(function, &["ROW"]) => arguments(function),
        _ => Vec::new(),
    }
}

fn is_called(function: &ast::Function, names: &[&str]) -> bool {
    let [ast::ObjectNamePart::Identifier(name)] = function.name.0.as_slice() else {
        return false;
    };
    names.iter().any(|known| name.value.eq_ignore_ascii_case(known))
}

fn arguments(function: &ast::Function) -> Vec<&Expr> {
    let FunctionArguments::List(list) = &function.args else {
        return Vec::new();
    };
    let exprs = list.args.iter().map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    exprs.flatten().collect()
}

/// A statement that assigns columns of rows that are there.
struct Assigning<'a> {
    write: &'a Write<'a>,
    inserted: Option<Inserted<'a>>,
}

/// What it inserts, if there is nothing in conflict.
struct Inserted<'a> {
    insert: &'a ast::Insert,
    columns: Vec<String>,
}

impl<'a> Assigning<'a> {
    /// The column that is meant, if it remembers.
    fn column<'t>(&self, table: &'t Table, name: &ObjectName) -> Option<(usize, &'t Column)> {
        let name = name.0.last()?.as_ident()?;
        let columns = table.columns.iter().enumerate();
        let mut remembering = columns.filter(|(_, column)| column.remembers);
        remembering.find(|(_, column)| self.names(name, &column.name))
    }

    fn names(&self, name: &Ident, column: &str) -> bool {
        match (self.write.source.backend(), name.quote_style) {
            (DbBackend::Postgres, Some(_)) => name.value == column,
            (DbBackend::Postgres, None) => name.value.to_lowercase() == column,
            _ => name.value.eq_ignore_ascii_case(column),
        }
    }

    /// The bound values of which an expression may give one as it is.
    fn bound(&self, expr: &Expr) -> Vec<&'a Value> {
        match expr {
            Expr::Value(value) => match &value.value {
                ast::Value::Placeholder(text) => {
                    let value = placeholder(text).and_then(|n| self.write.values.get(n));
                    value.into_iter().collect()
                }
                _ => Vec::new(),
            },
            Expr::Nested(expr) | Expr::Cast { expr, .. } | Expr::Collate { expr, .. } => self.bound(expr),
            Expr::Case {
                conditions,
                else_result,
                ..
            } => {
                let results = conditions.iter().map(|when| &when.result);
                let results = results.chain(else_result.as_deref());
                results.flat_map(|result| self.bound(result)).collect()
            }
            Expr::Function(function) if is_called(function, &["VALUES", "VALUE"]) => {
                match arguments(function).as_slice() {
                    [Expr::Identifier(name)] => self.inserted(name),
                    [Expr::CompoundIdentifier(names)] => names.last().map_or_else(Vec::new, |name| self.inserted(name)),
                    _ => Vec::new(),
                }
            }
            Expr::Function(function) if is_called(function, &["COALESCE", "IFNULL"]) => arguments(function)
                .into_iter()
                .flat_map(|part| self.bound(part))
                .collect(),
            Expr::CompoundIdentifier(names) => match names.as_slice() {
                [of, name] if self.is_new_row(of) => self.inserted(name),
                _ => Vec::new(),
            },
            _ => Vec::new(),
        }
    }

    /// Whether this is a name of the row that is inserted.
    fn is_new_row(&self, name: &Ident) -> bool {
        let alias = self
            .inserted
            .as_ref()
            .and_then(|inserted| inserted.insert.insert_alias.as_ref());
        let alias = alias.and_then(|alias| alias.row_alias.0.last()?.as_ident());
        match alias {
            Some(alias) => name.value.eq_ignore_ascii_case(&alias.value),
            None => name.value.eq_ignore_ascii_case("excluded"),
        }
    }

    /// The bound values of which a column of an inserted row has one as it is.
    fn inserted(&self, name: &Ident) -> Vec<&'a Value> {
        let Some(Inserted { insert, columns }) = &self.inserted else {
            return Vec::new();
        };
        let alias = insert.insert_alias.as_ref();
        let renamed = alias.and_then(|alias| alias.col_aliases.as_ref());
        let place = match renamed {
            Some(names) => names.iter().position(|own| own.value.eq_ignore_ascii_case(&name.value)),
            None => columns.iter().position(|column| self.names(name, column)),
        };
        let Some(place) = place else { return Vec::new() };
        match &insert.source {
            Some(query) => self.selected(&query.body, place),
            None => {
                let assigned = insert.assignments.get(place);
                assigned.map_or_else(Vec::new, |assignment| self.bound(&assignment.value))
            }
        }
    }

    fn selected(&self, rows: &SetExpr, place: usize) -> Vec<&'a Value> {
        match rows {
            SetExpr::Values(values) => {
                let given = values.rows.iter().filter_map(|row| row.content.get(place));
                given.flat_map(|value| self.bound(value)).collect()
            }
            SetExpr::Select(select) => match select.projection.get(place) {
                Some(ast::SelectItem::UnnamedExpr(expr) | ast::SelectItem::ExprWithAlias { expr, .. }) => {
                    self.bound(expr)
                }
                _ => Vec::new(),
            },
            SetExpr::Query(query) => self.selected(&query.body, place),
            SetExpr::SetOperation { left, right, .. } => {
                let mut both = self.selected(left, place);
                both.extend(self.selected(right, place));
                both
            }
            _ => Vec::new(),
        }
    }
}
