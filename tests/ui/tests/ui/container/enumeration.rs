use grove_crdt::Crdt;

#[derive(Crdt)]
enum Model {
    Draft,
}

fn main() {}
