//! The server that `load/hostile.sh` drives, and the client that looks at what is left of it.
//!
//! `load_server serve <folder>` serves a replica of documents in a SQLite file: under `/sync` as it comes, under `/open` without
//! limits of rates, so that whoever asks too often is not kept from it. It says where, and goes on until it is killed.
//!
//! `load_server check <folder> <url>` syncs with it, into another database, and compares the two.

use axum::Router;
use grove_crdt::{
    prelude::*,
    server::{Limits, SyncServer, SyncServerBuilder},
    sync::Peer,
};
use grove_crdt_tests::{connect, create_table, entities::document, new_database};
use sea_orm::{DatabaseConnection, EntityTrait as _, QueryOrder as _};

/// How many nodes there are that may sync: `edge-0` and so on, whose tokens are their names.
const EDGES: usize = 8;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_max_level(tracing::Level::INFO)
        .init();
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["serve", folder] => serve(folder).await,
        ["check", folder, url] => check(folder, url).await,
        _ => panic!("say `serve <folder>` or `check <folder> <url>`"),
    }
}

async fn database(folder: &str) -> DatabaseConnection {
    connect(&format!("sqlite://{folder}/hub.db?mode=rwc")).await
}

async fn serve(folder: &str) {
    let db = database(folder).await;
    create_table(&db, document::Entity).await.expect("the table");
    let hub = Replica::builder("hub").entity::<document::Entity>().open(db).await;
    let hub = hub.expect("a replica");
    let guarded = |limits| -> SyncServerBuilder<_> {
        let edges = (0..EDGES).map(|n| format!("edge-{n}"));
        let tokens = edges.map(|name| {
            (
                name.clone(),
                Peer::new(&name).bound_to(name.parse().expect("a node id")),
            )
        });
        let server = SyncServer::builder(&hub).limits(limits).bearer_tokens(tokens);
        let server = server.expect("different tokens");
        server.cors_origins(["https://app.example"]).expect("an origin")
    };
    let open = Limits::default().request_rate(None).failure_rate(None);
    let app = Router::new()
        .nest("/sync", guarded(Limits::default()).router())
        .nest("/open", guarded(open).router());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    println!("http://{}", listener.local_addr().expect("its address"));
    axum::serve(listener, app).await.expect("a server");
}

async fn check(folder: &str, url: &str) {
    let own = new_database().await;
    create_table(&own, document::Entity).await.expect("the table");
    let edge = Replica::builder("edge-7").entity::<document::Entity>();
    let edge = edge.open(own).await.expect("a replica");
    let hub = HttpTransport::new(&format!("{url}/sync")).and_then(|way| way.bearer_token("edge-7"));
    let syncer = Syncer::builder(&edge)
        .peer(hub.expect("a URL"))
        .build()
        .expect("a syncer");
    let doc = document::ActiveModel {
        id: sea_orm::ActiveValue::Set("pushed afterwards".to_owned()),
        title: sea_orm::ActiveValue::Set("all is well".to_owned()),
        view_count: sea_orm::ActiveValue::Set(0),
        tags: sea_orm::ActiveValue::Set(OrSet::new()),
        author: sea_orm::ActiveValue::Set(None),
    };
    doc.insert(&edge).await.expect("a document");
    let report = syncer.sync().await.expect("a sync");
    let documents = async |db: &DatabaseConnection| {
        let all = document::Entity::find()
            .order_by_asc(document::Column::Id)
            .all(db)
            .await;
        all.expect("documents")
    };
    let (here, there) = (
        documents(edge.connection()).await,
        documents(&database(folder).await).await,
    );
    assert!(here == there, "{} documents were pulled of {}", here.len(), there.len());
    assert!(here.iter().any(|doc| doc.id == "pushed afterwards"));
    println!("{report}, {} documents", here.len());
}
