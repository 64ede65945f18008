//! The examples do what the README says: two nodes that edit apart, a server, a node that goes offline and comes back, and two
//! who see each other.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

/// How long anything may take, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// An example as it was built along with this test.
fn example(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("this test's file");
    // <target>/<profile>/deps/<this>
    let profile = this.ancestors().nth(2).expect("the profile's directory");
    let path = profile
        .join("examples")
        .join(name)
        .with_extension(std::env::consts::EXE_EXTENSION);
    assert!(path.exists(), "build it first: cargo build --example {name}");
    path
}

/// An example that runs until it is dropped.
struct Running {
    lines: Lines<BufReader<ChildStdout>>,
    input: Option<ChildStdin>,
    _process: Child,
}

impl Running {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut process = Command::new(example(name))
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        Self {
            lines: BufReader::new(process.stdout.take().expect("a pipe")).lines(),
            input: process.stdin.take(),
            _process: process,
        }
    }

    /// Waits for a line that has this in it, and returns it.
    async fn prints(&mut self, text: &str) -> String {
        let line = async {
            while let Some(line) = self.lines.next_line().await.expect("text") {
                if line.contains(text) {
                    return line;
                }
            }
            panic!("it has ended and not printed {text:?}");
        };
        timeout(PATIENCE, line)
            .await
            .unwrap_or_else(|_| panic!("it does not print {text:?}"))
    }

    async fn types(&mut self, line: &str) {
        let input = self.input.as_mut().expect("a pipe");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it reads");
    }
}

/// The server of the examples, on a file and a port of its own.
async fn server(dir: &Path) -> (Running, String) {
    let database = sqlite(dir, "cloud");
    let args = ["--database", &database, "--listen", "127.0.0.1:0", "--token", "tour"];
    let mut server = Running::start("axum_server", &args);
    let line = server.prints("listening at ").await;
    (server, line.trim_start_matches("listening at ").to_owned())
}

fn sqlite(dir: &Path, name: &str) -> String {
    format!("sqlite://{}?mode=rwc", dir.join(name).with_extension("db").display())
}

/// A node that keeps its documents in a file.
struct Edge {
    dir: TempDir,
    server: String,
}

impl Edge {
    async fn runs(&self, args: &[&str]) -> (bool, String) {
        let database = sqlite(self.dir.path(), "edge");
        let output = Command::new(example("edge_sync"))
            .args(["--database", &database, "--server", &self.server, "--token", "tour"])
            .args(args)
            .output()
            .await
            .expect("it runs");
        let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
        (output.status.success(), text.concat())
    }

    async fn does(&self, args: &[&str]) -> String {
        let (ok, text) = self.runs(args).await;
        assert!(ok, "{args:?}: {text}");
        text
    }
}

