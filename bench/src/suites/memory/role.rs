use std::{ffi::OsString, io::Read as _, path::PathBuf};

use clap::Subcommand;
use grove_crdt::{sync::Syncer, transport::HttpTransport};

use crate::{database, documents::replicated, network::Served, suites::memory::reading::Recorder};

/// One side of a sync whose memory is looked at.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum Role {
    /// Serves a replica until the input ends
    Serve { file: PathBuf },
    /// Syncs a replica with a server
    Sync { file: PathBuf, url: String },
}

impl Role {
    /// The arguments by which a process is given this role.
    pub(super) fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["role".into()];
        match self {
            Self::Serve { file } => arguments.extend(["serve".into(), file.into()]),
            Self::Sync { file, url } => arguments.extend(["sync".into(), file.into(), url.into()]),
        }
        arguments
    }

    /// Plays it. What it says goes to the output, line by line: where it is or how many changes travelled, and at the end
    /// what it took.
    pub(crate) async fn play(self) -> anyhow::Result<()> {
        let reading = match self {
            Self::Serve { file } => {
                let replica = replicated::open("hub", database::connect_to(&file).await?).await?;
                let served = Served::new(&replica).await?;
                let recorder = Recorder::start()?;
                println!("{}", served.url);
                input_ends().await?;
                recorder.stop()?
            }
            Self::Sync { file, url } => {
                let replica = replicated::open("edge", database::connect_to(&file).await?).await?;
                let syncer = Syncer::builder(&replica).peer(HttpTransport::new(&url)?).build()?;
                let recorder = Recorder::start()?;
                let report = syncer.sync().await?;
                let reading = recorder.stop()?;
                println!("{}", report.pulled + report.pushed);
                reading
            }
        };
        println!("{}", serde_json::to_string(&reading)?);
        Ok(())
    }
}

async fn input_ends() -> anyhow::Result<()> {
    let read = || std::io::stdin().read_to_end(&mut Vec::new());
    tokio::task::spawn_blocking(read).await??;
    Ok(())
}
