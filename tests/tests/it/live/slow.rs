//! Clients that take nothing.

use std::time::Duration;

use grove_crdt_tests::{Statements, serve::serve};

use super::events::Events;
use crate::notes;

/// Nothing is read from the database for a client that takes nothing, so nothing is held for it; and it gets everything
/// when it takes again.
#[apply(on_each_database!)]
async fn a_stalled_client_costs_no_memory_and_loses_nothing() {
    // More than sockets hold in their buffers.
    const COUNT: usize = 600;
    let (db, statements) = Statements::of_new_database().await;
    let hub = notes::replica_on(db, "hub").await;
    let mut events = Events::open(&serve(&hub).await, "tables=notes", None).await;
    let first = events.next().await;
    let large = "x".repeat(60_000);
    for n in 0..COUNT {
        notes::write(&hub, &format!("{n:04}"), &large).await;
    }
    // It rests.
    tokio::time::sleep(Duration::from_millis(300)).await;
    statements.take();
    for n in COUNT..COUNT + 20 {
        notes::write(&hub, &format!("{n:04}"), "small").await;
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let pages = statements.take().into_iter().filter(|sql| is_page(sql));
    assert_eq!(
        pages.collect::<Vec<_>>(),
        Vec::<String>::new(),
        "nobody takes what was read"
    );

    let mut keys = first.keys();
    while keys.len() < COUNT + 20 {
        keys.extend(events.next().await.keys());
    }
    let expected: Vec<_> = (0..COUNT + 20).map(|n| format!("{n:04}")).collect();
    assert_eq!(keys, expected);
    assert!(statements.take().iter().any(|sql| is_page(sql)));
}

/// Whether a statement reads cells in commit order.
fn is_page(sql: &str) -> bool {
    sql.starts_with("SELECT") && sql.contains("_notes_crdt") && sql.contains("LIMIT")
}
