//! Dependencies between the runtime's modules point one way.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// A module may use those before it.
const LAYERS: [&str; 11] = [
    "clock",
    "change",
    "presence",
    "types",
    "entity",
    "store",
    "replica",
    "sync",
    "transport",
    "server",
    "service",
];

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../grove-crdt/src")
}

fn rust_files(dir: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).expect("the source folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The top-level modules that a source text names by `crate::…`.
fn named(text: &str) -> BTreeSet<String> {
    let code: Vec<_> = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect();
    let code = code.join("\n");
    let mut names = BTreeSet::new();
    for (place, _) in code.match_indices("crate::") {
        let rest = &code[place + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            names.extend(heads(list));
        } else {
            names.insert(ident(rest));
        }
    }
    names
}

/// The first identifier of each item of a `{…}` list.
fn heads(list: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let mut depth = 0;
    let mut at_item = true;
    for (place, c) in list.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_item = true,
            c if at_item && (c.is_alphanumeric() || c == '_') => {
                heads.push(ident(&list[place..]));
                at_item = false;
            }
            _ => {}
        }
    }
    heads
}

fn ident(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

#[test]
fn no_module_uses_a_higher_one() {
    let mut files = Vec::new();
    rust_files(&source(), &mut files);
    let mut upward = Vec::new();
    for file in &files {
        let relative = file.strip_prefix(source()).expect("a file of the source folder");
        let module = relative
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or_default();
        let module = module.trim_end_matches(".rs");
        let Some(level) = LAYERS.iter().position(|layer| *layer == module) else {
            continue;
        };
        let text = fs::read_to_string(file).expect("a readable file");
        for name in named(&text) {
            if LAYERS
                .iter()
                .position(|layer| *layer == name)
                .is_some_and(|used| used > level)
            {
                upward.push(format!("{} uses {name}", relative.display()));
            }
        }
    }
    assert!(files.len() > 40, "the walk found only {} files", files.len());
    assert_eq!(upward, Vec::<String>::new());
}

#[test]
fn the_error_imports_no_other_module() {
    let text = fs::read_to_string(source().join("error.rs")).expect("error.rs");
    assert_eq!(named(&text), BTreeSet::new());
}

#[test]
fn the_walk_reads_lists_and_single_paths() {
    let text =
        "use crate::{\n    clock::{Hlc, NodeId},\n    store::row,\n};\nlet x = crate::sync::y;\n// crate::server\n";
    let expected = ["clock", "store", "sync"].map(str::to_owned);
    assert_eq!(named(text), BTreeSet::from(expected));
}
