//! Records that begin with their row.

use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sea_query::{Expr, ExprTrait as _, InsertStatement, OnConflict, Query},
};

use super::{Blind, Given, NewCell, Place, Step, Terms, Written, counts, run};
use crate::{
    error::Error,
    store::{
        schema::{REPLICA, shadow_ref},
        version::Taken,
    },
};

impl<C: ConnectionTrait> Blind<'_, C> {
    /// Writes records in their first life, each by its key and the text of what it is born with, unless there is something under the key
    /// already.
    pub(super) async fn births(&mut self, births: Vec<(&str, String)>) -> Result<Written, Error> {
        self.write_rows(Step::Births, rows(births), insert_births).await
    }

    /// The same, to be written later; `None` when that takes more than one statement.
    pub(crate) fn ready(self, rows: Vec<[String; 2]>) -> Result<Option<Births>, Error> {
        let [count] = counts(&rows, self.terms.table.room)[..] else {
            return Ok(None);
        };
        let place = if count == 1 { Place::Alone } else { Place::Named };
        let statement = self
            .texts
            .statement(Step::Births, place, &self.terms, rows, insert_births)?;
        let taken = self.terms.taken;
        Ok(Some(Births {
            statement,
            count,
            taken,
        }))
    }
}

/// Births that are ready to be written.
pub(crate) struct Births {
    statement: Statement,
    count: usize,
    taken: Taken,
}

impl Births {
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// Writes them. Returns the version of the transaction as well.
    pub(crate) async fn write<C: ConnectionTrait>(mut self, conn: &C) -> Result<(Written, Taken), Error> {
        let written = run(conn, self.statement, self.count).await?;
        if written != Written::None {
            self.taken.is_written();
        }
        Ok((written, self.taken))
    }
}

pub(super) fn insert_births(terms: &Terms<'_>, given: &mut Given<2>) -> Result<InsertStatement, Error> {
    let is_mysql = terms.backend == DbBackend::MySql;
    let mut select = given.select();
    if is_mysql {
        // It takes no condition without a table. This one has one row.
        select.from(REPLICA);
    }
    // As a value rather than a condition, it is looked up for each record: PostgreSQL would join the whole shadow.
    let there = Query::select()
        .expr(Expr::val(1))
        .from(shadow_ref(terms.table))
        .and_where(Expr::col("pk").eq(given.text(0)))
        .limit(1)
        .take();
    select.and_where(Expr::SubQuery(None, Box::new(there.into())).is_null());
    let head = NewCell {
        field: Expr::val(""),
        cell: Expr::val(""),
        epoch: Expr::val(1_i64),
        state: given.text(1),
    };
    let mut insert = terms.insert(select, given.text(0), head)?;
    if !is_mysql {
        // Another transaction may have come between, where writers overlap.
        insert.on_conflict(OnConflict::columns(["pk", "field", "cell"]).do_nothing().to_owned());
    }
    Ok(insert)
}

pub(super) fn rows(births: Vec<(&str, String)>) -> Vec<[String; 2]> {
    let rows = births.into_iter().map(|(pk, birth)| [pk.to_owned(), birth]);
    rows.collect()
}
