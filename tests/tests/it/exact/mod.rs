//! A value means the same on every database: its record has it exactly everywhere, each column shows it as well as it can,
//! and what a column shows is never taken for an edit.

mod databases;
mod instants;
mod json_null;
mod local;
mod parked;
mod sample;
mod travel;
mod types;
