//! Changes to the cells of a table, written set-wise.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement,
    sea_query::{Alias, Expr, OnConflict, Query},
};

use crate::{
    clock::Hlc,
    entity::Table,
    error::Error,
    store::{
        chunks, chunks_of_size, dialect,
        schema::{shadow_name, shadow_ref},
        shadow::{COLUMNS, Seen, form::Put, key_columns, key_values},
        version::Version,
    },
    types::{Cell, CellKey, Head, Record},
};

/// Changes to the cells of a table.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    puts: Vec<Put>,
    removals: Vec<(String, CellKey)>,
}

impl Batch {
    pub(crate) fn is_empty(&self) -> bool {
        self.puts.is_empty() && self.removals.is_empty()
    }

    /// How many cells it writes.
    pub(crate) fn len(&self) -> usize {
        self.puts.len()
    }

    /// Adds what made `before` into `after`. `via` names, for a cell that is just as a peer sent it, that peer.
    pub(crate) fn record<'r>(
        &mut self,
        table: &Table,
        pk: &str,
        before: &Record,
        after: &'r Record,
        via: impl Fn(Part<'r>) -> Option<String>,
    ) {
        if let Some(head) = after.head()
            && before.head() != Some(head)
        {
            self.puts.push(Put::head(pk, head, via(Part::Head(head))));
        }
        if before.head().is_some() && after.head().is_none() {
            self.removals.push((pk.to_owned(), CellKey::new("", "")));
        }
        for (key, cell) in after.cells() {
            if before.cells().get(key) != Some(cell) {
                self.puts
                    .push(Put::cell(table, pk, key, cell, via(Part::Cell(key, cell))));
            }
        }
        for key in before.cells().keys() {
            if !after.cells().contains_key(key) {
                self.removals.push((pk.to_owned(), key.clone()));
            }
        }
    }

    /// Writes the record's head too, changed or not, so that another transaction that does the same finds out. Whoever
    /// holds no lock on the record's row has to; where writers queue, nobody has to.
    ///
    /// To be called right after [`Self::record`]. A record without a head gets a placeholder, which is no part of its state.
    pub(crate) fn claim(&mut self, backend: DbBackend, pk: &str, record: &Record) {
        // The record's own puts are the last ones.
        let mut puts = self.puts.iter().rev().take_while(|put| put.pk == pk);
        if !dialect::writers_overlap(backend) || puts.any(|put| put.key.field.is_empty()) {
            return;
        }
        let placeholder = || Head {
            epoch: 0,
            hlc: Hlc::baseline(),
            birth: None,
        };
        let head = record.head().cloned().unwrap_or_else(placeholder);
        self.puts.push(Put::head(pk, &head, None));
    }
}

/// What is written of a record.
#[derive(Clone, Copy)]
pub(crate) enum Part<'a> {
    Head(&'a Head),
    Cell(&'a CellKey, &'a Cell),
}

/// A batch as the statements that write it.
pub(crate) struct Ready<'a> {
    table: &'a Table,
    removals: Vec<(String, CellKey)>,
    /// With how many cells each of them writes.
    inserts: Vec<(Statement, usize)>,
    /// Whether all have to be written, as they are when nobody has come between.
    all: bool,
    /// That a cell is larger than a statement may be. The statement would end the connection.
    too_large: Option<Error>,
}

impl Batch {
    /// Makes its statements, which write it under one version. `seen` is the snapshot in which the cells were read.
    pub(crate) fn ready<'a>(self, backend: DbBackend, table: &'a Table, version: Version, seen: &Seen) -> Ready<'a> {
        let mut conflict = OnConflict::columns(["pk", "field", "cell"]);
        conflict.update_columns(COLUMNS.into_iter().skip(3));
        if let Some(unchanged) = unchanged(table, version, seen) {
            conflict.action_and_where(unchanged);
        }
        let too_large = table.room.and_then(|room| {
            let put = self.puts.iter().find(|put| put.size() > room)?;
            Some(put.too_large(table, room))
        });
        let counts: Vec<_> = chunks_of_size(&self.puts, COLUMNS.len(), table.room, Put::size)
            .map(<[Put]>::len)
            .collect();
        let mut puts = self.puts.into_iter();
        let insert = |count| {
            let mut insert = Query::insert();
            insert.into_table(shadow_ref(table)).columns(COLUMNS);
            for put in puts.by_ref().take(count) {
                insert.values_panic(put.into_values(version));
            }
            (backend.build(insert.on_conflict(conflict.clone())), count)
        };
        Ready {
            table,
            removals: self.removals,
            inserts: counts.into_iter().map(insert).collect(),
            all: seen.0.is_some(),
            too_large,
        }
    }
}

impl Ready<'_> {
    /// Writes it.
    ///
    /// # Errors
    ///
    /// [`Error::Contended`] when another transaction has written one of the cells since they were read; [`Error::Value`] when
    /// a cell is larger than a statement may be, upon which nothing is written.
    pub(crate) async fn write<C: ConnectionTrait>(self, conn: &C) -> Result<(), Error> {
        if let Some(error) = self.too_large {
            return Err(error);
        }
        remove(conn, self.table, &self.removals).await?;
        for (insert, count) in self.inserts {
            let written = conn.execute_raw(insert).await?.rows_affected();
            if self.all && usize::try_from(written) != Ok(count) {
                return Err(Error::Contended {
                    table: self.table.name.clone(),
                });
            }
        }
        Ok(())
    }
}

/// Writes a batch under one version.
///
/// # Errors
///
/// As for [`Ready::write`].
pub(crate) async fn write<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    version: Version,
    batch: Batch,
    seen: &Seen,
) -> Result<(), Error> {
    let ready = batch.ready(conn.get_database_backend(), table, version, seen);
    ready.write(conn).await
}

/// That a cell is as it was when the cells were read, or this transaction's own: the transaction that wrote it had ended by
/// then.
fn unchanged(table: &Table, version: Version, seen: &Seen) -> Option<Expr> {
    let (Version::OwnId { offset }, Some(snapshot)) = (version, &seen.0) else {
        return None;
    };
    let stands = Expr::col((Alias::new(shadow_name(&table.name)), Alias::new("version")));
    Some(Expr::cust_with_exprs(
        format!(
            "($1 = pg_current_xact_id()::text::bigint + {offset} \
             OR pg_visible_in_snapshot(greatest($2 - {offset}, 0)::text::xid8, $3::text::pg_snapshot))"
        ),
        [stands.clone(), stands, Expr::val(snapshot.as_str())],
    ))
}

/// Forgets cells.
pub(crate) async fn remove<C: ConnectionTrait>(
    conn: &C,
    table: &Table,
    cells: &[(String, CellKey)],
) -> Result<(), DbErr> {
    for chunk in chunks(cells, 3) {
        let keys = key_values(chunk.iter().map(|(pk, key)| (pk.as_str(), key)));
        let delete = Query::delete()
            .from_table(shadow_ref(table))
            .and_where(dialect::among(conn.get_database_backend(), key_columns(), keys))
            .take();
        conn.execute(&delete).await?;
    }
    Ok(())
}
