//! Two nodes edit the same document apart, sync over HTTP, and hold the same rows again.
//!
//! Run with
//!
//! ```sh
//! cargo run --example quickstart
//! cargo run --example quickstart -- --dir ./quickstart-data
//! ```
//!
//! Run it again on the same files, and it goes on from where it was.

use std::{error::Error, path::PathBuf, process::ExitCode};

use document::{ActiveModel, Column, Entity, Model};
use grove_crdt::prelude::*;
use sea_orm::{ActiveValue::Set, ConnectionTrait, Database, DbErr, Schema, entity::prelude::*};

/// An ordinary SeaORM entity. `#[crdt(…)]` says how each column merges.
mod document {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "documents")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(counter)]
        pub view_count: i64,
        #[crdt(set)]
        pub tags: OrSet<String>,
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let dir = directory()?;
    println!("files in {}", dir.display());
    let cloud = open("cloud", &dir).await?;
    let edge = open("edge", &dir).await?;

    // The name is what the edge remembers its peer by: here the port, and with it the URL, is another one in each run.
    let peer = HttpTransport::new(&serve(&cloud).await?)?.named("cloud");
    let syncer = Syncer::builder(&edge).peer(peer).build()?;

    // The document is born in the cloud, once, and comes to the edge. Each run adds a document of the cloud's own.
    if Entity::find_by_id("doc-1").one(&cloud).await?.is_none() {
        insert(&cloud, "doc-1", "Hello", ["crdt", "run-0"]).await?;
    }
    let run = 1 + Entity::find()
        .filter(Column::Id.starts_with("cloud-"))
        .count(&cloud)
        .await?;
    println!("run {run}\nbefore: {}", syncer.sync().await?);

    edit_in_the_cloud(&cloud, run).await?;
    edit_at_the_edge(&edge, run).await?;
    println!("apart:  cloud {}, edge {}", views(&cloud).await?, views(&edge).await?);

    println!("after:  {}", syncer.sync().await?);
    println!("\n{}", edge.inspect::<Entity>("doc-1").await?);
    let (in_cloud, at_edge) = (table(&cloud).await?, table(&edge).await?);
    show("cloud", &in_cloud);
    show("edge", &at_edge);
    if in_cloud != at_edge {
        eprintln!("the tables differ");
        return Ok(ExitCode::FAILURE);
    }
    println!("\nthe tables are equal");
    Ok(ExitCode::SUCCESS)
}

/// Three more views, a new title, a tag less, and a document of the cloud's own.
async fn edit_in_the_cloud(cloud: &Replica, run: u64) -> Result<(), DbErr> {
    ActiveModel::increment_view_count(cloud, "doc-1", 3).await?;
    let mut doc = find(cloud, "doc-1").await?;
    doc.tags.remove(&format!("run-{}", run - 1));
    let edited = ActiveModel {
        id: Set(doc.id),
        title: Set(format!("Hello from the cloud, run {run}")),
        tags: Set(doc.tags),
        ..Default::default()
    };
    edited.update(cloud).await?;
    insert(cloud, &format!("cloud-{run}"), "Written in the cloud", []).await
}

/// Five more views, another title, a tag more, and a document of the edge's own.
async fn edit_at_the_edge(edge: &Replica, run: u64) -> Result<(), DbErr> {
    ActiveModel::increment_view_count(edge, "doc-1", 5).await?;
    let mut doc = find(edge, "doc-1").await?;
    doc.tags.insert(format!("run-{run}"));
    let edited = ActiveModel {
        id: Set(doc.id),
        title: Set(format!("Hello from the edge, run {run}")),
        tags: Set(doc.tags),
        ..Default::default()
    };
    edited.update(edge).await?;
    insert(edge, &format!("edge-{run}"), "Written at the edge", ["offline"]).await
}

async fn insert<const N: usize>(db: &Replica, id: &str, title: &str, tags: [&str; N]) -> Result<(), DbErr> {
    let doc = ActiveModel {
        id: Set(id.to_owned()),
        title: Set(title.to_owned()),
        view_count: Set(0),
        tags: Set(OrSet::from(tags.map(str::to_owned))),
    };
    doc.insert(db).await?;
    Ok(())
}

async fn find(db: &Replica, id: &str) -> Result<Model, DbErr> {
    let doc = Entity::find_by_id(id).one(db).await?;
    doc.ok_or_else(|| DbErr::RecordNotFound(format!("document {id}")))
}

async fn views(db: &Replica) -> Result<i64, DbErr> {
    Ok(find(db, "doc-1").await?.view_count)
}

async fn table(db: &Replica) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by_id_asc().all(db).await
}

fn show(node: &str, rows: &[Model]) {
    println!("\ndocuments of {node}");
    for Model {
        id,
        title,
        view_count,
        tags,
    } in rows
    {
        println!("  {id:8} {view_count:3} {title:30} {tags:?}");
    }
}

/// Opens a node's replica on a SQLite file of its own, and creates its table first when the file is new.
async fn open(node: &str, dir: &std::path::Path) -> Result<Replica, Box<dyn Error>> {
    let db = Database::connect(format!(
        "sqlite://{}?mode=rwc",
        dir.join(node).with_extension("db").display()
    ))
    .await?;
    let mut create = Schema::new(db.get_database_backend()).create_table_from_entity(Entity);
    db.execute(create.if_not_exists()).await?;
    Ok(Replica::builder(node).entity::<Entity>().open(db).await?)
}

/// Serves a replica on a free port of this machine, and returns the URL to sync with.
async fn serve(replica: &Replica) -> Result<String, Box<dyn Error>> {
    // Only this machine can connect. On a network, use `bearer_tokens` or an authenticator of your own.
    let sync = SyncServer::builder(replica).allow_anonymous().router();
    let app = axum::Router::new().nest("/sync", sync);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/sync", listener.local_addr()?);
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(url)
}

/// The directory given by `--dir`, or one among the system's temporary files.
fn directory() -> Result<PathBuf, Box<dyn Error>> {
    let mut args = std::env::args_os().skip(1);
    let dir = match (args.next(), args.next(), args.next()) {
        (None, ..) => std::env::temp_dir().join("grove-crdt-quickstart"),
        (Some(flag), Some(dir), None) if flag == "--dir" => dir.into(),
        _ => return Err("usage: quickstart [--dir DIR]".into()),
    };
    std::fs::create_dir_all(&dir)?;
    Ok(dir)
}
