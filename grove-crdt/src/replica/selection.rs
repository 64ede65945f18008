//! The rows that an update or delete names, as part of a query of ours.

use sea_orm::{DatabaseTransaction, DbBackend};
use sqlparser::ast;

use crate::{
    entity::{Row, Table},
    error::Error,
    replica::{
        fragment::{Fragments, columns_of, quoted},
        statement::{Write, WriteKind, refusal, refuse_random},
    },
    store::{dialect, query_text},
};

/// The conditions of a statement.
#[derive(Clone, Copy, Debug)]
pub(super) struct Selection<'a> {
    write: &'a Write,
    backend: DbBackend,
}

impl<'a> Selection<'a> {
    pub(super) fn new(write: &'a Write, backend: DbBackend) -> Self {
        Self { write, backend }
    }

    pub(super) fn table(&self) -> &'a str {
        self.write.table()
    }

    pub(super) fn fragments(&self) -> Fragments<'a> {
        Fragments::new(&self.write.values, self.backend)
    }

    /// A sub-query for `columns` of the rows.
    pub(super) fn sub_select(&self, columns: &[String], fragments: &mut Fragments<'_>) -> String {
        let target = self.write.target();
        let name = target.alias.as_ref().unwrap_or(&target.text);
        let columns: Vec<_> = columns.iter().map(|c| format!("{name}.{}", quoted(c))).collect();
        format!("SELECT {}{}", columns.join(", "), self.from(fragments))
    }

    /// Everything of the query behind its list of columns.
    fn from(&self, fragments: &mut Fragments<'_>) -> String {
        let target = self.write.target();
        let mut text = format!(" FROM {}", target.text);
        if let Some(alias) = &target.alias {
            text.push_str(" AS ");
            text.push_str(alias);
        }
        for table in self.other_tables() {
            text.push_str(", ");
            text.push_str(&fragments.render(table));
        }
        let (selection, order_by, limit) = self.conditions();
        if let Some(selection) = selection {
            text.push_str(" WHERE ");
            text.push_str(&fragments.render(selection));
        }
        for (index, order) in order_by.iter().enumerate() {
            text.push_str(if index == 0 { " ORDER BY " } else { ", " });
            text.push_str(&fragments.render(order));
        }
        if let Some(limit) = limit {
            text.push_str(" LIMIT ");
            text.push_str(&fragments.render(limit));
        }
        text
    }

    fn other_tables(&self) -> &'a [ast::TableWithJoins] {
        use ast::UpdateTableFromKind::{AfterSet, BeforeSet};
        match &self.write.kind {
            WriteKind::Update(ast::Update {
                from: Some(AfterSet(tables) | BeforeSet(tables)),
                ..
            }) => tables,
            _ => &[],
        }
    }

    fn conditions(&self) -> (Option<&'a ast::Expr>, &'a [ast::OrderByExpr], Option<&'a ast::Expr>) {
        match &self.write.kind {
            WriteKind::Update(update) => (update.selection.as_ref(), &update.order_by, update.limit.as_ref()),
            WriteKind::Delete(delete) => (delete.selection.as_ref(), &delete.order_by, delete.limit.as_ref()),
            WriteKind::Insert(_) => (None, &[], None),
        }
    }

    /// # Errors
    ///
    /// The conditions name other rows each time they are evaluated.
    pub(super) fn check(&self) -> Result<(), Error> {
        refuse_random(&self.from(&mut self.fragments()), self.table())
    }

    /// Reads the rows under lock.
    pub(super) async fn rows(&self, tx: &DatabaseTransaction, table: &Table) -> Result<Vec<Row>, Error> {
        let mut fragments = self.fragments();
        let select = self.backend.build(&table.select()).sql;
        let (selection, order_by, limit) = self.conditions();
        let simple = self.write.target().alias.is_none()
            && self.other_tables().is_empty()
            && order_by.is_empty()
            && limit.is_none();
        let filter = match selection {
            None if simple => String::new(),
            Some(selection) if simple => format!(" WHERE {}", fragments.render(selection)),
            _ => {
                let key: Vec<_> = table.key_columns().map(|column| column.name.clone()).collect();
                let rows = self.sub_select(&key, &mut fragments);
                format!(" WHERE {} IN ({rows})", columns_of(&quoted(&table.name), &key))
            }
        };
        let sql = format!("{select}{filter}{}", dialect::for_update_text(self.backend));
        let rows = query_text(tx, sql, fragments.into_values()).await?;
        rows.iter().map(|row| Ok(table.decode(row)?)).collect()
    }

    /// Reads the rows as they will be once the key columns are assigned what `assignments` say.
    pub(super) async fn rows_with(
        &self,
        tx: &DatabaseTransaction,
        table: &Table,
        assignments: &[ast::Assignment],
    ) -> Result<Vec<Row>, Error> {
        let target = self.write.target();
        let owner = target.alias.as_ref().unwrap_or(&target.text);
        let mut fragments = self.fragments();
        let mut columns = Vec::new();
        for column in &table.columns {
            let assigned = assignments.iter().find_map(|assignment| match &assignment.target {
                ast::AssignmentTarget::ColumnName(name) => {
                    let last = name.0.last()?.as_ident()?;
                    last.value
                        .eq_ignore_ascii_case(&column.name)
                        .then_some(&assignment.value)
                }
                ast::AssignmentTarget::Tuple(_) => None,
            });
            let name = quoted(&column.name);
            columns.push(match assigned {
                Some(expr) if column.is_key() => format!("({}) AS {name}", fragments.render(expr)),
                None if column.is_key() && assignments.iter().any(is_tuple) => {
                    return Err(refusal(
                        format!("an update of the key of `{}` by a tuple", table.name),
                        "assign the columns one by one",
                    ));
                }
                _ => format!("{owner}.{name} AS {name}"),
            });
        }
        let from = self.from(&mut fragments);
        let sql = format!("SELECT {}{from}", columns.join(", "));
        let rows = query_text(tx, sql, fragments.into_values()).await?;
        rows.iter().map(|row| Ok(table.decode(row)?)).collect()
    }
}

fn is_tuple(assignment: &ast::Assignment) -> bool {
    matches!(assignment.target, ast::AssignmentTarget::Tuple(_))
}
