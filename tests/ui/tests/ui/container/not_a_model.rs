use grove_crdt::Crdt;

#[derive(Crdt)]
struct Document {
    id: String,
}

fn main() {}
