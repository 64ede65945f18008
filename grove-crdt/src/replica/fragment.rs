//! Parts of a user's statement, taken up in a query of ours.

use std::{fmt, ops::ControlFlow};

use sea_orm::{DbBackend, Value};
use sqlparser::ast::{self, Expr, VisitMut, visit_expressions_mut};

/// Renders parts of one statement and collects the values they bind.
#[derive(Debug)]
pub(super) struct Fragments<'a> {
    source: &'a [Value],
    backend: DbBackend,
    values: Vec<Value>,
}

impl<'a> Fragments<'a> {
    /// `source` are the values of the statement that the parts come from.
    pub(super) fn new(source: &'a [Value], backend: DbBackend) -> Self {
        Self {
            source,
            backend,
            values: Vec::new(),
        }
    }

    /// The part as text, its placeholders numbered for the query being put together.
    pub(super) fn render<T: VisitMut + fmt::Display + Clone>(&mut self, part: &T) -> String {
        let mut part = part.clone();
        let _ = visit_expressions_mut(&mut part, |expr: &mut Expr| {
            if let Expr::Value(value) = expr
                && let ast::Value::Placeholder(text) = &mut value.value
                && let Some(bound) = placeholder(text).and_then(|n| self.source.get(n))
            {
                *text = self.bind(bound.clone());
            }
            ControlFlow::<()>::Continue(())
        });
        part.to_string()
    }

    /// Binds a value of ours and gives its placeholder.
    pub(super) fn bind(&mut self, value: Value) -> String {
        self.values.push(value);
        self.newest()
    }

    fn newest(&self) -> String {
        let sign = if self.backend == DbBackend::Postgres { '$' } else { '?' };
        format!("{sign}{}", self.values.len())
    }

    pub(super) fn into_values(self) -> Vec<Value> {
        self.values
    }
}

/// The number in a placeholder of the form `#n`.
pub(super) fn placeholder(text: &str) -> Option<usize> {
    text.strip_prefix('#')?.parse().ok()
}

/// A name in double quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Names as a list of columns of `table`, in parentheses.
pub(super) fn columns_of(table: &str, names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("{table}.{}", quoted(name))).collect();
    format!("({})", names.join(", "))
}
