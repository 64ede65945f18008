//! The databases that are measured on: a new one for each case, gone afterwards.

mod server;
mod sqlite;

use std::path::Path;

use sea_orm::{
    ConnectOptions, Database as SeaOrm, DatabaseConnection, DbBackend,
    sqlx::sqlite::{SqliteJournalMode, SqliteSynchronous},
};

pub(crate) use sqlite::SqliteFile;

use crate::harness::skip;

/// More connections than any suite has tasks.
const CONNECTIONS: u32 = 32;

/// A database of its own, new and empty. It goes when this is dropped.
#[derive(Debug)]
pub(crate) enum Database {
    Sqlite(SqliteFile),
    Server(server::Created),
}

impl Database {
    pub(crate) async fn create(backend: DbBackend) -> anyhow::Result<Self> {
        Ok(match backend {
            DbBackend::Sqlite => Self::Sqlite(SqliteFile::new()?),
            _ => Self::Server(server::Created::new(backend).await?),
        })
    }

    /// A new pool of connections to it.
    pub(crate) async fn connect(&self) -> anyhow::Result<DatabaseConnection> {
        match self {
            Self::Sqlite(file) => file.connect().await,
            Self::Server(created) => connect(created.url()).await,
        }
    }
}

impl SqliteFile {
    /// A new pool of connections to it, with a write-ahead log and synchronous NORMAL.
    pub(crate) async fn connect(&self) -> anyhow::Result<DatabaseConnection> {
        connect_to(&self.path()).await
    }
}

/// A new pool of connections to a SQLite file, with a write-ahead log and synchronous NORMAL.
pub(crate) async fn connect_to(file: &Path) -> anyhow::Result<DatabaseConnection> {
    connect(&format!("sqlite://{}?mode=rwc", file.display())).await
}

async fn connect(url: &str) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(CONNECTIONS)
        // One alone keeps what it has read of a SQLite file; two that take turns read it again. A pool may come to either.
        .min_connections(2)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(|sqlite| {
            sqlite
                .journal_mode(SqliteJournalMode::Wal)
                .synchronous(SqliteSynchronous::Normal)
        });
    Ok(SeaOrm::connect(options).await?)
}

/// The databases that can be reached; of the others, it is said why not.
pub(crate) async fn reachable() -> Vec<DbBackend> {
    let mut reachable = vec![DbBackend::Sqlite];
    for backend in [DbBackend::Postgres, DbBackend::MySql] {
        if is_reachable(backend).await {
            reachable.push(backend);
        }
    }
    reachable
}

/// Whether a database server can be reached; if not, it is said why.
pub(crate) async fn is_reachable(backend: DbBackend) -> bool {
    let answer = server::check(backend).await;
    if let Err(error) = &answer {
        skip(name(backend), error);
    }
    answer.is_ok()
}

/// What people call it.
pub(crate) fn name(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "SQLite",
        DbBackend::Postgres => "PostgreSQL",
        _ => "MariaDB",
    }
}
