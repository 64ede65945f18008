use grove_crdt::Crdt;

#[derive(Crdt)]
struct Model(String);

fn main() {}
