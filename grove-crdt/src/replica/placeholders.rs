//! The values that a statement's placeholders stand for.

use std::ops::ControlFlow;

use sqlparser::ast::{self, Expr, visit_expressions_mut};

use crate::{
    error::Error,
    replica::{
        source::Source,
        statement::{WriteKind, refusal},
    },
};

/// The number in a placeholder of the form `#n`.
pub(super) fn placeholder(text: &str) -> Option<usize> {
    text.strip_prefix('#')?.parse().ok()
}

/// Gives every placeholder the number of its value, `#n`, whatever its form was.
///
/// # Errors
///
/// A placeholder without a value.
pub(super) fn number_placeholders(kind: &mut WriteKind, source: &Source, values: usize) -> Result<(), Error> {
    let mut unknown = None;
    let mut visit = |expr: &mut Expr| {
        if let Expr::Value(value) = expr
            && let ast::Value::Placeholder(text) = &mut value.value
        {
            match source.value_at(value.span.start).filter(|n| *n < values) {
                Some(n) => *text = format!("#{n}"),
                None => unknown = Some(text.clone()),
            }
        }
        ControlFlow::<()>::Continue(())
    };
    let _ = match kind {
        WriteKind::Insert(insert) => visit_expressions_mut(insert, &mut visit),
        WriteKind::Update(update) => visit_expressions_mut(update, &mut visit),
        WriteKind::Delete(delete) => visit_expressions_mut(delete, &mut visit),
    };
    // The parser does not take every placeholder for an expression.
    let unknown = unknown.or_else(|| source.placeholder_beyond(values));
    unknown.map_or(Ok(()), |text| {
        Err(refusal(
            format!("a statement whose parameter `{text}` has no value"),
            "bind a value to each placeholder",
        ))
    })
}

#[cfg(test)]
mod tests {
    use sea_orm::DbBackend;

    use super::*;

    #[track_caller]
    fn numbered(backend: DbBackend, sql: &str, values: usize) -> Result<String, Error> {
        let source = Source::read(sql, backend).unwrap();
        let Some(ast::Statement::Update(update)) = source.parse().unwrap().pop() else {
            panic!("an update")
        };
        let mut kind = WriteKind::Update(update);
        number_placeholders(&mut kind, &source, values)?;
        let WriteKind::Update(update) = kind else {
            panic!("an update")
        };
        Ok(update.to_string())
    }

    #[test]
    fn placeholders_get_the_numbers_of_their_values() {
        let sql = "UPDATE t SET a = ?, b = b + ? WHERE c = ? AND d IN (?, ?)";
        let expected = "UPDATE t SET a = #0, b = b + #1 WHERE c = #2 AND d IN (#3, #4)";
        for backend in [DbBackend::Sqlite, DbBackend::MySql] {
            assert_eq!(numbered(backend, sql, 5).unwrap(), expected);
            assert!(numbered(backend, sql, 2).is_err());
        }
    }

    #[test]
    fn a_number_may_come_twice() {
        let sql = "UPDATE t SET a = $2, b = j ? 'x' WHERE c = $1 AND d = ANY($3) OR e = $1 AND f = '$1'";
        let expected = "UPDATE t SET a = #1, b = j ? 'x' WHERE c = #0 AND d = ANY(#2) OR e = #0 AND f = '$1'";
        assert_eq!(numbered(DbBackend::Postgres, sql, 3).unwrap(), expected);
        assert!(numbered(DbBackend::Postgres, sql, 2).is_err());
    }
}
