//! Measures grove-crdt beside the raw database, in the same process and on the same tables.
//!
//! ```sh
//! cargo run --release -p grove-crdt-bench -- all
//! cargo run --release -p grove-crdt-bench -- write-1 merge-new --json figures.json
//! ```
//!
//! A suite is a list of cases. A case runs what is measured and its baseline in turn, several times, and what counts is the
//! ratio of two runs that follow each other. `docs/performance.md` has the results and says how to read them.

mod command;
mod database;
mod documents;
mod exchange;
mod harness;
mod network;
mod raw;
mod report;
mod suites;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Command;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    Command::parse().run().await
}
