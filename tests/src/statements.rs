//! What a database was sent.

use std::sync::{Arc, Mutex};

use sea_orm::DatabaseConnection;

use crate::new_database;

/// The statements that a database was sent; BEGIN, COMMIT and savepoints are not among them.
#[derive(Clone, Debug, Default)]
pub struct Statements(Arc<Mutex<Vec<String>>>);

impl Statements {
    /// A new database, and the statements it is going to be sent.
    pub async fn of_new_database() -> (DatabaseConnection, Self) {
        let mut db = new_database().await;
        let statements = Self::of(&mut db);
        (db, statements)
    }

    /// The statements that a database is going to be sent over this pool and its clones to come.
    pub fn of(db: &mut DatabaseConnection) -> Self {
        let statements = Self::default();
        let log = statements.clone();
        db.set_metric_callback(move |info| log.0.lock().expect("the log").push(info.statement.sql.clone()));
        statements
    }

    /// The statements since the last call.
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("the log"))
    }
}
