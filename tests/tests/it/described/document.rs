//! The document itself.

use std::path::Path;

use serde_json::Value as Json;

use super::{DOCUMENT, escaped, validate};

/// Set to write the document that is checked in, rather than to compare it.
const UPDATE: &str = "GROVE_UPDATE_OPENAPI";

#[test]
fn the_document_that_is_checked_in_is_the_one_produced() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/openapi.json");
    let produced = grove_crdt::server::openapi().to_pretty_json().unwrap() + "\n";
    if std::env::var_os(UPDATE).is_some() {
        std::fs::write(&path, &produced).unwrap();
    }
    let checked_in = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        produced == checked_in,
        "docs/openapi.json is not what the library produces; write it anew with\n\
         {UPDATE}=1 cargo test -p grove-crdt-tests --test it described::document"
    );
}

/// Every place in the document, by its pointer.
fn places() -> Vec<(String, &'static Json)> {
    let mut places = vec![(String::new(), &*DOCUMENT)];
    let mut next = 0;
    while let Some((pointer, value)) = places.get(next).cloned() {
        next += 1;
        match value {
            Json::Object(map) => {
                places.extend(
                    map.iter()
                        .map(|(key, value)| (format!("{pointer}/{}", escaped(key)), value)),
                );
            }
            Json::Array(items) => {
                let items = items.iter().enumerate();
                places.extend(items.map(|(index, value)| (format!("{pointer}/{index}"), value)));
            }
            _ => {}
        }
    }
    places
}

#[test]
fn every_reference_leads_somewhere_and_every_component_is_referred_to() {
    let mut referred: Vec<_> = places()
        .into_iter()
        .filter(|(pointer, _)| pointer.ends_with("/$ref"))
        .map(|(_, target)| target.as_str().unwrap().trim_start_matches('#'))
        .collect();
    for target in &referred {
        assert!(DOCUMENT.pointer(target).is_some(), "{target}");
    }
    // What is answered where nothing is belongs to no operation.
    referred.extend([
        "/components/responses/NotFound",
        "/components/responses/MethodNotAllowed",
    ]);
    for kind in ["schemas", "responses", "parameters"] {
        for name in DOCUMENT["components"][kind].as_object().unwrap().keys() {
            let own = format!("/components/{kind}/{name}");
            assert!(referred.contains(&own.as_str()), "nothing refers to {own}");
        }
    }
}

#[test]
fn every_example_is_of_the_form_it_is_an_example_of() {
    let mut seen = 0;
    for (pointer, content) in places() {
        let (parent, _) = pointer.rsplit_once('/').unwrap_or_default();
        if !parent.ends_with("/content") {
            continue;
        }
        let several = content.get("examples").and_then(Json::as_object);
        let several = several
            .into_iter()
            .flat_map(serde_json::Map::values)
            .map(|example| &example["value"]);
        for example in content.get("example").into_iter().chain(several) {
            seen += 1;
            validate(&format!("{pointer}/schema"), example).unwrap();
        }
    }
    assert!(seen > 20, "{seen}");
}

/// Schemas that are derived have the docs of the types, which are written for readers of Rust.
#[test]
fn no_description_speaks_rust() {
    for (pointer, text) in places() {
        let Some(text) = text.as_str().filter(|_| pointer.ends_with("/description")) else {
            continue;
        };
        let rust = ["[`", "::", "```\n#", "`None`", "Option<"];
        assert!(!rust.iter().any(|part| text.contains(part)), "{pointer}: {text}");
    }
}
