//! `lww` fields that are given a value.

use sea_orm::{
    ConnectionTrait,
    sea_query::{Expr, ExprTrait as _, InsertStatement, Query},
};
use serde_json::Value as Json;

use super::{Blind, Given, HEAD, NewCell, OWN, Step, Terms, Written};
use crate::{
    error::Error,
    store::{dialect, schema::INEXACT},
    types::{birth_member, canonical},
};

impl<C: ConnectionTrait> Blind<'_, C> {
    /// Gives values to fields of living records: key, field, value. One that has the value already is left, since to write what
    /// is there is no write; so is one whose column shows something else than the record has.
    pub(super) async fn assignments(&mut self, assignments: &[(&str, &str, Json)]) -> Result<Written, Error> {
        self.write_rows(Step::Assignments, rows(assignments), upsert_assignments)
            .await
    }
}

pub(super) fn upsert_assignments(terms: &Terms<'_>, given: &mut Given<4>) -> Result<InsertStatement, Error> {
    let [field, state, born] = [1, 2, 3].map(|index| given.text(index));
    let mut select = terms.living(given);
    terms.join_own(&mut select, field.clone(), Expr::val(""));
    // What a birth says is found as a part of its text. If it is one by chance, the record is read for nothing.
    let may_be_born = dialect::has_part(terms.backend, Expr::col((HEAD, "state")), born);
    let is_other = Expr::col((OWN, "state")).ne(state.clone());
    let changes = Expr::case(Expr::col((OWN, "pk")).is_null(), may_be_born.not()).finally(is_other);
    let noted = Query::select()
        .expr(Expr::val(1))
        .from(INEXACT)
        .and_where(Expr::col((INEXACT, "table_name")).eq(terms.table.name.as_str()))
        .and_where(Expr::col((INEXACT, "pk")).eq(Expr::col((HEAD, "pk"))))
        .and_where(Expr::col((INEXACT, "field")).eq(field.clone()))
        .take();
    select
        .and_where(changes.into())
        .and_where(terms.is_newest())
        .and_where(Expr::exists(noted).not());
    let cell = NewCell {
        field,
        cell: Expr::val(""),
        epoch: Expr::col((HEAD, "epoch")),
        state,
    };
    terms.upsert(select, cell)
}

pub(super) fn rows(assignments: &[(&str, &str, Json)]) -> Vec<[String; 4]> {
    let rows = assignments.iter().map(|(pk, field, value)| {
        let born = birth_member(field, value);
        [(*pk).to_owned(), (*field).to_owned(), canonical(value), born]
    });
    rows.collect()
}
