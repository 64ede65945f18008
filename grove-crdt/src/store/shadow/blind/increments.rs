//! Counters that are moved.

use sea_orm::{
    ConnectionTrait, DbBackend,
    sea_query::{ArrayType, Expr, ExprTrait as _, Func, InsertStatement},
};

use super::{Blind, Given, HEAD, NewCell, OWN, Step, Terms, Written};
use crate::{
    entity::Column,
    error::Error,
    store::dialect::{concat, greater, json_number, json_path, number},
    types::{Kind, Totals},
};

/// Beyond this, steps, births and totals are not looked at blindly: a sum of two is still a number that JSON holds exactly.
const LIMIT: i64 = 1_000_000_000_000_000;

/// How long `{"dec":,"inc":}` is with as many digits as [`LIMIT`] has: each total has one at least, so that the other is smaller.
const LENGTH: i64 = 15 + 16;

/// Whether a counter can be moved without being read: its column refuses by itself what is beyond its range, and its name is
/// part of a path as it is.
pub(crate) fn can_be_moved(column: &Column, by: i64) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    column.value_type == ArrayType::BigInt
        && column.name.chars().all(is_plain)
        && by.checked_abs().is_some_and(|by| by < LIMIT)
}

impl<C: ConnectionTrait> Blind<'_, C> {
    /// Moves counters of living records: key, field, and by how much. Those of very large totals are left.
    pub(super) async fn increments(&mut self, increments: &[(&str, &str, i64)]) -> Result<Written, Error> {
        let rows = rows(self.terms.backend, increments);
        self.write_rows(Step::Increments, rows, upsert_increments).await
    }
}

pub(super) fn upsert_increments(terms: &Terms<'_>, given: &mut Given<5>) -> Result<InsertStatement, Error> {
    let backend = terms.backend;
    let [field, path, inc, dec] = [1, 2, 3, 4].map(|index| given.text(index));
    let node = || Expr::val(terms.at.node.as_str());
    let mut select = terms.living(given);
    terms.join_own(&mut select, field.clone(), node());
    let is_there = || Expr::col((OWN, "pk")).is_not_null();
    // What a record was born with is the first step of the node that it was born on.
    let is_born_here = || Expr::col((HEAD, "node_id")).eq(node());
    let born = json_number(backend, Expr::col((HEAD, "state")), path);
    let born = Expr::from(Func::coalesce([born, Expr::val(0)]));
    let is_small = Expr::from(Func::cust("length").arg(Expr::col((OWN, "state")))).lte(LENGTH);
    let is_small = Expr::case(is_there(), is_small)
        // The size of the least integer is none.
        .case(is_born_here(), born.clone().between(1 - LIMIT, LIMIT - 1))
        .finally(true);
    let total = |name: &str, born: Expr, step: Expr| {
        let path = Expr::val(json_path(backend, &[name]));
        let own = json_number(backend, Expr::col((OWN, "state")), path);
        let before: Expr = Expr::case(is_there(), own)
            .case(is_born_here(), greater(backend, born, Expr::val(0)))
            .finally(0)
            .into();
        before.add(number(backend, step))
    };
    let dec = total("dec", Expr::val(0).sub(born.clone()), dec);
    let inc = total("inc", born, inc);
    select.and_where(is_small.into()).and_where(terms.is_newest());
    let [open, between, close] = ["{\"dec\":", ",\"inc\":", "}"].map(Expr::val);
    let cell = NewCell {
        field,
        cell: node(),
        epoch: Expr::col((HEAD, "epoch")),
        state: concat(backend, [open, dec, between, inc, close]),
    };
    terms.upsert(select, cell)
}

pub(super) fn rows(backend: DbBackend, increments: &[(&str, &str, i64)]) -> Vec<[String; 5]> {
    let rows = increments.iter().map(|(pk, field, by)| {
        let step = Totals::of(*by);
        let path = json_path(backend, &[Kind::Counter.as_str(), field]);
        let [inc, dec] = [step.inc, step.dec].map(|total| total.to_string());
        [(*pk).to_owned(), (*field).to_owned(), path, inc, dec]
    });
    rows.collect()
}
