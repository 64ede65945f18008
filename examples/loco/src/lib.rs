//! A [loco](https://loco.rs) application whose documents are written on many nodes: `docs/loco.md` explains it.

pub mod app;
pub mod controllers;
pub mod initializers;
pub mod migration;
pub mod models;
