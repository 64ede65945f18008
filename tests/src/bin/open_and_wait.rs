//! The other process of a test: opens a replica under a node id on a database, says so, and waits for its end.

use std::io::Read as _;

use grove_crdt_tests::{builder, connect, entities::document};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let [url, node] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .expect("a database's URL and a node id");
    let db = connect(&url).await;
    let replica = builder(&node)
        .0
        .entity::<document::Entity>()
        .node_lease(std::time::Duration::from_secs(2))
        .open(db)
        .await
        .expect("the node id is free");
    println!("opened");
    // Until it is killed, or who started it is gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    drop(replica);
}
