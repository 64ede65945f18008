//! Records whose row is deleted.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait as _, InsertStatement, Query, SelectStatement},
};

use super::{Blind, Given, HEAD, NewCell, OTHER, Written};
use crate::{error::Error, store::schema::shadow_ref};

impl<C: ConnectionTrait> Blind<'_, C> {
    /// Ends the lives of the records under these keys. Those that have cells of their own, which have to go with it, are left,
    /// unless it is one record alone.
    pub(crate) async fn deaths(&mut self, pks: &[&str]) -> Result<Written, Error> {
        let rows = || pks.iter().map(|pk| [(*pk).to_owned()]).collect();
        let bare = |blind: &Self, given: &mut Given<1>| blind.upsert_deaths(given, blind.cells());
        let written = self.write(rows(), bare).await?;
        let (Written::None, [pk]) = (written, pks) else {
            return Ok(written);
        };
        // Cells that wait for the next life stay.
        let of_next_life = Expr::col((OTHER, "epoch")).gt(Expr::col((HEAD, "epoch")));
        let with_cells = |blind: &Self, given: &mut Given<1>| {
            let waiting = blind.cells().and_where(of_next_life.clone()).take();
            blind.upsert_deaths(given, waiting)
        };
        let written = self.write(rows(), with_cells).await?;
        if written == Written::All {
            let cells = Query::delete()
                .from_table(shadow_ref(self.table))
                .and_where(Expr::col("pk").eq(*pk))
                .and_where(Expr::col("field").ne(""))
                .take();
            self.conn.execute(&cells).await?;
        }
        Ok(written)
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
