//! What an insert gives: the values of some columns in each of its rows.

use std::{ops::Range, sync::Arc};

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Value, sea_query::ArrayType};
use sqlparser::ast::{self, Expr, SetExpr};

use crate::{
    entity::{Column, Table, codec},
    error::Error,
    replica::{
        fragment::Fragments,
        placeholders::placeholder,
        selection::assigned_columns,
        statement::{Write, refusal},
    },
    store::{catalog::Catalog, query_text, row},
};

/// What one row gives to one column.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Given {
    Value(Value),
    Null,
    /// What the column has when nothing is given.
    Default,
}

impl Given {
    pub(super) fn into_value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Null | Self::Default => None,
        }
    }
}

/// An insert and its rows.
pub(super) struct Rows<'a> {
    pub tx: &'a DatabaseTransaction,
    pub table: &'a Arc<Table>,
    pub write: &'a Write<'a>,
    pub insert: &'a ast::Insert,
    /// The inserted columns.
    columns: Vec<String>,
}

impl<'a> Rows<'a> {
    pub(super) fn new(
        tx: &'a DatabaseTransaction,
        table: &'a Arc<Table>,
        catalog: &Catalog,
        write: &'a Write<'a>,
        insert: &'a ast::Insert,
    ) -> Self {
        Self {
            tx,
            table,
            write,
            insert,
            columns: inserted_columns(table, catalog, insert),
        }
    }

    pub(super) fn backend(&self) -> DbBackend {
        self.tx.get_database_backend()
    }

