use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, ensure};
use rusqlite::Connection;
use tempfile::TempDir;

/// A SQLite database in a file of its own. The file goes when this is dropped.
#[derive(Debug)]
pub(crate) struct SqliteFile {
    folder: TempDir,
}

impl SqliteFile {
    /// A file that does not exist yet.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let folder = TempDir::with_prefix("grove-bench-").context("a folder for a database")?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("bench.db")
    }

    /// Another file that holds the same. Nobody may be writing meanwhile.
    pub(crate) fn copy(&self) -> anyhow::Result<Self> {
        let copy = Self::new()?;
        self.checkpoint()?;
        fs::copy(self.path(), copy.path())?;
        Ok(copy)
    }

    /// Brings what the write-ahead log has into the file, and empties the log. Nobody may be reading or writing meanwhile.
    pub(crate) fn checkpoint(&self) -> anyhow::Result<()> {
        let connection = self.open_raw()?;
        let busy: i64 = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        ensure!(busy == 0, "the write-ahead log of {} is in use", self.path().display());
        Ok(())
    }

    /// The bytes of the file once everything is in it.
    pub(crate) fn size(&self) -> anyhow::Result<u64> {
        self.checkpoint()?;
        Ok(fs::metadata(self.path())?.len())
    }

    /// The bytes of the write-ahead log.
    pub(crate) fn log_size(&self) -> anyhow::Result<u64> {
        let log = self.path().with_extension("db-wal");
        if log.exists() {
            Ok(fs::metadata(log)?.len())
        } else {
            Ok(0)
        }
    }

    /// A connection without an ORM, set up like all others.
    pub(crate) fn open_raw(&self) -> anyhow::Result<Connection> {
        open_raw(&self.path())
    }
}

fn open_raw(path: &Path) -> anyhow::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON")?;
    Ok(connection)
}
