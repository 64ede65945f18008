//! How things are measured: cases, runs in turn, medians and spread, targets.

mod bench;
mod comparison;
mod summary;
mod timer;
mod unit;

pub(crate) use bench::{Bench, Built, Case, Rounds, skip};
pub(crate) use comparison::{Baseline, Comparison, Target};
pub(crate) use summary::{Summary, quantile};
pub(crate) use timer::{Timer, count};
pub(crate) use unit::Unit;
