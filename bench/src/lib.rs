//! The algebra of grove-crdt, made ready to be measured.
//!
//! It is private in the library, so its sources are compiled in here. The benchmarks in `benches/` measure it, and so does the
//! suite `algebra` of the program.

pub mod algebra;

/// The modules of the library that the algebra consists of.
#[path = "../../grove-crdt/src"]
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the library uses and exports what is not used here"
)]
mod library {
    pub(crate) mod clock;
    pub(crate) mod error;
    pub(crate) mod types;
}

// Where their sources look for each other.
use library::{clock, error, types};
