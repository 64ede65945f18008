//! What the integration tests share: databases, entities, replicas.
//!
//! A test runs on each database: [`on_each_database!`] makes four of one. Whatever it needs of a database is given to it
//! without being told which: [`new_database`], [`TestDatabase`], [`replica_of`] and the rest look at [`kind`], which is that of
//! the database that the test runs on. A test about one database alone is an ordinary `#[tokio::test]`, on SQLite.

pub mod chinook;
pub mod database;
pub mod entities;
mod inspect;
mod replica;
pub mod serve;
mod sql;
mod statements;

pub use database::{Kind, TestDatabase, backend, connect, kind, new_database};
pub use inspect::{Inspect, assert_agrees, cells, rows, written};
pub use macro_rules_attribute::apply;
pub use replica::{START, builder, create_table, open_when_free, replica_of};
pub use sql::{execute, number, run_all, sql, worded};
pub use statements::Statements;
