//! Keys that the database makes: how they are found when an insert has run.

use std::sync::Arc;

use sea_orm::{ConnectionTrait as _, DatabaseTransaction, DbBackend, Value};

use crate::{
    entity::Table,
    error::Error,
    replica::{
        given::{Rows, is_integer, number_for},
        session::Answer,
        statement::refusal,
    },
    store::{query_text, row},
};

/// An insert without keys.
#[derive(Debug)]
pub(super) struct MadeKeys {
    table: Arc<Table>,
    /// The table's name as the statement has it.
    text: String,
    /// Whether it inserts one row.
    single: bool,
}

impl MadeKeys {
    /// # Errors
    ///
    /// The keys can't be found when it has run.
    pub(super) fn new(rows: &Rows<'_>) -> Result<Self, Error> {
        let keys = Self {
            table: rows.table.clone(),
            text: rows.write.target().text.clone(),
            single: rows.count() == Some(1),
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
        if rows.insert.returning.is_none() && !(keys.single && keys.is_number()) {
            return Err(keys.unknown());
        }
        Ok(keys)
    }

    pub(super) fn table(&self) -> &Arc<Table> {
        &self.table
    }

    fn is_number(&self) -> bool {
        self.table.key.len() == 1 && self.table.key_columns().all(is_integer)
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
            Answer::Executed(result) if self.single && self.is_number() => {
                let id = match tx.get_database_backend() {
                    // There is no such thing as its last key.
                    DbBackend::Postgres => self.last_of_sequence(tx).await?,
                    _ => i64::try_from(result.last_insert_id()).ok(),
                };
                let id = id.filter(|id| *id != 0);
                let mut columns = self.table.key_columns();
                let key = columns.next().zip(id).and_then(|(column, id)| number_for(column, id));
                Ok(vec![vec![key.ok_or_else(|| self.unknown())?]])
            }
            Answer::One(_) if !self.single => Err(self.unknown()),
            Answer::Executed(_) => Err(self.unknown()),
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
