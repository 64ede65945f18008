//! Keys that the database makes: how they are found when an insert has run.

use std::sync::Arc;

use sea_orm::{DatabaseTransaction, DbBackend, ExecResult, Value};

use crate::{
    entity::Table,
    error::Error,
    replica::{
        call::Answer,
        given::{Given, Rows, is_integer, number_for},
        statement::refusal,
    },
    store::{failed::Left, query_text, row},
};

/// An insert without keys.
#[derive(Debug)]
pub(super) struct MadeKeys {
    table: Arc<Table>,
    backend: DbBackend,
    /// The table's name as the statement has it.
    text: String,
    /// How many rows it inserts, when that can be told.
    rows: Option<usize>,
}

impl MadeKeys {
    /// # Errors
    ///
    /// The keys can't be found when it has run.
    pub(super) fn new(rows: &Rows<'_>, given: Option<&[Vec<Given>]>) -> Result<Self, Error> {
        let keys = Self {
            table: rows.table.clone(),
            backend: rows.backend(),
            text: rows.write.target().text.clone(),
            rows: rows.count(),
        };
        if rows.may_exist() {
            return Err(refusal(
                format!(
                    "an insert into `{}` with a conflict clause and without keys",
                    keys.table.name
                ),
                "give the keys",
            ));
        }
        let is_made = |key: &Vec<Given>| key.iter().any(|part| !matches!(part, Given::Value(_)));
        let all_made = given.is_none_or(|keys| keys.iter().all(is_made));
        // An insert whose rows are known before it begins takes its numbers from MySQL in one go.
        let in_a_row = keys.backend == DbBackend::MySql && keys.rows.is_some() && all_made;
        let counted = is_number(&keys.table) && (keys.rows == Some(1) || in_a_row);
        if rows.insert.returning.is_none() && !counted {
            return Err(keys.unknown());
        }
        Ok(keys)
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    fn unknown(&self) -> Error {
        refusal(
            format!("an insert into `{}` whose keys the database makes", self.table.name),
            "let it return them (`exec`, `exec_with_returning`), insert the rows one by one, or give the keys",
        )
    }

    /// The keys of the rows that were inserted.
    pub(super) async fn find(&self, tx: &DatabaseTransaction, answer: &Answer) -> Result<Vec<Vec<Value>>, Error> {
        match answer {
            Answer::Executed(result) if result.rows_affected() == 0 => Ok(Vec::new()),
            Answer::Executed(result) => self.counted(tx, result).await,
            Answer::One(_) if self.rows != Some(1) => Err(self.unknown()),
            Answer::One(_) | Answer::All(_) => self.returned(answer),
        }
    }

    /// The keys of the rows that a failed insert has left.
    pub(super) fn of_left(&self, left: Left) -> Result<Vec<Vec<Value>>, Error> {
        let column = self.table.key_columns().next().filter(|_| is_number(&self.table));
        let last = column.and_then(|column| number_for(column, left.last));
        match (left.rows, last) {
            (0, _) => Ok(Vec::new()),
            (1, Some(last)) => Ok(vec![vec![last]]),
            _ => Err(self.unknown()),
        }
    }

    fn returned(&self, answer: &Answer) -> Result<Vec<Vec<Value>>, Error> {
        let keys = answer.rows().iter().map(|found| {
            let columns = self.table.key_columns();
            let key = columns.map(|column| row::value_named(found, &column.name, &column.value_type));
            key.collect::<Result<Vec<_>, _>>().map_err(|_| self.unknown())
        });
        keys.collect()
    }

    /// The keys that were counted up.
    async fn counted(&self, tx: &DatabaseTransaction, result: &ExecResult) -> Result<Vec<Vec<Value>>, Error> {
        let first = match self.backend {
            DbBackend::Postgres => self.last_of_sequence(tx).await?,
            _ => last_id(&self.table, self.backend, result),
        };
        let first = first.ok_or_else(|| self.unknown())?;
        let step = match result.rows_affected() {
            1 => 1,
            _ if self.backend == DbBackend::MySql && self.rows.is_some() => increment(tx).await?,
            _ => return Err(self.unknown()),
        };
        let rows = i64::try_from(result.rows_affected()).unwrap_or(i64::MAX);
        let keys = (0..rows).map(|n| {
            let id = n.checked_mul(step).and_then(|more| first.checked_add(more));
            let column = self.table.key_columns().next();
            let value = column.zip(id).and_then(|(column, id)| number_for(column, id));
            value.map(|value| vec![value]).ok_or_else(|| self.unknown())
        });
        keys.collect()
    }

    /// What the key's sequence gave last, to this connection.
    async fn last_of_sequence(&self, tx: &DatabaseTransaction) -> Result<Option<i64>, Error> {
        let sql = "SELECT currval(pg_get_serial_sequence($1, $2)::regclass)".to_owned();
        let columns = self.table.key_columns().map(|column| column.name.as_str().into());
        let values = std::iter::once(self.text.as_str().into()).chain(columns);
        let found = query_text(tx, sql, values.collect()).await?;
        let id = found.first().map(|row| row.try_get_by_index(0)).transpose()?;
        Ok(id.flatten())
    }
}

fn is_number(table: &Table) -> bool {
    table.key.len() == 1 && table.key_columns().all(is_integer)
}

/// The number that an insert was told to have counted up to, or on MySQL from, for its key.
pub(super) fn last_id(table: &Table, backend: DbBackend, result: &ExecResult) -> Option<i64> {
    // PostgreSQL knows no such thing.
    let is_told = backend != DbBackend::Postgres && is_number(table);
    let id = is_told.then(|| result.last_insert_id())?;
    i64::try_from(id).ok().filter(|id| *id != 0)
}

async fn increment(tx: &DatabaseTransaction) -> Result<i64, Error> {
    let sql = "SELECT CAST(@@auto_increment_increment AS SIGNED)".to_owned();
    let found = query_text(tx, sql, Vec::new()).await?;
    let step = found.first().map(|row| row.try_get_by_index(0));
    Ok(step.transpose()?.unwrap_or(1))
}
