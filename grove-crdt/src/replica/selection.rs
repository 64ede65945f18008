//! The rows that an update or delete names, as part of a query of ours.

use std::ops::Range;

use sea_orm::{DatabaseTransaction, DbBackend, QueryResult, Value};
use sqlparser::ast;

use crate::{
    entity::{Row, Table},
    error::Error,
    replica::{
        fragment::Fragments,
        sections::Sections,
        statement::{Write, WriteKind, refusal},
    },
    store::{query_text, row},
};

/// The conditions of a statement.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    write: &'a Write<'a>,
}

impl<'a> Selection<'a> {
    pub(super) fn new(write: &'a Write<'a>) -> Self {
        Self { write }
    }

    pub(super) fn table(&self) -> &'a str {
        self.write.table()
    }

    pub(super) fn fragments(&self) -> Fragments<'a> {
        Fragments::of(self.write)
    }

    fn backend(&self) -> DbBackend {
        self.write.source.backend()
    }

    fn sections(&self) -> &'a Sections {
        &self.write.sections
    }

    /// What the statement's own columns are qualified with.
    fn owner(&self) -> &'a str {
        let target = self.write.target();
        target.alias.as_ref().unwrap_or(&target.text)
    }

    /// Whether which rows are named depends on more than each row itself, so that it may change although the rows are locked.
    pub(super) fn depends_on_others(&self) -> bool {
        let sections = self.sections();
        let has_query = |range: &Range<usize>| self.write.source.has_query(range.clone());
        sections.tables.is_some() || sections.selection.as_ref().is_some_and(has_query)
    }

    /// Whether the statement finds just the rows that were read under lock, if it finds as many.
    pub(super) fn is_settled(&self) -> bool {
        let is_timed = |range: &Range<usize>| self.write.source.is_timed(range.clone());
        !self.depends_on_others() && !self.sections().selection.as_ref().is_some_and(is_timed)
    }

    /// A sub-query for `columns` of the rows.
    pub(super) fn sub_select(&self, columns: &[String], fragments: &mut Fragments<'_>) -> String {
        let list = fragments.columns(self.owner(), columns);
        let (from, lock) = (self.from(fragments), fragments.for_update_inside());
        let query = format!("SELECT {list}{from}{}{lock}", self.cut(fragments));
        // MySQL takes no LIMIT in a sub-query of IN, but in a table made of one.
        if self.is_cut() && self.backend() == DbBackend::MySql {
            return format!("SELECT * FROM ({query}) AS {}", fragments.quoted("grove_cut"));
        }
        query
    }

    /// A query that gives a row for each of the rows, and locks them.
    pub(super) fn locking(&self, fragments: &mut Fragments<'_>) -> String {
        let from = self.from(fragments);
        format!("SELECT 1{from}{}{}", self.cut(fragments), self.lock(fragments))
    }

    /// Locks the target's rows only, not those of other tables.
    fn lock(&self, fragments: &Fragments<'_>) -> String {
        match self.backend() {
            DbBackend::Postgres if self.sections().tables.is_some() => {
                let target = self.write.target();
                let name = target.alias.as_ref().unwrap_or(&target.bare);
                format!("{} OF {name}", fragments.for_update())
            }
            _ => fragments.for_update().to_owned(),
        }
    }

    /// The query's tables and conditions.
    fn from(&self, fragments: &mut Fragments<'_>) -> String {
        let target = self.write.target();
        let mut text = format!(" FROM {}", target.text);
        if let Some(alias) = &target.alias {
            text.push_str(" AS ");
            text.push_str(alias);
        }
        for (word, range) in [(", ", &self.sections().tables), (" WHERE ", &self.sections().selection)] {
            if let Some(range) = range {
                text.push_str(word);
                text.push_str(&fragments.take(range));
            }
        }
        text
    }

    /// Whether the rows are the first of an order. Those of an update are not cut off, nor are those of a delete without an
    /// order: which they are is for the database to say, so all that it chooses from are taken for them.
    fn is_cut(&self) -> bool {
        let sections = self.sections();
        matches!(self.write.kind, WriteKind::Delete(_)) && sections.order_by.is_some() && sections.limit.is_some()
    }

    fn cut(&self, fragments: &mut Fragments<'_>) -> String {
        match (&self.sections().order_by, &self.sections().limit) {
            (Some(order_by), Some(limit)) if self.is_cut() => {
                format!(" ORDER BY {} LIMIT {}", fragments.take(order_by), fragments.take(limit))
            }
            _ => String::new(),
        }
    }

    /// # Errors
    ///
    /// The conditions name other rows each time they are evaluated.
    pub(super) fn check(&self) -> Result<(), Error> {
        let sections = self.sections();
        let parts = [&sections.tables, &sections.selection, &sections.order_by];
        let is_random = |range: &Range<usize>| self.write.source.is_random(range.clone());
        if parts.into_iter().flatten().any(is_random) {
            return Err(refusal(
                format!("a write of `{}` whose rows are chosen at random", self.table()),
                "select the keys first, and name them",
            ));
        }
        Ok(())
    }

    /// Reads the rows under lock.
    pub(super) async fn rows(&self, tx: &DatabaseTransaction, table: &Table) -> Result<Vec<Row>, Error> {
        let mut fragments = self.fragments();
        let text = self.rows_text(table, &mut fragments);
        let (sql, values) = fragments.finish(&text);
        let rows = query_text(tx, sql, values).await?;
        rows.iter().map(|row| Ok(table.decode(row)?)).collect()
    }

    fn rows_text(&self, table: &Table, fragments: &mut Fragments<'_>) -> String {
        let select = self.backend().build(&table.select()).sql;
        let key: Vec<_> = table.key_columns().map(|column| column.name.clone()).collect();
        let sections = self.sections();
        let name = fragments.quoted(&table.name);
        let simple = self.write.target().alias.is_none() && sections.tables.is_none() && !self.is_cut();
        let filter = match &sections.selection {
            None if simple => String::new(),
            Some(selection) if simple => format!(" WHERE {}", fragments.take(selection)),
            _ => {
                let rows = self.sub_select(&key, fragments);
                format!(" WHERE ({}) IN ({rows})", fragments.columns(&name, &key))
            }
        };
        let (order, lock) = (fragments.in_order_of(&name, &key), fragments.for_update());
        format!("{select}{filter}{order}{lock}")
    }

    /// Reads the keys that the rows will have once `update` has assigned them.
    pub(super) async fn keys_after(
        &self,
        tx: &DatabaseTransaction,
        table: &Table,
        update: &ast::Update,
    ) -> Result<Vec<Vec<Value>>, Error> {
        let mut fragments = self.fragments();
        let text = self.keys_text(table, update, &mut fragments)?;
        let (sql, values) = fragments.finish(&text);
        let rows = query_text(tx, sql, values).await?;
        rows.iter().map(|row| key_of(table, row)).collect()
    }

    fn keys_text(&self, table: &Table, update: &ast::Update, fragments: &mut Fragments<'_>) -> Result<String, Error> {
        let mut columns = Vec::new();
        for column in table.key_columns() {
            let kept = fragments.columns(self.owner(), std::slice::from_ref(&column.name));
            let Some(place) = place_of(&column.name, &update.assignments) else {
                if update.assignments.iter().any(is_tuple) {
                    return Err(refusal(
                        format!("an update of the key of `{}` by a tuple", table.name),
                        "assign the columns one by one",
                    ));
                }
                columns.push(kept);
                continue;
            };
            self.refuse_effects_of_order(table, update, place)?;
            let assigned = fragments.take(&self.sections().assigned[place]);
            columns.push(match self.backend() {
                // It makes the value one of the column's type, as the assignment will.
                DbBackend::Postgres => format!("CASE WHEN true THEN ({assigned}) ELSE {kept} END"),
                _ => format!("({assigned})"),
            });
        }
        let from = self.from(fragments);
        let lock = fragments.for_update_inside();
        Ok(format!("SELECT {}{from}{lock}", columns.join(", ")))
    }

    /// On MySQL an assignment sees the columns as those before it have left them.
    fn refuse_effects_of_order(&self, table: &Table, update: &ast::Update, place: usize) -> Result<(), Error> {
        if self.backend() != DbBackend::MySql {
            return Ok(());
        }
        let value = &self.sections().assigned[place];
        let earlier = assigned_columns(&update.assignments[..place]);
        if earlier
            .iter()
            .any(|column| self.write.source.names(value.clone(), column))
        {
            return Err(refusal(
                format!(
                    "an update of the key of `{}` by what it has assigned before",
                    table.name
                ),
                "assign the key first",
            ));
        }
        Ok(())
    }
}

