//! What a sender could commit, a receiver shows: whatever the schema, and whatever order the statements had.

mod along;
mod combinations;
mod compare;
mod explained;
mod many;
mod named;
mod one_writer;
mod parents;
mod program;
mod records;
mod rules;
mod scenarios;
mod schema;
mod statement;
mod step;
mod tables;
mod together;
mod two_writers;
mod world;

use std::any::Any;

use grove_crdt::Replica;
use grove_crdt_tests::{backend, builder};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};

use self::{program::Log, schema::Schema};

/// A replica over the tables of a schema, in this database.
async fn open(node: &str, schema: &Schema, db: DatabaseConnection, log: &Log) -> Result<Replica, String> {
    let first = log.text().is_empty();
    for statement in schema.ddl(backend()) {
        if first {
            log.line(format!("{statement};"));
        }
        let made = db.execute_unprepared(&statement).await;
        made.map_err(|error| format!("{statement}: {error}"))?;
    }
    let builder = tables::register(builder(node).0, schema.numbers());
    let opened = builder.open(db).await;
    opened.map_err(|error| format!("{node} does not open: {error}"))
}

/// What a panic says.
fn words_of(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => panic
            .downcast::<&str>()
            .map_or_else(|_| "?".to_owned(), |text| (*text).to_owned()),
    }
}
