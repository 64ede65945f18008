//! The quickstart example does what it shows, twice on the same files.

use std::{
    path::Path,
    process::{Command, Output},
};

/// Builds the example if it is not up to date, as this test was built, and runs it.
fn quickstart(dir: &Path) -> Output {
    let this = std::env::current_exe().expect("this test's file");
    // <target>/<profile>/deps/<this>
    let mut above = this.ancestors().skip(2);
    let profile = above.next().and_then(Path::file_name).expect("the profile's directory");
    let target = above.next().expect("the target directory");
    let profile = if profile == "debug" { "dev".as_ref() } else { profile };
    Command::new(env!("CARGO"))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["run", "--quiet", "--example", "quickstart", "--target-dir"])
        .args([target.as_os_str(), "--profile".as_ref(), profile])
        .args(["--".as_ref(), "--dir".as_ref(), dir])
        .output()
        .expect("cargo runs")
}

/// Runs the example and returns what it printed.
#[track_caller]
fn successful(dir: &Path) -> String {
    let output = quickstart(dir);
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{stdout}\n{stderr}", output.status);
    stdout
}

#[track_caller]
fn has(stdout: &str, times: usize, line: &str) {
    let found = stdout.lines().filter(|printed| printed.contains(line)).count();
    assert_eq!(found, times, "times that {line:?} is in\n{stdout}");
}

#[test]
fn two_runs_on_the_same_files_converge() {
    let dir = tempfile::tempdir().expect("a directory");

    let first = successful(dir.path());
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

    let second = successful(dir.path());
    // Nothing is sent again: the edge remembers how far it had come.
    has(&second, 1, "before: pulled=0 pushed=0 merged=0 conflicts=0");
    has(&second, 1, "apart:  cloud 11, edge 13");
    has(&second, 1, "view_count (counter): 16 [cloud: +6 -0] [edge: +10 -0]");
    has(&second, 2, "doc-1     16 Hello from the edge, run 2");
    has(&second, 2, "cloud-1    0 Written in the cloud");
    has(&second, 2, "edge-2     0 Written at the edge");
    has(&second, 1, "the tables are equal");
}
