use grove_crdt_bench::algebra::{Meeting, Ticker};

use crate::harness::{Bench, Case, Target, Timer, Unit, count};

/// How fast the Go original was on two cores such as these, in seconds; it is not run here.
const GO: [(&str, f64); 4] = [
    ("clock tick", 85e-9),
    ("merge of an lww field", 0.1e-6),
    ("merge of a counter of 100 nodes", 40e-6),
    ("merge of a set of 1,000", 1.5e-3),
];

pub(super) fn run(bench: &mut Bench) -> anyhow::Result<()> {
    println!("  targets are absolute times: a third of the original's for the clock, a tenth for merges");
    let ticker = Ticker::new()?;
    let ticks = bench.size(100_000, 100);
    let [clock, lww, counter, set] = GO;
    record(bench, clock, 3.0, || {
        let timer = Timer::start();
        for _ in 0..ticks {
            ticker.tick();
        }
        timer.each(ticks)
    });
    // So few at once that the processor has them at hand, as it had those of the original.
    for (case, meeting, at_once, times) in [
        (lww, Meeting::of_lww()?, 32, bench.size(300, 2)),
        (counter, Meeting::of_counter(100)?, 4, bench.size(100, 2)),
        (set, Meeting::of_set(1_000)?, 1, bench.size(50, 1)),
    ] {
        record(bench, case, 10.0, || {
            let mut took = 0.0;
            for _ in 0..times {
                let meetings = vec![meeting.clone(); at_once];
                let mut merged = Vec::with_capacity(at_once);
                let timer = Timer::start();
                merged.extend(meetings.into_iter().map(Meeting::merge));
                took += timer.each(at_once);
            }
            took / count(times)
        });
    }
    Ok(())
}

/// Runs something repeatedly that is to be so many times faster than the original was.
fn record(bench: &mut Bench, (name, go): (&str, f64), faster: f64, mut run: impl FnMut() -> f64) {
    let rounds = bench.rounds(5, 50);
    let runs = (0..rounds.warm_up + rounds.counted).map(|_| (run(), go));
    let pairs: Vec<_> = runs.skip(rounds.warm_up).collect();
    let case = Case::new(name, Unit::Time, "the Go original, measured elsewhere");
    bench.record(case.target(Target::AtMost(go / faster)), &pairs);
}
