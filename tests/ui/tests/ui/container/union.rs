use grove_crdt::Crdt;

#[derive(Crdt)]
union Model {
    id: u64,
}

fn main() {}
