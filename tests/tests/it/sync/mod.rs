//! The exchange: what is told to whom, in which pages, and where it goes on.

mod adoption;
mod clocks;
mod cursors;
mod dead_letters;
mod lost_history;
mod paging;
mod topology;
mod wire;
