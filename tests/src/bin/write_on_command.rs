//! The other process of a test: opens a replica of documents under a node id, and does what it is told on its standard
//! input, one line after the other. It answers each with a line of its own.

use std::{io::BufRead as _, time::Duration};

use grove_crdt::prelude::*;
use grove_crdt_tests::{connect, entities::document};
use sea_orm::{ActiveValue::Set, DbErr};

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let [url, node, hub, lease] = std::env::args()
        .skip(1)
        .collect::<Vec<_>>()
        .try_into()
        .expect("a database's URL, a node id, the hub's URL, and the lease in milliseconds");
    let replica = Replica::builder(node)
        .node_lease(Duration::from_millis(lease.parse().expect("a number")))
        .entity::<document::Entity>()
        .open(connect(&url).await)
        .await
        .expect("the node id is free");
    let peer = HttpTransport::new(&hub).expect("a URL").named("hub");
    let syncer = Syncer::builder(&replica).peer(peer).build().expect("a syncer");
    println!("opened");
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("a line");
        let outcome = match line.split_once(' ') {
            Some(("write", id)) => write(&replica, id).await.map_err(|error| error.to_string()),
            Some(("sync", _)) => syncer.sync().await.map(drop).map_err(|error| error.to_string()),
            _ => Err("what?".to_owned()),
        };
        match outcome {
            Ok(()) => println!("done"),
            Err(error) => println!("failed: {error}"),
        }
    }
}

/// One document, and one more in the views of the document `total`.
async fn write(replica: &Replica, id: &str) -> Result<(), DbErr> {
    let document = document::ActiveModel {
        id: Set(id.to_owned()),
        title: Set("of another process".to_owned()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
        author: Set(None),
    };
    document.insert(replica).await?;
    document::ActiveModel::increment_view_count(replica, "total", 1).await
}
