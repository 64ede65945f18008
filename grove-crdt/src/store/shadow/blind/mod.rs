//! Blind writes: of records that are not read first. One statement finds out for itself which of them are as they mostly are,
//! and leaves the others alone. Those have to be read, and made what they are to be.

mod along;
mod assignments;
mod births;
mod deaths;
mod increments;
mod text;

use std::collections::HashSet;

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, JoinType, QueryResult, Statement, Value,
    sea_query::{
        Alias, Expr, ExprTrait as _, InsertStatement, OnConflict, Query, ReturningClause, SelectStatement, ValueTuple,
    },
};

use serde_json::Value as Json;

pub(crate) use along::{Along, can_go_along};
pub(crate) use births::Births;
pub(crate) use increments::can_be_moved;
pub(crate) use text::Texts;
use text::{Place, Step};

use crate::{
    clock::Hlc,
    entity::{Registry, Table},
    error::Error,
    store::{
        chunks_of_size,
        schema::{PARKED, shadow_ref},
        shadow::COLUMNS,
        version::Taken,
    },
    types::Kind,
};

/// The columns of what is written; `via` stays empty.
const WRITTEN: usize = COLUMNS.len() - 1;

/// What rows of a shadow are called in a statement: a record's head, the cell at the place that is written, and any.
const HEAD: &str = "head";
const OWN: &str = "own";
const OTHER: &str = "other";

/// What is done to records, by their keys, where it is all of one kind.
pub(crate) enum Steps<'a> {
    /// With the text of what they are born with.
    Births(Vec<(&'a str, String)>),
    Deaths(Vec<&'a str>),
    /// With the field and its value.
    Assignments(Vec<(&'a str, &'a str, Json)>),
    /// With the field and the step.
    Increments(Vec<(&'a str, &'a str, i64)>),
}

impl Steps<'_> {
    /// How many cells they write.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Births(births) => births.len(),
            Self::Deaths(deaths) => deaths.len(),
            Self::Assignments(assignments) => assignments.len(),
            Self::Increments(increments) => increments.len(),
        }
    }
}

/// Makes a statement of what is given of some records.
type Insert<const N: usize> = fn(&Terms<'_>, &mut Given<N>) -> Result<InsertStatement, Error>;

/// Cells, by the keys of their records and their fields.
pub(crate) type Cells = HashSet<(String, String)>;

/// Which of some cells were written. A step that is taken twice may count twice, so what is written is told by the statement
/// itself, and is not to be written again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    All,
    Some(Cells),
    None,
}

impl Written {
    /// What it is when so many of `cells` were written, of which there is one, or else all or none.
    fn counted(written: usize, cells: usize) -> Self {
        if written < cells { Self::None } else { Self::All }
    }

    /// What it is when just these of so many cells were returned.
    fn returned(rows: &[QueryResult], cells: usize) -> Result<Self, DbErr> {
        Ok(match rows.len() {
            0 => Self::None,
            written if written < cells => {
                let cell = |row: &QueryResult| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?));
                Self::Some(rows.iter().map(cell).collect::<Result<_, DbErr>>()?)
            }
            _ => Self::All,
        })
    }
}

/// What a statement returns that names the cells it has written.
fn names() -> ReturningClause {
    Query::returning().columns(["pk", "field"])
}

/// Runs a statement that writes so many cells. It names them if there are several; of one, it is enough to count.
async fn run<C: ConnectionTrait>(conn: &C, statement: Statement, cells: usize) -> Result<Written, DbErr> {
    if cells > 1 {
        return Written::returned(&conn.query_all_raw(statement).await?, cells);
    }
    // MySQL counts one that was changed as two.
    let written = conn.execute_raw(statement).await?.rows_affected();
    Ok(Written::counted(usize::try_from(written).unwrap_or(usize::MAX), cells))
}

/// Whether so many cells can be written blindly. MySQL's upsert does not tell which rows it met, nor how many: one that it
/// changes counts as two.
pub(crate) fn can_be_blind(backend: DbBackend, cells: usize) -> bool {
    backend != DbBackend::MySql || cells == 1
}

/// What is written of a record, as a statement finds it out.
struct NewCell {
    field: Expr,
    cell: Expr,
    epoch: Expr,
    state: Expr,
}

/// Writes one table's records blindly. Those that were not written have to be read; so it is when any rows are parked, for
/// what is written may release them.
pub(crate) struct Blind<'a, C> {
    conn: &'a C,
    texts: &'a Texts,
    terms: Terms<'a>,
}

