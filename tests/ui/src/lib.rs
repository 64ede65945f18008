//! Programs that `#[derive(Crdt)]` is tried with, in `tests/ui`.
