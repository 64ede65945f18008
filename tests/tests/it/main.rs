//! Integration tests through the public API.

#[macro_use]
extern crate grove_crdt_tests;

mod adopt;
mod capture;
mod chinook;
mod commits;
mod concurrency;
mod crash;
mod databases;
mod described;
mod ended;
mod exact;
mod hooks;
mod http;
mod inspect;
mod layers;
mod live;
mod merge;
mod metrics;
mod migrations;
mod notes;
mod open;
mod order;
mod presence;
mod schemas;
mod servers;
mod service;
mod statements;
mod sync;
mod syncer;
mod values;
mod versions;