/// What such a write goes by, whichever records it is of.
#[derive(Clone)]
struct Terms<'a> {
    backend: DbBackend,
    registry: &'a Registry,
    table: &'a Table,
    /// The clock value of all that is written.
    at: &'a Hlc,
    /// The version of the transaction.
    taken: Taken,
    /// What else has to hold for anything to be written.
    provided: Option<Expr>,
}

impl<'a, C: ConnectionTrait> Blind<'a, C> {
    pub(crate) fn new(
        conn: &'a C,
        texts: &'a Texts,
        registry: &'a Registry,
        table: &'a Table,
        at: &'a Hlc,
        taken: Taken,
    ) -> Self {
        let terms = Terms {
            backend: conn.get_database_backend(),
            registry,
            table,
            at,
            taken,
            provided: None,
        };
        Self { conn, texts, terms }
    }

    /// Takes the steps on those records that are as they have to be. Returns the version of the transaction as well.
    pub(crate) async fn write(mut self, steps: Steps<'_>) -> Result<(Written, Taken), Error> {
        let written = match steps {
            Steps::Births(births) => self.births(births).await?,
            Steps::Deaths(pks) => self.deaths(&pks).await?,
            Steps::Assignments(assignments) => self.assignments(&assignments).await?,
            Steps::Increments(increments) => self.increments(&increments).await?,
        };
        Ok((written, self.terms.taken))
    }

    /// Writes what the rows say, by a statement that `insert` makes of as many as go into one.
    async fn write_rows<const N: usize>(
        &mut self,
        step: Step,
        rows: Vec<[String; N]>,
        insert: Insert<N>,
    ) -> Result<Written, Error> {
        let room = self.terms.table.room;
        if room.is_some_and(|room| rows.iter().any(|row| size(row) > room)) {
            // A value may stand in a blind write twice. What is written after reading has it once.
            return Ok(Written::None);
        }
        let (cells, counts) = (rows.len(), counts(&rows, room));
        if cells == 1 {
            let statement = self.texts.statement(step, Place::Alone, &self.terms, rows, insert)?;
            let written = run(self.conn, statement, cells).await?;
            if written != Written::None {
                self.terms.taken.is_written();
            }
            return Ok(written);
        }
        let (mut rows, mut returned) = (rows.into_iter(), Vec::with_capacity(cells));
        for count in counts {
            let rows: Vec<_> = rows.by_ref().take(count).collect();
            let statement = self.texts.statement(step, Place::Named, &self.terms, rows, insert)?;
            returned.extend(self.conn.query_all_raw(statement).await?);
            if !returned.is_empty() {
                self.terms.taken.is_written();
            }
        }
        Ok(Written::returned(&returned, cells)?)
    }
}

/// About how many bytes a row takes in a statement.
fn size<const N: usize>(row: &[String; N]) -> usize {
    row.iter().map(|text| text.len() + 8).sum()
}

/// How many of these rows go into one statement, and the next, and so on.
fn counts<const N: usize>(rows: &[[String; N]], room: Option<usize>) -> Vec<usize> {
    chunks_of_size(rows, N, room, size).map(<[_]>::len).collect()
}

