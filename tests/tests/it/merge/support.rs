//! Exchanging changes by the answering side alone, with requests in their wire form.

use grove_crdt::{
    FakeClock, Replica,
    sync::{Peer, PullRequest, PullResponse, PushRequest, PushResponse, Rejection, respond},
};
use grove_crdt_tests::{builder, new_database, run_all};
use sea_orm::{TransactionSession as _, TransactionTrait as _};
use serde_json::{Value as Json, json};

/// Everybody, unnamed.
pub fn anyone() -> Peer {
    Peer::new("anyone")
}

/// Asks `of` for a page, as `asker` would.
pub async fn pull(asker: &Replica, of: &Replica, tables: &[&str], cursor: Option<&str>, limit: usize) -> PullResponse {
    let request: PullRequest = serde_json::from_value(json!({
        "node_id": asker.node_id(), "replica_id": asker.replica_id(),
        "tables": tables, "cursor": cursor, "limit": limit,
    }))
    .unwrap();
    respond::pull(of, &anyone(), &request).await.unwrap()
}

/// Pushes changes to `to`, as `from` would.
pub async fn push(from: &Replica, to: &Replica, changes: &[Json]) -> PushResponse {
    push_as(from.node_id().as_str(), from.replica_id(), to, changes).await
}

/// Pushes changes to `to` in the name of a node.
pub async fn push_as(node: &str, replica_id: &str, to: &Replica, changes: &[Json]) -> PushResponse {
    let request: PushRequest = serde_json::from_value(json!({
        "node_id": node, "replica_id": replica_id, "changes": changes,
    }))
    .unwrap();
    respond::push(to, &anyone(), &request).await.unwrap()
}

/// All that a replica can tell of its tables, as a stranger is told it.
pub async fn changes_of(replica: &Replica, tables: &[&str]) -> Vec<Json> {
    let mut changes = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let request: PullRequest = serde_json::from_value(json!({
            "node_id": "stranger", "replica_id": "a-stranger's-database",
            "tables": tables, "cursor": cursor, "limit": 10_000,
        }))
        .unwrap();
        let page = respond::pull(replica, &anyone(), &request).await.unwrap();
        changes.extend(page.changes.iter().map(|change| serde_json::to_value(change).unwrap()));
        if !page.has_more {
            return changes;
        }
        cursor = Some(page.cursor);
    }
}

/// Takes everything from one replica to another; nothing may be refused.
pub async fn carry(from: &Replica, to: &Replica, tables: &[&str]) -> PushResponse {
    let changes = changes_of(from, tables).await;
    let response = push(from, to, &changes).await;
    assert_eq!(response.rejected, [], "{changes:#?}");
    response
}

/// Takes everything both ways, until both know all.
pub async fn meet(a: &Replica, b: &Replica, tables: &[&str]) {
    carry(a, b, tables).await;
    carry(b, a, tables).await;
    carry(a, b, tables).await;
}

/// What a push of one change is answered with.
pub async fn refusal(to: &Replica, change: Json) -> Option<Rejection> {
    let response = push_as("attacker", "the-attacker's-database", to, &[change]).await;
    response.rejected.into_iter().next()
}

/// A replica over tables made by these statements.
pub async fn replica_over(
    node: &str,
    ddl: &[&str],
    entities: impl FnOnce(grove_crdt::ReplicaBuilder) -> grove_crdt::ReplicaBuilder,
) -> (Replica, FakeClock) {
    let db = new_database().await;
    run_all(&db, ddl).await;
    let (builder, clock) = builder(node);
    (entities(builder).open(db).await.unwrap(), clock)
}

/// What waits, as `table pk reason`.
pub async fn parked(replica: &Replica) -> Vec<String> {
    let parked = replica.parked().await.unwrap();
    parked
        .iter()
        .map(|row| format!("{} {} {:?}", row.table, row.pk, row.reason))
        .collect()
}

/// Drops `work` right after it has committed something, before the rows that waited for that are tried. On SQLite only.
pub async fn cut_off_after_commit<T>(replica: &Replica, work: impl Future<Output = T>) {
    let mut commits = replica.commits();
    // Writers queue, so there is always one before the attempt, which might else run on without ever having to wait.
    let in_the_way = async {
        loop {
            replica.begin().await.unwrap().rollback().await.unwrap();
        }
    };
    tokio::select! {
        biased;
        _ = commits.changed() => {}
        _ = work => panic!("it came to its end"),
        () = in_the_way => {}
    }
}

/// A cheap source of numbers for shuffling.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, end: usize) -> usize {
        // Knuth's MMIX generator; its high bits are good enough here.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (1..items.len()).rev() {
            items.swap(end, self.below(end + 1));
        }
    }
}