fn key_of(table: &Table, row: &QueryResult) -> Result<Vec<Value>, Error> {
    let columns = table.key_columns().enumerate();
    columns
        .map(|(index, column)| Ok(row::value_at(row, index, &column.value_type)?))
        .collect()
}

/// Which of the assignments is to a column.
fn place_of(column: &str, assignments: &[ast::Assignment]) -> Option<usize> {
    assignments.iter().position(|assignment| match &assignment.target {
        ast::AssignmentTarget::ColumnName(name) => {
            let last = name.0.last().and_then(|part| part.as_ident());
            last.is_some_and(|last| last.value.eq_ignore_ascii_case(column))
        }
        ast::AssignmentTarget::Tuple(_) => false,
    })
}

fn is_tuple(assignment: &ast::Assignment) -> bool {
    matches!(assignment.target, ast::AssignmentTarget::Tuple(_))
}

/// The names of the columns that assignments write.
pub(super) fn assigned_columns(assignments: &[ast::Assignment]) -> Vec<String> {
    let names = assignments.iter().flat_map(|assignment| match &assignment.target {
        ast::AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
        ast::AssignmentTarget::Tuple(names) => names.as_slice(),
    });
    names
        .filter_map(|name| Some(name.0.last()?.as_ident()?.value.clone()))
        .collect()
}
