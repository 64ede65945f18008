//! The application replicates: another node syncs with it, and both have the same documents.

use grove_crdt::{Replica, prelude::*};
use grove_crdt_loco_example::{app::App, initializers, migration::Migrator, models};
use loco_rs::{app::Hooks as _, boot::StartMode, config::Config, environment::Environment};
use sea_orm::{ActiveValue::Set, ConnectOptions, Database, DatabaseConnection, EntityTrait as _};
use sea_orm_migration::MigratorTrait as _;
use serde_json::{Value, json};

fn config(database: &str) -> Config {
    let config = json!({
        "logger": { "enable": false, "level": "off", "format": "compact" },
        "server": { "port": 0, "host": "http://localhost" },
        "database": {
            "uri": database, "enable_logging": false, "auto_migrate": true,
            "connect_timeout": 5000, "idle_timeout": 5000, "min_connections": 1, "max_connections": 4,
        },
        "workers": { "mode": "ForegroundBlocking" },
        "initializers": { "grove_crdt": { "node": "cloud", "token": "secret" } },
    });
    serde_json::from_value(config).expect("a configuration")
}

async fn documents(db: &DatabaseConnection) -> Vec<models::Model> {
    models::Entity::find()
        .order_by_id_asc()
        .all(db)
        .await
        .expect("documents")
}

#[tokio::test]
async fn another_node_syncs_with_the_application() {
    let dir = tempfile::tempdir().expect("a directory");
    let url = format!("sqlite://{}?mode=rwc", dir.path().join("cloud.db").display());
    let booted = App::boot(StartMode::ServerOnly, &Environment::Test, config(&url))
        .await
        .expect("it boots");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let router = booted.router.expect("routes");
    tokio::spawn(async move { axum::serve(listener, router).await });

    let mut options = ConnectOptions::new("sqlite::memory:");
    let db = Database::connect(options.max_connections(1).to_owned())
        .await
        .expect("memory");
    Migrator::up(&db, None).await.expect("the tables");
    let edge = Replica::builder("edge")
        .entity::<models::Entity>()
        .open(db.clone())
        .await
        .expect("a replica");
    let cloud = HttpTransport::new(&format!("{url}/sync"))
        .expect("a URL")
        .bearer_token("secret")
        .expect("a token");
    let syncer = Syncer::builder(&edge).peer(cloud).build().expect("a syncer");

    let http = reqwest::Client::new();
    let new = json!({ "id": "doc-1", "title": "From the application" });
    let made = http
        .post(format!("{url}/documents"))
        .json(&new)
        .send()
        .await
        .expect("an answer");
    assert_eq!(made.status(), 200);
    let written = models::ActiveModel {
        id: Set("doc-2".into()),
        title: Set("From the edge".into()),
        view_count: Set(0),
        tags: Set(OrSet::new()),
    };
    written.insert(&edge).await.expect("a document");
    let report = syncer.sync().await.expect("it syncs");
    assert_eq!(report.to_string(), "pulled=1 pushed=1 merged=1 conflicts=0");
    let at_edge = documents(&db).await;
    assert_eq!(at_edge.len(), 2);
    assert_eq!(documents(&booted.app_context.db).await, at_edge);
    let listed = http.get(format!("{url}/documents")).send().await.expect("an answer");
    let listed: Value = listed.json().await.expect("JSON");
    assert_eq!(listed, serde_json::to_value(&at_edge).expect("JSON"));

    initializers::shut_down(&booted.app_context).await;
    syncer.sync().await.expect_err("the application has ended");
}
