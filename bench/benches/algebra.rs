//! Micro-benchmarks of the algebra: `cargo bench -p grove-crdt-bench`.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use grove_crdt_bench::algebra::{Meeting, Ticker};

fn clock(criterion: &mut Criterion) {
    let ticker = Ticker::new().expect("a clock");
    criterion.bench_function("clock tick", |bencher| bencher.iter(|| ticker.tick()));
}

fn merges(criterion: &mut Criterion) {
    for (name, meeting) in [
        ("merge of an lww field", Meeting::of_lww()),
        ("merge of a counter of 100 nodes", Meeting::of_counter(100)),
        ("merge of a set of 1,000", Meeting::of_set(1_000)),
    ] {
        let meeting = meeting.expect("a state");
        criterion.bench_function(name, |bencher| {
            bencher.iter_batched(|| meeting.clone(), Meeting::merge, BatchSize::SmallInput);
        });
    }
}

criterion_group!(benches, clock, merges);
criterion_main!(benches);
