//! Programs that `#[derive(Crdt)]` is tried with, in `tests`: those that it accepts, and those that it says something about.
