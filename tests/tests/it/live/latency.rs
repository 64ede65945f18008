//! How long it takes from a commit to the row on the other side.

use std::time::Instant;

use grove_crdt::{sync::Syncer, transport::HttpTransport};
use grove_crdt_tests::serve::serve;

use super::{NEVER, Running, equal};
use crate::notes;

/// Prints the median both ways over loopback HTTP between SQLite files; it asserts only that everything arrives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_commit_to_row() {
    const COUNT: usize = 200;
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let builder = Syncer::builder(&edge).peer(HttpTransport::new(&serve(&hub).await).unwrap());
    let running = Running::new(builder.interval(NEVER));
    notes::write(&hub, "first", "x").await;
    equal(&hub, &edge).await;
    for (from, to, way) in [(&hub, &edge, "streamed"), (&edge, &hub, "pushed")] {
        let mut took = Vec::with_capacity(COUNT);
        for n in 0..COUNT {
            let id = format!("{way}-{n}");
            let mut commits = to.commits();
            notes::write(from, &id, "x").await;
            let begun = Instant::now();
            while notes::title(to, &id).await.is_none() {
                commits.changed().await.unwrap();
            }
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        println!(
            "{way}: median {:?}, 99 % within {:?}",
            took[COUNT / 2],
            took[COUNT * 99 / 100]
        );
    }
    equal(&hub, &edge).await;
    running.stop().await;
}
