//! A blind write of one record that is sent along with the statement that writes its row: both take one round trip.
//!
//! On SQLite they are two statements in one text, on PostgreSQL parts of one statement. There the second sees what was committed
//! before the whole began, not what the first had to wait for; so only a birth goes along, which meets whatever came in between
//! at its key.

use std::fmt::Write as _;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement, Value,
    sea_query::{
        DeleteStatement, Expr, InsertStatement, PostgresQueryBuilder, Query, QueryBuilder, SqlWriter as _,
        SqlWriterValues, SqliteQueryBuilder,
    },
};

use super::{
    Blind, Given, Insert, Steps, Written,
    assignments::{self, upsert_assignments},
    births::{self, insert_births},
    deaths::{self, upsert_deaths_with_cells},
    increments::{self, upsert_increments},
    names,
    text::{Company, Place, Step},
};
use crate::{error::Error, store::marked::marked};

/// What the application's statement and the record's are called as parts of one.
const ROW: &str = "grove_row";
const RECORD: &str = "grove_record";

/// Whether steps can be sent along with a statement that returns the row it writes, or does not. If not, the cells that are written
/// can't be named either, but be counted if there is one.
pub(crate) fn can_go_along(backend: DbBackend, steps: &Steps<'_>, returning: bool) -> bool {
    match backend {
        DbBackend::Sqlite => returning || steps.len() == 1,
        DbBackend::Postgres => returning && matches!(steps, Steps::Births(_)),
        _ => false,
    }
}

/// Both statements as one, which writes one row at most.
pub(crate) struct Along {
    statement: Statement,
    /// How many cells are to be written.
    pub cells: usize,
}

impl<C: ConnectionTrait> Blind<'_, C> {
    /// A statement of the application's with these steps on the record of the row that it writes, where they can go together.
    /// `returning` is whether it returns that row.
    pub(crate) fn along(mut self, steps: Steps<'_>, statement: &Statement, returning: bool) -> Result<Along, Error> {
        self.terms.provided = Some(match self.terms.backend {
            DbBackend::Postgres => is_there(),
            _ => has_changed(),
        });
        let company = Company {
            values: statement.values.as_ref().map_or(0, |values| values.0.len()),
            returning,
        };
        let cells = steps.len();
        let statement = match steps {
            Steps::Births(births) => {
                let rows = births::rows(births);
                self.join(statement, Step::Births, company, &rows, insert_births)?
            }
            Steps::Deaths(pks) => {
                let rows = deaths::rows(&pks);
                self.join(
                    statement,
                    Step::DeathsWithCells,
                    company,
                    &rows,
                    upsert_deaths_with_cells,
                )?
            }
            Steps::Assignments(assignments) => {
                let rows = assignments::rows(&assignments);
                self.join(statement, Step::Assignments, company, &rows, upsert_assignments)?
            }
            Steps::Increments(increments) => {
                let rows = increments::rows(self.terms.backend, &increments);
                self.join(statement, Step::Increments, company, &rows, upsert_increments)?
            }
        };
        Ok(Along { statement, cells })
    }

    fn join<const N: usize>(
        &self,
        statement: &Statement,
        step: Step,
        company: Company,
        rows: &[[String; N]],
        insert: Insert<N>,
    ) -> Result<Statement, Error> {
        let Self { texts, terms, .. } = self;
        let text = texts.text(step, Place::Along(company), terms, rows.len(), |terms, rows| {
            let cells = rows.iter().filter(|_| step == Step::DeathsWithCells);
            let cells = cells.map(|row| terms.delete_cells(&row[0]).and_where(has_changed()).take());
            let cells: Vec<_> = cells.collect();
            let mut insert = insert(terms, &mut Given::of(rows))?;
            if company.returning {
                insert.returning(names());
            }
            Ok(match terms.backend {
                DbBackend::Postgres => render::<PostgresQueryBuilder>(company.values, &insert, &cells),
                _ => render::<SqliteQueryBuilder>(company.values, &insert, &cells),
            })
        })?;
        let (row, record) = (&statement.sql, &text.sql);
        let sql = match terms.backend {
            DbBackend::Postgres => format!(
                "WITH \"{ROW}\" AS ({row}), \"{RECORD}\" AS ({record}) \
                 SELECT \"{ROW}\".*, (SELECT count(*) FROM \"{RECORD}\") AS \"{RECORD}\" FROM \"{ROW}\""
            ),
            _ => format!("{row}; {record}"),
        };
        let own = statement.values.iter().flat_map(|values| values.0.iter().cloned());
        let values = own.chain(text.values(terms, rows));
        Ok(Statement::from_sql_and_values(terms.backend, sql, values))
    }
}

/// On SQLite, whether the statement before has written anything.
fn has_changed() -> Expr {
    Expr::cust("changes() > 0")
}

/// On PostgreSQL, whether the row was written.
fn is_there() -> Expr {
    Expr::exists(Query::select().expr(Expr::cust("1")).from(ROW).take())
}

/// The text and values of statements that come after so many values: placeholders that are numbered go on from there.
fn render<B: QueryBuilder + Default>(
    before: usize,
    insert: &InsertStatement,
    deletes: &[DeleteStatement],
) -> (String, Vec<Value>) {
    let builder = B::default();
    let (placeholder, numbered) = builder.placeholder();
    let mut writer = SqlWriterValues::new(placeholder, numbered);
    for _ in 0..before {
        writer.push_param(Value::Bool(None), &builder);
    }
    let start = writer.to_string().len();
    insert.build_collect_into(B::default(), &mut writer);
    for delete in deletes {
        // Writing to a text does not fail.
        let _ = writer.write_str("; ");
        delete.build_collect_into(B::default(), &mut writer);
    }
    let (mut sql, mut values) = writer.into_parts();
    (sql.split_off(start), values.0.split_off(before))
}

impl Along {
    /// Runs it for its rows: the row that the application asked for.
    pub(crate) async fn query<C: ConnectionTrait>(self, conn: &C) -> Result<(Vec<QueryResult>, Written), DbErr> {
        let backend = self.statement.db_backend;
        let mut rows = conn.query_all_raw(marked(self.statement)).await?;
        let written = match (backend, rows.first()) {
            (DbBackend::Postgres, Some(row)) => {
                let written: i64 = row.try_get_by_index(row.column_names().len() - 1)?;
                Written::counted(usize::try_from(written).unwrap_or_default(), self.cells)
            }
            // The row, and one for each cell.
            (_, Some(_)) => Written::returned(&rows[1..], self.cells)?,
            (_, None) => Written::None,
        };
        rows.truncate(1);
        Ok((rows, written))
    }

    /// Runs it. What it says it has written is the row and whatever there was of its record.
    pub(crate) async fn execute<C: ConnectionTrait>(self, conn: &C) -> Result<(ExecResult, Written), DbErr> {
        let result = conn.execute_raw(marked(self.statement)).await?;
        let written = usize::try_from(result.rows_affected()).unwrap_or(usize::MAX);
        Ok((result, Written::counted(written.saturating_sub(1), self.cells)))
    }
}
