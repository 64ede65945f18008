//! Streams of what other processes on the same database commit.

use std::time::Duration;

use grove_crdt::{Replica, ReplicaBuilder};
use grove_crdt_tests::{TestDatabase, serve::serve};

use super::events::Events;
use crate::notes;

/// Two replicas on one database, as two processes have it.
async fn two(database: &TestDatabase, set_up: impl Fn(ReplicaBuilder) -> ReplicaBuilder) -> (Replica, Replica) {
    let one = notes::replica_in_with(database, "one", &set_up).await;
    let other = notes::replica_in_with(database, "other", &set_up).await;
    (one, other)
}

#[apply(on_each_database!)]
async fn what_another_process_commits_is_looked_for() {
    let database = TestDatabase::new().await;
    let (one, other) = two(&database, |builder| builder.poll_interval(Duration::from_millis(20))).await;
    let mut events = Events::open(&serve(&one).await, "tables=notes", None).await;
    events.next().await;
    for id in ["a", "b", "c"] {
        notes::write(&other, id, "x").await;
        assert_eq!(events.next().await.keys(), [id]);
    }
}

/// With an interval that never comes, only the database itself can have told.
#[apply(on_postgres!)]
async fn postgres_tells_of_it_at_once() {
    let never = Duration::from_hours(1);
    let lease = Duration::from_secs(1);
    let database = TestDatabase::new().await;
    let (one, other) = two(&database, |builder| builder.poll_interval(never).node_lease(lease)).await;
    let urls = [serve(&one).await, serve(&other).await];
    let mut of_one = Events::open(&urls[0], "tables=notes", None).await;
    let mut of_other = Events::open(&urls[1], "tables=notes", None).await;
    of_one.next().await;
    of_other.next().await;
    // The first one learns with its lease that it is not alone.
    tokio::time::sleep(lease).await;
    for (id, writer) in [("a", &one), ("b", &other), ("c", &one)] {
        notes::write(writer, id, "x").await;
        assert_eq!(of_one.next().await.keys(), [id]);
        assert_eq!(of_other.next().await.keys(), [id]);
    }
}
