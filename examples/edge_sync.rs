//! A node that goes offline and comes back: it keeps its documents in a file of its own, and syncs when it can.
//!
//! With [axum_server](./axum_server.rs) running:
//!
//! ```sh
//! cargo run --example edge_sync -- sync
//! cargo run --example edge_sync -- add doc-2 "Written on a train"
//! cargo run --example edge_sync -- tag doc-1 read
//! cargo run --example edge_sync -- list
//! cargo run --example edge_sync -- sync
//! cargo run --example edge_sync -- watch
//! ```

use std::{error::Error, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};
use document::{ActiveModel, Entity, Model};
use grove_crdt::prelude::*;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _};
use tokio_util::sync::CancellationToken;

mod document;

/// Keeps documents in a file, offline, and syncs them with a server.
#[derive(Parser)]
struct Args {
    /// This node's id: another one for each file.
    #[arg(long, default_value = "edge-1")]
    node: String,
    /// Where this node keeps its documents.
    #[arg(long, default_value = "sqlite://edge-1.db?mode=rwc")]
    database: String,
    /// Whom to sync with.
    #[arg(long, default_value = "http://127.0.0.1:3000/sync")]
    server: String,
    /// The bearer token to send.
    #[arg(long, default_value = "secret", env = "GROVE_TOKEN")]
    token: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows all documents.
    List,
    /// Shows where each value of a document comes from.
    Inspect { id: String },
    /// Writes a new document.
    Add { id: String, title: String },
    /// Changes a document's title.
    Title { id: String, title: String },
    /// Counts a view of a document.
    View { id: String },
    /// Adds a tag to a document.
    Tag { id: String, tag: String },
    /// Removes a tag from a document.
    Untag { id: String, tag: String },
    /// Deletes a document.
    Delete { id: String },
    /// Exchanges what is new, once.
    Sync,
    /// Keeps up with the server until Ctrl-C, and shows the documents whenever they change.
    Watch,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let args = Args::parse();
    let replica = document::open(&args.node, &args.database).await?;
    let server = HttpTransport::new(&args.server)?
        .named("cloud")
        .bearer_token(&args.token)?;
    let syncer = Syncer::builder(&replica).peer(server).build()?;
    match args.command {
        Command::List => show(&replica).await?,
        Command::Inspect { id } => println!("{}", replica.inspect::<Entity>(id.as_str()).await?),
        Command::Add { id, title } => {
            let document = ActiveModel {
                id: Set(id),
                title: Set(title),
                view_count: Set(0),
                tags: Set(OrSet::new()),
            };
            document.insert(&replica).await?;
        }
        Command::Title { id, title } => {
            let document = ActiveModel {
                title: Set(title),
                ..found(&replica, &id).await?
            };
            document.update(&replica).await?;
        }
        Command::View { id } => ActiveModel::increment_view_count(&replica, id.as_str(), 1)
            .await
            .map(drop)?,
        Command::Tag { id, tag } => edit_tags(&replica, &id, |tags| tags.insert(tag)).await?,
        Command::Untag { id, tag } => edit_tags(&replica, &id, |tags| tags.remove(&tag)).await?,
        Command::Delete { id } => {
            found(&replica, &id).await?;
            Entity::delete_by_id(id).exec(&replica).await.map(drop)?;
        }
        Command::Sync => match syncer.sync().await {
            Ok(report) => println!("{report}"),
            // Nothing is lost: what was written here goes with the next sync.
            Err(error) => {
                eprintln!("offline: {error}");
                return Ok(ExitCode::FAILURE);
            }
        },
        Command::Watch => watch(&replica, &syncer).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Exchanges live, and shows the documents at first and whenever they have changed.
async fn watch(replica: &Replica, syncer: &Syncer) -> Result<(), Box<dyn Error>> {
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let (syncer, stop) = (syncer.clone(), stop.clone());
        async move { syncer.run(stop).await }
    });
    let mut commits = replica.commits();
    loop {
        show(replica).await?;
        tokio::select! {
            changed = commits.changed() => changed?,
            signal = tokio::signal::ctrl_c() => break signal?,
        }
        // What comes in one go is shown in one.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    stop.cancel();
    running.await?;
    Ok(())
}

async fn edit_tags(
    replica: &Replica,
    id: &str,
    edit: impl FnOnce(&mut OrSet<String>) -> bool,
) -> Result<(), Box<dyn Error>> {
    let document = Entity::find_by_id(id).one(replica).await?;
    let Model { id, mut tags, .. } = document.ok_or_else(|| format!("there is no document `{id}`"))?;
    edit(&mut tags);
    let document = ActiveModel {
        id: Set(id),
        tags: Set(tags),
        ..Default::default()
    };
    document.update(replica).await?;
    Ok(())
}

/// A document that is there, to be changed.
async fn found(replica: &Replica, id: &str) -> Result<ActiveModel, Box<dyn Error>> {
    let document = Entity::find_by_id(id).one(replica).await?;
    let document = document.ok_or_else(|| format!("there is no document `{id}`"))?;
    Ok(ActiveModel {
        id: Set(document.id),
        ..Default::default()
    })
}

async fn show(replica: &Replica) -> Result<(), DbErr> {
    let documents = Entity::find().order_by_id_asc().all(replica).await?;
    println!("documents of {}: {}", replica.node_id(), documents.len());
    for document in documents {
        let Model {
            id,
            title,
            view_count,
            tags,
        } = document;
        println!("  {id:8} {view_count:3} {title:30} {tags:?}");
    }
    Ok(())
}
