//! Parts of a user's statement, taken up in a query of ours.

use std::{fmt, ops::ControlFlow};

use sea_orm::{DbBackend, Value};
use sqlparser::ast::{self, Expr, VisitMut, visit_expressions_mut};

use crate::{
    error::Error,
    replica::statement::{WriteKind, refusal},
};

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

/// Gives every placeholder the number of its value, `#n`, whatever its form was.
pub(super) fn number_placeholders(kind: &mut WriteKind, values: usize) -> Result<(), Error> {
    let mut places = Vec::new();
    each_placeholder(kind, |value| {
        places.push((value.span.start.line, value.span.start.column));
    });
    places.sort_unstable();
    let mut unknown = None;
    each_placeholder(kind, |value| {
        let ast::Value::Placeholder(text) = &mut value.value else {
            return;
        };
        let place = (value.span.start.line, value.span.start.column);
        let number = match text.get(1..).unwrap_or_default() {
            "" => places.binary_search(&place).ok(),
            digits => digits.parse::<usize>().ok().and_then(|n| n.checked_sub(1)),
        };
        match number.filter(|n| *n < values) {
            Some(n) => *text = format!("#{n}"),
            None => unknown = Some(text.clone()),
        }
    });
    unknown.map_or(Ok(()), |text| {
        Err(refusal(
            format!("a statement whose parameter `{text}` has no value"),
            "bind a value to each `?`",
        ))
    })
}

fn each_placeholder(kind: &mut WriteKind, mut f: impl FnMut(&mut ast::ValueWithSpan)) {
    let mut visit = |expr: &mut Expr| {
        if let Expr::Value(value) = expr
            && matches!(value.value, ast::Value::Placeholder(_))
        {
            f(value);
        }
        ControlFlow::<()>::Continue(())
    };
    let _ = match kind {
        WriteKind::Insert(insert) => visit_expressions_mut(insert, &mut visit),
        WriteKind::Update(update) => visit_expressions_mut(update, &mut visit),
        WriteKind::Delete(delete) => visit_expressions_mut(delete, &mut visit),
    };
}

#[cfg(test)]
mod tests {
    use sqlparser::{dialect::SQLiteDialect, parser::Parser};

    use super::*;

    #[test]
    fn placeholders_get_the_numbers_of_their_values() {
        let parsed = Parser::parse_sql(
            &SQLiteDialect {},
            "UPDATE t SET a = ?, b = b + ? WHERE c = ? AND d IN (?, ?)",
        );
        let Some(ast::Statement::Update(update)) = parsed.unwrap().pop() else {
            panic!("an update")
        };
        let mut kind = WriteKind::Update(update);
        number_placeholders(&mut kind, 5).unwrap();
        let WriteKind::Update(update) = &kind else {
            panic!("an update")
        };
        assert_eq!(
            update.to_string(),
            "UPDATE t SET a = #0, b = b + #1 WHERE c = #2 AND d IN (#3, #4)"
        );
        let WriteKind::Update(_) = &kind else {
            panic!("an update")
        };
        assert!(number_placeholders(&mut kind, 2).is_err());
    }
}
