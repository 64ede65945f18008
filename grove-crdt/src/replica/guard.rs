//! One node id is one writer: keeping a second one out.

use std::{
    collections::BTreeSet,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use sea_orm::DatabaseConnection;

use crate::{
    clock::NodeId,
    error::Error,
    replica::lease::{Lease, Taken},
};

/// The node ids open in this process, with their databases.
static OPEN: Mutex<BTreeSet<(String, NodeId)>> = Mutex::new(BTreeSet::new());

/// Holds a node id on a database until dropped, or until the process dies.
#[derive(Debug)]
pub(crate) struct NodeGuard {
    entry: (String, NodeId),
    /// The lock goes with the file handle.
    _file: Option<File>,
    lease: Option<(Lease, DatabaseConnection)>,
}

impl NodeGuard {
    /// Takes the id. `database` is the database's replica id, `path` its file, when it has one.
    ///
    /// # Errors
    ///
    /// The id is open already, in this process or another; or the lock file can't be made.
    pub(super) fn take(database: &str, node: &NodeId, path: Option<&Path>) -> Result<Self, Error> {
        let in_use = |detail: String| Error::NodeInUse {
            node: node.to_string(),
            detail,
        };
        let file = path.map(|path| lock(path, node)).transpose().map_err(|error| match error {
            LockError::Held(lock) => in_use(format!(
                "another replica has it open on this database (lock file {}); close that one, or give this one an id of its own",
                lock.display()
            )),
            LockError::Io(lock, error) => Error::Invalid(format!(
                "can't lock node id `{node}` with the file {}: {error}",
                lock.display()
            )),
        })?;
        let entry = (database.to_owned(), node.clone());
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.insert(entry.clone()) {
            return Err(in_use(
                "another replica in this process has it open on this database; clone that one instead".into(),
            ));
        }
        Ok(Self {
            entry,
            _file: file,
            lease: None,
        })
    }

    /// Holds the id by a lease too, as the database is shared with other machines.
    pub(super) fn with_lease(mut self, taken: Taken, db: &DatabaseConnection) -> Self {
        self.lease = Some((taken.keep(db), db.clone()));
        self
    }

    /// Whether the id is still held.
    ///
    /// # Errors
    ///
    /// Its lease has run out, or another process has it.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.lease.as_ref().map_or(Ok(()), |(lease, _)| lease.check())
    }

    /// Whether others hold ids on the same database, as far as is known.
    pub(crate) fn has_company(&self) -> bool {
        self.lease.as_ref().is_some_and(|(lease, _)| lease.has_company())
    }
}

impl Drop for NodeGuard {
    fn drop(&mut self) {
        if let Some((lease, db)) = &mut self.lease {
            lease.give_back(db);
        }
        let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(&self.entry);
    }
}

enum LockError {
    Held(PathBuf),
    Io(PathBuf, std::io::Error),
}

/// Locks `<database file>-grove-<node>`. The file stays when the lock goes: removing it would race with the next locker.
fn lock(database: &Path, node: &NodeId) -> Result<File, LockError> {
    let mut name = database.as_os_str().to_owned();
    // A colon is no part of a file name everywhere.
    name.push(format!("-grove-{}", node.as_str().replace(':', "%3A")));
    let path = PathBuf::from(name);
    let file = match File::options().create(true).append(true).open(&path) {
        Ok(file) => file,
        Err(error) => return Err(LockError::Io(path, error)),
    };
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LockError::Held(path)),
        Err(TryLockError::Error(error)) => Err(LockError::Io(path, error)),
    }
}