    /// The place of a column among those that are inserted.
    pub(super) fn place_of(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.eq_ignore_ascii_case(name))
    }

    /// How many rows are inserted, when that can be told.
    pub(super) fn count(&self) -> Option<usize> {
        match &self.insert.source {
            None => Some(1),
            Some(query) => match query.body.as_ref() {
                SetExpr::Values(values) => Some(values.rows.len()),
                _ => None,
            },
        }
    }

    /// What each row gives to the columns `names`; `None` when no row gives anything to some of them.
    pub(super) async fn of(&self, names: &[String]) -> Result<Option<Vec<Vec<Given>>>, Error> {
        let places = names.iter().map(|name| self.place_of(name));
        let Some(places) = places.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let Some(query) = &self.insert.source else {
            // `DEFAULT VALUES` gives nothing.
            let values: Vec<_> = self.insert.assignments.iter().map(|a| &a.value).collect();
            let row = self.row(&values, &places, names)?;
            return Ok((!values.is_empty()).then_some(vec![row]));
        };
        let SetExpr::Values(values) = query.body.as_ref() else {
            return self.selected(&places, names).await.map(Some);
        };
        let mut rows = Vec::with_capacity(values.rows.len());
        for row in &values.rows {
            let values: Vec<_> = row.content.iter().collect();
            rows.push(self.row(&values, &places, names)?);
        }
        Ok(Some(rows))
    }

    fn row(&self, values: &[&Expr], places: &[usize], names: &[String]) -> Result<Vec<Given>, Error> {
        // MySQL's `VALUES ()`.
        if values.is_empty() {
            return Ok(vec![Given::Default; places.len()]);
        }
        let computed = || {
            refusal(
                format!(
                    "an insert into `{}` with a computed key or unique value",
                    self.table.name
                ),
                "bind it as a value",
            )
        };
        let mut row = Vec::with_capacity(places.len());
        for (place, name) in places.iter().zip(names) {
            let given = values.get(*place).and_then(|expr| self.constant(expr));
            row.push(match given {
                Some(Given::Value(value)) => Given::Value(self.fit(value, name).ok_or_else(computed)?),
                other => other.ok_or_else(computed)?,
            });
        }
        Ok(row)
    }

    /// The value of a constant, `None` for what is to be computed.
    fn constant(&self, expr: &Expr) -> Option<Given> {
        let backend = self.backend();
        match expr {
            Expr::Value(value) => self.literal(&value.value),
            Expr::Nested(expr) => self.constant(expr),
            // SeaORM casts enums for PostgreSQL; elsewhere a cast may make another value of it.
            Expr::Cast { expr, .. } if backend == DbBackend::Postgres => self.constant(expr),
            Expr::UnaryOp {
                op: ast::UnaryOperator::Minus,
                expr,
            } => match self.constant(expr)? {
                Given::Value(Value::BigInt(Some(number))) => Some(Given::Value((-number).into())),
                _ => None,
            },
            Expr::Identifier(name) if name.quote_style.is_none() && name.value.eq_ignore_ascii_case("DEFAULT") => {
                Some(Given::Default)
            }
            _ => None,
        }
    }

    fn literal(&self, literal: &ast::Value) -> Option<Given> {
        let backend = self.backend();
        Some(Given::Value(match literal {
            ast::Value::Null => return Some(Given::Null),
            ast::Value::Placeholder(text) => {
                let value = placeholder(text).and_then(|n| self.write.values.get(n))?;
                if *value == value.as_null() {
                    return Some(Given::Null);
                }
                value.clone()
            }
            ast::Value::Number(text, _) => text.parse::<i64>().ok()?.into(),
            ast::Value::SingleQuotedString(text) => text.as_str().into(),
            ast::Value::DoubleQuotedString(text) if backend == DbBackend::MySql => text.as_str().into(),
            ast::Value::EscapedStringLiteral(text) if backend == DbBackend::Postgres => text.as_str().into(),
            ast::Value::DollarQuotedString(text) if backend == DbBackend::Postgres => text.value.as_str().into(),
            ast::Value::Boolean(value) => (*value).into(),
            _ => return None,
        }))
    }

    /// The value as one that its column can be compared with. PostgreSQL compares only what is of one type, and is asked for
    /// rows by their columns' types, or it would take the one for the other in a query it knows already.
    fn fit(&self, value: Value, name: &str) -> Option<Value> {
        let column = self.column(name);
        match (self.backend(), value, column) {
            (DbBackend::Sqlite, value, _) | (_, value, None) => Some(value),
            (_, Value::BigInt(Some(number)), Some(column)) if is_text(column) => Some(number.to_string().into()),
            (DbBackend::Postgres, value, Some(column)) => fitted(&value, column),
            (_, value, _) => Some(value),
        }
    }

    fn column(&self, name: &str) -> Option<&Column> {
        let mut columns = self.table.columns.iter();
        columns.find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// What a query gives. It must give the same when it is run again, by the insert.
    async fn selected(&self, places: &[usize], names: &[String]) -> Result<Vec<Vec<Given>>, Error> {
        let Some(query) = &self.write.sections.query else {
            return Ok(Vec::new());
        };
        self.refuse_unstable(query)?;
        let mut fragments = Fragments::of(self.write);
        let text = self.selected_text(query, places, &mut fragments);
        let (sql, values) = fragments.finish(&text);
        let found = query_text(self.tx, sql, values).await?;
        let mut rows = Vec::with_capacity(found.len());
        for found in &found {
            let mut row = Vec::with_capacity(names.len());
            for (index, name) in names.iter().enumerate() {
                let value_type = self
                    .column(name)
                    .map_or(&ArrayType::String, |column| &column.value_type);
                let is_null = || {
                    let text = found.try_get_by_index::<Option<String>>(index);
                    text.is_ok_and(|text| text.is_none())
                };
                row.push(match row::value_at(found, index, value_type) {
                    Err(_) if is_null() => Given::Null,
                    value => Given::Value(value?),
                });
            }
            rows.push(row);
        }
        Ok(rows)
    }

    fn refuse_unstable(&self, query: &Range<usize>) -> Result<(), Error> {
        let source = &self.write.source;
        // Of a plain insert, the rows it brings are counted; with a conflict clause it can't be told which it wrote.
        let timed = self.may_exist() && source.is_timed(query.clone());
        if source.is_random(query.clone()) || timed {
            return Err(refusal(
                format!(
                    "an insert into `{}` from a query with random values, or an upsert from one with the time of day",
                    self.table.name
                ),
                "select first, and insert the values",
            ));
        }
        Ok(())
    }

    /// Whether the insert goes on when a row is there already.
    pub(super) fn may_exist(&self) -> bool {
        self.insert.on.is_some() || self.insert.or.is_some() || self.insert.ignore
    }

    fn selected_text(&self, query: &Range<usize>, places: &[usize], fragments: &mut Fragments<'_>) -> String {
        let source = fragments.quoted("grove_source");
        let named: Vec<_> = (0..self.columns.len())
            .map(|n| fragments.quoted(&format!("c{n}")))
            .collect();
        let wanted: Vec<_> = places.iter().map(|place| named[*place].as_str()).collect();
        let (named, wanted) = (named.join(", "), wanted.join(", "));
        let taken = fragments.take(query);
        match fragments.backend() {
            // The union gives the values the types of the table's columns, as the insert will.
            DbBackend::Postgres => {
                let columns = match self.insert.columns.as_slice() {
                    [] => self
                        .columns
                        .iter()
                        .map(|name| fragments.quoted(name))
                        .collect::<Vec<_>>(),
                    names => names.iter().map(ToString::to_string).collect(),
                };
                format!(
                    "SELECT {wanted} FROM (SELECT {} FROM {} WHERE false UNION ALL ({taken})) AS {source}({named})",
                    columns.join(", "),
                    self.write.target().text
                )
            }
            DbBackend::MySql => format!(
                "WITH {source}({named}) AS ({taken}{}) SELECT {wanted} FROM {source}",
                self.shared_lock(query)
            ),
            _ => format!("WITH {source}({named}) AS ({taken}) SELECT {wanted} FROM {source}"),
        }
    }

    /// An insert reads what is, not what was when the transaction began, and so must a query before it.
    fn shared_lock(&self, query: &Range<usize>) -> &'static str {
        if self.write.source.locks(query.clone()) {
            ""
        } else {
            " LOCK IN SHARE MODE"
        }
    }
}

