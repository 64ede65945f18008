//! The databases of a test.

mod each;
mod kind;
mod server;

use std::{
    path::{Path, PathBuf},
    sync::Mutex,
};

pub use each::{available, for_all, for_all_by, go_on_with, run, run_on_all, run_with_threads};
pub use kind::Kind;
pub use sea_orm::DbBackend;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection};

/// The kind of database that this test runs on. SQLite, unless [`on_each_database!`](crate::on_each_database) says otherwise.
pub fn kind() -> Kind {
    each::current().map_or(Kind::Sqlite, |test| test.kind())
}

/// What SeaORM takes the database for that this test runs on.
pub fn backend() -> DbBackend {
    kind().backend()
}

/// A new, empty database, and a pool of connections to it. On SQLite it is in memory.
pub async fn new_database() -> DatabaseConnection {
    match kind() {
        // One connection, so that all see the same.
        Kind::Sqlite => open(ConnectOptions::new("sqlite::memory:"), 1).await,
        _ => connect(&server::create().await).await,
    }
}

/// A pool of connections to the database at this URL.
pub async fn connect(url: &str) -> DatabaseConnection {
    let db = open(ConnectOptions::new(url), 8).await;
    if db.get_database_backend() == DbBackend::Sqlite {
        for pragma in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL"] {
            db.execute_unprepared(pragma).await.expect("a setting of SQLite");
        }
    }
    db
}

async fn open(mut options: ConnectOptions, most: u32) -> DatabaseConnection {
    options.max_connections(most).min_connections(0).sqlx_logging(false);
    Database::connect(options).await.expect("a database")
}

/// A database that can be connected to again and again, also by another process. On SQLite it is a file.
///
/// It goes at the end of the test, a file when this is dropped.
#[derive(Debug)]
pub struct TestDatabase {
    url: String,
    dir: Option<tempfile::TempDir>,
}

impl TestDatabase {
    /// A new, empty database.
    pub async fn new() -> Self {
        if kind() != Kind::Sqlite {
            let (url, dir) = (server::create().await, None);
            return Self { url, dir };
        }
        let dir = tempfile::tempdir().expect("a directory for the database");
        let url = format!("sqlite://{}?mode=rwc", file(dir.path()).display());
        Self { url, dir: Some(dir) }
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The file of a SQLite database.
    ///
    /// # Panics
    ///
    /// It is no SQLite database.
    pub fn path(&self) -> PathBuf {
        file(self.dir.as_ref().expect("a SQLite database").path())
    }

    /// A pool of connections to it.
    pub async fn connect(&self) -> DatabaseConnection {
        connect(&self.url).await
    }

    /// Another database with all that this one holds, like a backup that is restored.
    pub async fn copy(&self) -> Self {
        if self.dir.is_none() {
            let (url, dir) = (server::copy(&self.url).await, None);
            return Self { url, dir };
        }
        let copy = Self::new().await;
        let vacuum = format!("VACUUM INTO '{}'", copy.path().display());
        let db = self.connect().await;
        db.execute_unprepared(&vacuum).await.expect("a copy");
        copy
    }
}

/// Databases for the runs of one test: each run finds them empty. To empty one takes a server less than to create another.
#[derive(Debug, Default)]
pub struct Places(Mutex<Vec<(String, DatabaseConnection)>>);

impl Places {
    /// The database at this place, empty. What was connected to it before is disconnected.
    pub async fn fresh(&self, place: usize) -> DatabaseConnection {
        if backend() == DbBackend::Sqlite {
            return new_database().await;
        }
        let known = self.0.lock().expect("the databases").get(place).cloned();
        let url = match known {
            Some((url, before)) => {
                before.close().await.expect("closed");
                server::clear(&url).await;
                url
            }
            None => server::create().await,
        };
        let db = connect(&url).await;
        let mut places = self.0.lock().expect("the databases");
        if let Some(known) = places.get_mut(place) {
            known.1 = db.clone();
        } else {
            assert_eq!(places.len(), place, "places are taken one after the other");
            places.push((url, db.clone()));
        }
        db
    }
}

fn file(dir: &Path) -> PathBuf {
    dir.join("test.db")
}
