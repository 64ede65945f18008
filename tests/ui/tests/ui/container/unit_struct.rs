use grove_crdt::Crdt;

#[derive(Crdt)]
struct Model;

fn main() {}
