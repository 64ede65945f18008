//! A replica's sync server on a real socket.

use axum::Router;
use grove_crdt::{Replica, server::SyncServer};

/// Serves a replica to everybody on a free port of this machine, for as long as the runtime lives. Returns the URL.
pub async fn serve(replica: &Replica) -> String {
    let routes = SyncServer::builder(replica).allow_anonymous().router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/sync", listener.local_addr().expect("its address"));
    let app = Router::new().nest("/sync", routes);
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}
