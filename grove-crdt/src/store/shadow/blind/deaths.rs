//! Records whose row is deleted.

use sea_orm::{
    ConnectionTrait,
    sea_query::{DeleteStatement, Expr, ExprTrait as _, InsertStatement, Query, SelectStatement},
};

use super::{Blind, Given, HEAD, NewCell, OTHER, Step, Terms, Written};
use crate::{error::Error, store::schema::shadow_ref};

impl<C: ConnectionTrait> Blind<'_, C> {
    /// Ends the lives of the records under these keys. Those that have cells of their own, which have to go with it, are left,
    /// unless it is one record alone.
    pub(super) async fn deaths(&mut self, pks: &[&str]) -> Result<Written, Error> {
        let written = self.write_rows(Step::Deaths, rows(pks), upsert_bare_deaths).await?;
        let (Written::None, [pk]) = (&written, pks) else {
            return Ok(written);
        };
        let written = self
            .write_rows(Step::DeathsWithCells, rows(pks), upsert_deaths_with_cells)
            .await?;
        if written == Written::All {
            self.conn.execute(&self.terms.delete_cells(pk)).await?;
        }
        Ok(written)
    }
}

impl Terms<'_> {
    pub(super) fn delete_cells(&self, pk: &str) -> DeleteStatement {
        Query::delete()
            .from_table(shadow_ref(self.table))
            .and_where(Expr::col("pk").eq(pk))
            .and_where(Expr::col("field").ne(""))
            .take()
    }

    /// Of those records that have none of some cells.
    fn upsert_deaths(&self, given: &mut Given<1>, cells: SelectStatement) -> Result<InsertStatement, Error> {
        let mut select = self.living(given);
        select.and_where(self.is_newest()).and_where(Expr::exists(cells).not());
        let head = NewCell {
            field: Expr::val(""),
            cell: Expr::val(""),
            epoch: Expr::col((HEAD, "epoch")).add(1),
            state: Expr::val("null"),
        };
        self.upsert(select, head)
    }

    /// A query of the cells that a record has beside its head.
    fn cells(&self) -> SelectStatement {
        let mut cells = self.rows_of_record();
        cells.and_where(Expr::col((OTHER, "field")).ne("")).take()
    }
}

/// Of records that have no cells.
fn upsert_bare_deaths(terms: &Terms<'_>, given: &mut Given<1>) -> Result<InsertStatement, Error> {
    terms.upsert_deaths(given, terms.cells())
}

/// Of records that have no cells that wait for the next life: those stay. The others have to be deleted.
pub(super) fn upsert_deaths_with_cells(terms: &Terms<'_>, given: &mut Given<1>) -> Result<InsertStatement, Error> {
    let of_next_life = Expr::col((OTHER, "epoch")).gt(Expr::col((HEAD, "epoch")));
    let waiting = terms.cells().and_where(of_next_life).take();
    terms.upsert_deaths(given, waiting)
}

pub(super) fn rows(pks: &[&str]) -> Vec<[String; 1]> {
    pks.iter().map(|pk| [(*pk).to_owned()]).collect()
}