impl Terms<'_> {
    /// An insert of what a query says of the cells to be written.
    fn insert(&self, mut select: SelectStatement, pk: Expr, cell: NewCell) -> Result<InsertStatement, Error> {
        for value in [
            pk,
            cell.field,
            cell.cell,
            cell.epoch,
            Expr::val(self.at.ts),
            Expr::val(i64::from(self.at.counter)),
            Expr::val(self.at.node.as_str()),
            cell.state,
            self.taken.expr(self.registry),
        ] {
            select.expr(value);
        }
        let parked = Query::select().expr(Expr::val(1)).from(PARKED).take();
        select.and_where(Expr::exists(parked).not());
        select.and_where_option(self.provided.clone());
        let mut insert = Query::insert();
        insert
            .into_table(shadow_ref(self.table))
            .columns(COLUMNS.into_iter().take(WRITTEN))
            .select_from(select)
            .map_err(|error| Error::Invalid(error.to_string()))?;
        Ok(insert)
    }

    /// The same of records whose heads are queried, and in place of cells that are there.
    fn upsert(&self, select: SelectStatement, cell: NewCell) -> Result<InsertStatement, Error> {
        let mut conflict = OnConflict::columns(COLUMNS.into_iter().take(3));
        conflict.update_columns(COLUMNS.into_iter().take(WRITTEN).skip(3));
        conflict.value("via", Expr::null());
        let mut insert = self.insert(select, Expr::col((HEAD, "pk")), cell)?;
        Ok(insert.on_conflict(conflict).take())
    }

    /// A query of the living records that the first of the given texts are the keys of.
    fn living<const N: usize>(&self, given: &mut Given<N>) -> SelectStatement {
        let mut select = given.select();
        let is_head = Expr::col((HEAD, "pk"))
            .eq(given.text(0))
            .and(Expr::col((HEAD, "field")).eq(""))
            .and(Expr::col((HEAD, "cell")).eq(""));
        match given {
            Given::One(_) => select.from_as(shadow_ref(self.table), HEAD).and_where(is_head),
            Given::Several(_) => select.join_as(JoinType::InnerJoin, shadow_ref(self.table), HEAD, is_head),
        };
        select.and_where(Expr::col((HEAD, "epoch")).modulo(2).eq(1)).take()
    }

    /// Joins the cell at the place that is to be written, if there is one. One of another life keeps the record from being
    /// written.
    fn join_own(&self, select: &mut SelectStatement, field: Expr, cell: Expr) {
        let of_own = |column: &'static str| Expr::col((OWN, column));
        let is_own = of_own("pk")
            .eq(Expr::col((HEAD, "pk")))
            .and(of_own("field").eq(field))
            .and(of_own("cell").eq(cell));
        let of_this_life = of_own("epoch").eq(Expr::col((HEAD, "epoch")));
        select
            .join_as(JoinType::LeftJoin, shadow_ref(self.table), OWN, is_own)
            .and_where(of_own("pk").is_null().or(of_this_life));
    }

    /// A query of the rows that the record has in the shadow.
    fn rows_of_record(&self) -> SelectStatement {
        Query::select()
            .expr(Expr::val(1))
            .from_as(shadow_ref(self.table), OTHER)
            .and_where(Expr::col((OTHER, "pk")).eq(Expr::col((HEAD, "pk"))))
            .take()
    }

    /// Whether the record has nothing as new as what is written. Elements of sets, of which there may be many, are not looked
    /// at: nothing that is written blindly meets them.
    fn is_newest(&self) -> Expr {
        let mut newer = self.rows_of_record();
        newer.and_where(self.is_older(OTHER).not());
        if self.table.has_sets() {
            let others = self.table.replicated().filter(|(.., kind)| *kind != Kind::Set);
            let fields = others.map(|(_, column, _)| column.name.as_str()).chain([""]);
            newer.and_where(Expr::col((OTHER, "field")).is_in(fields));
        }
        Expr::exists(newer).not()
    }

    /// Whether a row of the shadow is older than what is written.
    fn is_older(&self, row: &'static str) -> Expr {
        let clock = ["hlc_ts", "hlc_counter", "node_id"].map(|column| Expr::col((row, column)));
        let at = [
            Expr::val(self.at.ts),
            Expr::val(i64::from(self.at.counter)),
            Expr::val(self.at.node.as_str()),
        ];
        Expr::tuple(clock).lt(Expr::tuple(at))
    }
}

/// The texts that a statement goes by: those of one record as values, of several as a table.
enum Given<const N: usize> {
    One([String; N]),
    Several(Vec<[String; N]>),
}

impl<const N: usize> Given<N> {
    fn of(rows: Vec<[String; N]>) -> Self {
        match <[_; 1]>::try_from(rows) {
            Ok([one]) => Self::One(one),
            Err(rows) => Self::Several(rows),
        }
    }

    /// One of the texts of each record.
    fn text(&self, index: usize) -> Expr {
        match self {
            Self::One(one) => Expr::val(one[index].as_str()),
            Self::Several(_) => Expr::col(("given", Alias::new(format!("column{}", index + 1)))),
        }
    }

    /// A query of the table, if there is one. It takes what is in it along.
    fn select(&mut self) -> SelectStatement {
        let mut select = Query::select();
        if let Self::Several(rows) = self {
            let rows = std::mem::take(rows).into_iter();
            select.from_values(rows.map(|row| ValueTuple::Many(row.map(Value::from).into())), "given");
        }
        select
    }
}