/// The columns that an insert gives, in the order of their values.
pub(super) fn inserted_columns(table: &Table, catalog: &Catalog, insert: &ast::Insert) -> Vec<String> {
    let last = |name: &ast::ObjectName| Some(name.0.last()?.as_ident()?.value.clone());
    if !insert.assignments.is_empty() {
        assigned_columns(&insert.assignments)
    } else if insert.columns.is_empty() {
        let mut columns = catalog.insertable(&table.name);
        columns.truncate(width(insert).unwrap_or(columns.len()));
        columns
    } else {
        insert.columns.iter().filter_map(last).collect()
    }
}

/// How many values each row gives, when that can be told. On PostgreSQL they may be fewer than the columns.
fn width(insert: &ast::Insert) -> Option<usize> {
    match insert.source.as_ref()?.body.as_ref() {
        SetExpr::Values(values) => values.rows.first().map(|row| row.content.len()),
        SetExpr::Select(select) => {
            let is_one = |item: &ast::SelectItem| {
                !matches!(
                    item,
                    ast::SelectItem::Wildcard(_) | ast::SelectItem::QualifiedWildcard(..)
                )
            };
            select.projection.iter().all(is_one).then_some(select.projection.len())
        }
        _ => None,
    }
    .filter(|width| *width > 0)
}

/// The value as one of the column's type.
fn fitted(value: &Value, column: &Column) -> Option<Value> {
    let json = codec::encode(value).ok()?;
    let number = json.as_str().filter(|_| is_integer(column));
    let json = number
        .and_then(|text| text.parse::<i64>().ok())
        .map_or(json.clone(), Into::into);
    column.decode(&json).ok()
}

/// A number as a value of the column's type.
pub(super) fn number_for(column: &Column, number: i64) -> Option<Value> {
    fitted(&number.into(), column)
}

fn is_text(column: &Column) -> bool {
    matches!(
        column.value_type,
        ArrayType::String | ArrayType::Char | ArrayType::Enum(_)
    )
}

/// Whether a column holds whole numbers.
pub(super) fn is_integer(column: &Column) -> bool {
    codec::is_integer(&column.value_type)
}
