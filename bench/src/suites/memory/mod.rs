//! How much memory a process takes while it syncs. Each role is a process of its own, started from this very program.

mod reading;
mod role;

use std::process::Stdio;

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader, Lines},
    process::{Child, ChildStdout, Command},
};

use crate::{
    database::SqliteFile,
    harness::{Bench, Case, Target, Unit, skip},
    suites::node::Node,
};

use reading::Reading;
pub(crate) use role::Role;

/// How many bytes a sync may take beside what the idle process has.
const MOST: f64 = 64e6;

/// How much more the second half of a sync may take than the first: next to nothing.
const FLAT: f64 = 1.1;

pub(super) async fn run(bench: &mut Bench) -> anyhow::Result<()> {
    if let Err(error) = reading::resident() {
        skip("memory", &error);
        return Ok(());
    }
    let cells = bench.size(1_000_000, 2_000);
    let full = Node::filled("full", cells).await?.close().await?;
    for (name, hub, edge) in [
        ("pulled", full.copy()?, Node::empty("empty").await?.close().await?),
        ("pushed", Node::empty("empty").await?.close().await?, full),
    ] {
        let [server, client] = sync(&hub, &edge, cells).await?;
        for (role, reading) in [("server", server), ("client", client)] {
            record(bench, &format!("{name}, the {role}"), &reading);
        }
    }
    Ok(())
}

fn record(bench: &mut Bench, name: &str, reading: &Reading) {
    let above = reading.peak() - reading.idle;
    bench.record_alone(
        format!("{name}: above idle"),
        Unit::Bytes,
        Some(Target::AtMost(MOST)),
        &[above],
    );
    let case = Case::new(format!("{name}: second half"), Unit::Bytes, "the first half");
    bench.record(
        case.target(Target::Times(FLAT)),
        &[(reading.halves[1], reading.halves[0])],
    );
}

/// Syncs two files, each in a process of its own, and returns what the server and the client took.
async fn sync(hub: &SqliteFile, edge: &SqliteFile, cells: usize) -> anyhow::Result<[Reading; 2]> {
    let serve = Role::Serve { file: hub.path() };
    let mut server = Process::start(&serve)?;
    let url = server.line().await?;
    let mut client = Process::start(&Role::Sync { file: edge.path(), url })?;
    let moved = client.line().await?;
    ensure!(moved == cells.to_string(), "{moved} changes travelled, not {cells}");
    let of_client = client.end().await?;
    Ok([server.end().await?, of_client])
}

/// A process in one of the roles. It ends when its input does.
struct Process {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Process {
    fn start(role: &Role) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(role.arguments())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().context("a process without output")?;
        let lines = BufReader::new(output).lines();
        Ok(Self { child, lines })
    }

    /// The next line that it says.
    async fn line(&mut self) -> anyhow::Result<String> {
        let line = self.lines.next_line().await?;
        line.context("a process ended before it had said what it was to say")
    }

    /// Tells it to end, and returns what it says last.
    async fn end(mut self) -> anyhow::Result<Reading> {
        drop(self.child.stdin.take());
        let reading = serde_json::from_str(&self.line().await?)?;
        let status = self.child.wait().await?;
        ensure!(status.success(), "a process ended with {status}");
        Ok(reading)
    }
}
