//! Who else is on a document, and where: presence is shared while it lasts, and never stored.
//!
//! With [axum_server](./axum_server.rs) running, in two terminals:
//!
//! ```sh
//! cargo run --example presence -- --name Ada
//! cargo run --example presence -- --name Grace
//! ```
//!
//! Each line that is typed moves the one who types it to that line; Ctrl-C leaves.

use std::error::Error;

use clap::Parser;
use grove_crdt::{
    prelude::*,
    presence::{PresenceData, PresenceItem, PresenceKind},
};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio_util::sync::CancellationToken;

mod document;

/// Shows who is on a document.
#[derive(Parser)]
struct Args {
    /// Who is here. It makes the node's id, so let no two have the same.
    #[arg(long)]
    name: String,
    /// The document's id.
    #[arg(long, default_value = "doc-1")]
    document: String,
    /// Whom to be present at.
    #[arg(long, default_value = "http://127.0.0.1:3000/sync")]
    server: String,
    /// The bearer token to send.
    #[arg(long, default_value = "secret", env = "GROVE_TOKEN")]
    token: String,
}

/// What each tells of themselves.
#[derive(Deserialize, Serialize)]
struct Place {
    name: String,
    line: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Args {
        name,
        document,
        server,
        token,
    } = Args::parse();
    let replica = document::open(&format!("presence-{name}"), "sqlite::memory:").await?;
    let server = HttpTransport::new(&server)?.named("cloud").bearer_token(&token)?;
    let syncer = Syncer::builder(&replica).peer(server).build()?;
    let stop = CancellationToken::new();
    let running = tokio::spawn({
        let stop = stop.clone();
        async move { syncer.run(stop).await }
    });

    let topic = format!("documents:{document}");
    let place = |line: String| Place {
        name: name.clone(),
        line,
    };
    let mut everybody = replica.presence().subscribe(&topic);
    let here = replica.presence().join(&topic, place("1".to_owned()))?;
    let mut input = BufReader::new(tokio::io::stdin()).lines();
    loop {
        tokio::select! {
            Some(item) = everybody.next() => show(item),
            line = input.next_line() => match line? {
                Some(line) => here.update(place(line))?,
                // No more lines: only be there.
                None => break tokio::signal::ctrl_c().await?,
            },
            signal = tokio::signal::ctrl_c() => break signal?,
        }
    }
    drop(here);
    stop.cancel();
    running.await?;
    Ok(())
}

fn show(item: PresenceItem) {
    match item {
        PresenceItem::Snapshot(snapshot) => {
            println!("here: {}", snapshot.presences.len());
            for presence in snapshot.presences {
                println!("  {} is at {}", presence.node_id, told(Some(&presence.data)));
            }
        }
        PresenceItem::Event(event) => {
            let what = match event.kind {
                PresenceKind::Join => "came, and is at",
                PresenceKind::Update => "is at",
                _ => "left",
            };
            println!("{} {what} {}", event.node_id, told(event.data.as_ref()));
        }
        _ => {}
    }
}

/// What somebody tells; others may run another version, and tell something else.
fn told(data: Option<&PresenceData>) -> String {
    let place = data.and_then(|data| data.read::<Place>().ok());
    place.map_or_else(String::new, |Place { name, line }| format!("line {line} ({name})"))
}
