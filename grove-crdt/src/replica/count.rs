//! Whether a statement wrote rows that nobody watched: told by how many it says it wrote.

use sea_orm::DbBackend;

use crate::{
    error::{CONTENDED, Error},
    replica::{
        effect::{Effect, What},
        given::Rows,
        statement::refusal,
    },
    store::dialect,
};

/// What is known of the rows a statement may write, in its own table.
#[derive(Debug, Default, PartialEq)]
pub(super) enum Count {
    /// Nothing.
    #[default]
    Unknown,
    /// An update: so many rows at most.
    AtMost(usize),
    /// A delete: each row it writes dies.
    Deaths,
    /// An insert: each row it writes is born.
    Births,
    /// An upsert, once for each row: it is born, or was among so many that were watched.
    BirthsOr(usize),
    /// MySQL's upsert, which counts a row that it changes twice: of so many rows, any of which may have met one of those
    /// watched.
    Twice { rows: usize, watched: usize },
}

impl Count {
    pub(super) fn of_insert(rows: &Rows<'_>, updates: bool, count: usize, watched: usize) -> Self {
        match rows.backend() {
            _ if !updates => Self::Births,
            DbBackend::Postgres => Self::BirthsOr(watched),
            DbBackend::MySql => Self::Twice { rows: count, watched },
            // SQLite may change a row several times.
            _ => Self::Unknown,
        }
    }

    /// Whether an update wrote every row that it may.
    pub(super) fn is_all(&self, written: Option<usize>) -> bool {
        matches!(self, Self::AtMost(rows) if written == Some(*rows))
    }

    /// # Errors
    ///
    /// More rows were written than are known: some nobody watched.
    pub(super) fn check(
        &self,
        table: &str,
        written: Option<usize>,
        effects: &[Effect],
        backend: DbBackend,
    ) -> Result<(), Error> {
        let Some(written) = written else { return Ok(()) };
        let count = |is: fn(&What) -> bool| {
            let own = effects.iter().filter(|effect| effect.table.name == table);
            own.filter(|effect| is(&effect.what)).count()
        };
        let born = count(|what| matches!(what, What::Born(_)));
        let known = match self {
            Self::AtMost(rows) => *rows,
            Self::Deaths => count(|what| matches!(what, What::Died)),
            Self::Births => born,
            Self::BirthsOr(watched) => born + watched,
            // One that none of the rows met was changed by none.
            Self::Twice { rows, watched } if born + watched == 0 => *rows,
            Self::Unknown | Self::Twice { .. } => return Ok(()),
        };
        match written.checked_sub(known) {
            None | Some(0) => Ok(()),
            Some(rows) => Err(escaped(rows, backend)),
        }
    }
}

/// The error for a statement that wrote `rows` rows that nobody watched. Where there are other writers, one of them may have
/// come in between, and all is well when it is run again.
pub(super) fn escaped(rows: usize, backend: DbBackend) -> Error {
    let refused = refusal(
        format!("a statement that wrote {rows} rows more than its conditions and keys named just before it ran"),
        "name the rows by values that stay the same, not by the time of day",
    );
    match refused {
        Error::Uncapturable { what, instead } if !dialect::has_one_writer(backend) => Error::Uncapturable {
            what,
            instead: format!("{instead}; or {CONTENDED}"),
        },
        other => other,
    }
}
