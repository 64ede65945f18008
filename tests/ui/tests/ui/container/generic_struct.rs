use grove_crdt::Crdt;

#[derive(Crdt)]
struct Model<T> {
    id: T,
}

fn main() {}
