//! Keys that the database makes: how they are found when an insert has run.

use std::sync::Arc;

use sea_orm::{DatabaseTransaction, DbBackend, ExecResult, Value};

use crate::{
    entity::Table,
    error::Error,
    replica::{
        given::{Given, Rows, is_integer},
        session::Answer,
        statement::refusal,
    },
    store::{query_text, row},
};

/// An insert without keys.
#[derive(Debug)]
pub(super) struct MadeKeys {
    table: Arc<Table>,
    backend: DbBackend,
    /// How many rows it inserts, when that can be told.
    rows: Option<usize>,
    /// Whether every key is made, and none is given.
    all: bool,
}

impl MadeKeys {
    /// # Errors
    ///
    /// The keys can't be found when it has run.
    pub(super) fn new(rows: &Rows<'_>, given: Option<&[Vec<Given>]>) -> Result<Self, Error> {
        let is_made = |key: &Vec<Given>| key.iter().any(|part| !matches!(part, Given::Value(_)));
        let keys = Self {
            table: rows.table.clone(),
            backend: rows.backend(),
            rows: rows.count(),
            all: given.is_none_or(|keys| keys.iter().all(is_made)),
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
        if keys.backend == DbBackend::Postgres && rows.insert.returning.is_none() {
            return Err(keys.unknown());
        }
        Ok(keys)
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    fn unknown(&self) -> Error {
        let instead = match self.backend {
            DbBackend::MySql => "insert the rows one by one, or give the keys",
            _ => "let it return them (`exec`, `exec_with_returning`), or give the keys",
        };
        refusal(
            format!("an insert into `{}` whose keys the database makes", self.table.name),
            instead,
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
        let Some(id) = last_id(&self.table, self.backend, result) else {
            return Err(self.unknown());
        };
        match i64::try_from(result.rows_affected()).unwrap_or(i64::MAX) {
            1 => Ok(vec![vec![id.into()]]),
            // The first is told. An insert whose rows are known before it begins takes the next ones in one go.
            rows if self.backend == DbBackend::MySql && self.all && self.rows.is_some() => {
                let step = increment(tx).await?;
                Ok((0..rows).map(|n| vec![(id + n * step).into()]).collect())
            }
            _ => Err(self.unknown()),
        }
    }
}

/// The number that an insert was told to have counted up to, or on MySQL from, for its key.
pub(super) fn last_id(table: &Table, backend: DbBackend, result: &ExecResult) -> Option<i64> {
    // PostgreSQL knows no such thing.
    let is_told = backend != DbBackend::Postgres && table.key.len() == 1 && table.key_columns().all(is_integer);
    let id = is_told.then(|| result.last_insert_id())?;
    i64::try_from(id).ok().filter(|id| *id != 0)
}

async fn increment(tx: &DatabaseTransaction) -> Result<i64, Error> {
    let sql = "SELECT CAST(@@auto_increment_increment AS SIGNED)".to_owned();
    let found = query_text(tx, sql, Vec::new()).await?;
    let step = found.first().map(|row| row.try_get_by_index(0));
    Ok(step.transpose()?.unwrap_or(1))
}
