//! Whether a server can do its work.

use grove_crdt::server::SyncServer;
use reqwest::Client;
use serde_json::{Value as Json, json};
use tokio_util::sync::CancellationToken;

use super::{Answer, serve};
use crate::notes;

async fn ask(url: &str) -> (u16, Json) {
    let answer = Answer::to(Client::new().get(format!("{url}/health"))).await;
    (answer.status.as_u16(), answer.body)
}

#[apply(on_each_database!)]
async fn anybody_is_told_whether_the_database_answers() {
    let hub = notes::replica("hub").await;
    let server = SyncServer::builder(&hub).bearer_tokens::<&str>([]).unwrap();
    let url = serve(server.router()).await;
    assert_eq!(ask(&url).await, (200, json!({ "status": "ok" })));
    hub.connection().clone().close().await.unwrap();
    // What was found out stays true for a second.
    while ask(&url).await.0 == 200 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&url).await, (503, json!({ "status": "unavailable" })));
}

#[apply(on_each_database!)]
async fn a_server_that_ends_is_not_well() {
    let hub = notes::replica("hub").await;
    let stop = CancellationToken::new();
    let server = SyncServer::builder(&hub).shutdown(stop.clone()).allow_anonymous();
    let url = serve(server.router()).await;
    assert_eq!(ask(&url).await.0, 200);
    stop.cancel();
    assert_eq!(ask(&url).await, (503, json!({ "status": "unavailable" })));
}