async fn ask(request: reqwest::RequestBuilder) -> (u16, Value) {
    let answer = request.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("text");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn an_edge_goes_offline_and_comes_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let (cloud, url) = server(dir.path()).await;
    let http = reqwest::Client::new();
    let documents = format!("{url}/documents");
    let (one, other) = (format!("{documents}/doc-1"), format!("{documents}/doc-2"));
    let new = json!({ "id": "doc-1", "title": "Hello", "tags": ["new"] });
    let made = json!({ "id": "doc-1", "title": "Hello", "view_count": 0, "tags": ["new"] });
    assert_eq!(ask(http.post(&documents).json(&new)).await, (201, made));
    assert_eq!(ask(http.post(&documents).json(&new)).await.0, 409);
    assert_eq!(ask(http.get(&other)).await.0, 404);

    let edge = Edge {
        dir: tempfile::tempdir().expect("a directory"),
        server: format!("{url}/sync"),
    };
    assert_eq!(edge.does(&["sync"]).await, "pulled=1 pushed=0 merged=1 conflicts=0\n");

    // Both go on while they are apart.
    drop(cloud);
    let (ok, text) = edge.runs(&["sync"]).await;
    assert!(!ok && text.starts_with("offline: "), "{text}");
    edge.does(&["add", "doc-2", "Written on a train"]).await;
    edge.does(&["view", "doc-1"]).await;
    edge.does(&["tag", "doc-1", "read"]).await;
    edge.does(&["untag", "doc-1", "new"]).await;
    let (cloud, url) = server(dir.path()).await;
    let edge = Edge {
        server: format!("{url}/sync"),
        ..edge
    };
    let one = one.replace(one.split("/documents").next().unwrap_or_default(), &url);
    let edit = json!({ "title": "Hello from the cloud", "add_tags": ["seen"] });
    assert_eq!(ask(http.patch(&one).json(&edit)).await.0, 200);
    assert_eq!(ask(http.get(&one)).await.0, 200);

    edge.does(&["sync"]).await;
    let expected = json!([
        { "id": "doc-1", "title": "Hello from the cloud", "view_count": 2, "tags": ["read", "seen"] },
        { "id": "doc-2", "title": "Written on a train", "view_count": 0, "tags": [] },
    ]);
    assert_eq!(ask(http.get(format!("{url}/documents"))).await, (200, expected));
    let list = edge.does(&["list"]).await;
    assert!(
        list.contains(r#"doc-1      2 Hello from the cloud           {"read", "seen"}"#),
        "{list}"
    );
    let inspected = edge.does(&["inspect", "doc-1"]).await;
    assert!(
        inspected.contains("view_count (counter): 2 [cloud: +1 -0] [edge-1: +1 -0]"),
        "{inspected}"
    );

    // Live: what is written there shows here.
    let database = sqlite(edge.dir.path(), "edge");
    let args = [
        "--database",
        &database,
        "--server",
        &edge.server,
        "--token",
        "tour",
        "watch",
    ];
    let mut watching = Running::start("edge_sync", &args);
    watching.prints("documents of edge-1: 2").await;
    assert_eq!(ask(http.delete(format!("{url}/documents/doc-2"))).await.0, 204);
    watching.prints("documents of edge-1: 1").await;

    let metrics = http.get(format!("{url}/sync/metrics")).bearer_auth("tour");
    let (status, metrics) = ask(metrics).await;
    assert_eq!(status, 200);
    let metrics = metrics.as_str().unwrap_or_default();
    assert!(
        metrics.contains(r#"grove_crdt_changes_sent_total{by="stream"}"#),
        "{metrics}"
    );
    drop(cloud);
}

#[tokio::test]
async fn two_see_each_other() {
    let dir = tempfile::tempdir().expect("a directory");
    let (_cloud, url) = server(dir.path()).await;
    let sync = format!("{url}/sync");
    let start = |name| Running::start("presence", &["--name", name, "--server", &sync, "--token", "tour"]);
    let mut ada = start("Ada");
    ada.prints("presence-Ada").await;
    let mut grace = start("Grace");
    ada.prints("presence-Grace came, and is at line 1 (Grace)").await;
    grace.prints("presence-Ada").await;
    grace.types("42").await;
    ada.prints("presence-Grace is at line 42 (Grace)").await;
    drop(grace);
    ada.prints("presence-Grace left").await;
}

/// Runs the quickstart and returns what it printed.
async fn quickstart(dir: &Path) -> String {
    let output = Command::new(example("quickstart")).arg("--dir").arg(dir).output().await;
    let output = output.expect("it runs");
    let [stdout, stderr] = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}

#[track_caller]
fn has(stdout: &str, times: usize, line: &str) {
    let found = stdout.lines().filter(|printed| printed.contains(line)).count();
    assert_eq!(found, times, "times that {line:?} is in\n{stdout}");
}

#[tokio::test]
async fn two_runs_on_the_same_files_converge() {
    let dir = tempfile::tempdir().expect("a directory");

    let first = quickstart(dir.path()).await;
    has(&first, 1, "before: pulled=1 pushed=0 merged=1 conflicts=0");
    has(&first, 1, "apart:  cloud 3, edge 5");
    has(&first, 1, "after:  pulled=4 pushed=4 merged=4 conflicts=1");
    has(&first, 1, "CRDT State for documents[doc-1]");
    has(&first, 1, "view_count (counter): 8 [cloud: +3 -0] [edge: +5 -0]");
    has(&first, 1, r#"tags (set): ["crdt", "run-1"]"#);
    has(&first, 2, "doc-1      8 Hello from the edge, run 1");
    has(&first, 2, "cloud-1    0 Written in the cloud");
    has(&first, 2, "edge-1     0 Written at the edge");
    has(&first, 1, "the tables are equal");

    let second = quickstart(dir.path()).await;
    // Nothing is sent again: the edge remembers how far it had come.
    has(&second, 1, "before: pulled=0 pushed=0 merged=0 conflicts=0");
    has(&second, 1, "apart:  cloud 11, edge 13");
    has(&second, 1, "view_count (counter): 16 [cloud: +6 -0] [edge: +10 -0]");
    has(&second, 2, "doc-1     16 Hello from the edge, run 2");
    has(&second, 2, "cloud-1    0 Written in the cloud");
    has(&second, 2, "edge-2     0 Written at the edge");
    has(&second, 1, "the tables are equal");
}
