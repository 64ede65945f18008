//! Whether a request is one that the document tells of.

use axum::http::header::CONTENT_ENCODING;
use serde_json::{Value as Json, json};

use super::{DOCUMENT, Exchange, escaped, validate};

/// # Errors
///
/// What the document does not tell of.
pub(super) fn check(exchange: &Exchange) -> Result<(), String> {
    let (operation, place) = exchange.operation();
    let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
    for (index, parameter) in parameters.iter().enumerate() {
        check_parameter(exchange, parameter, &format!("{place}/parameters/{index}"))?;
    }
    let described = operation.get("requestBody").is_some();
    if described && !exchange.head.contains_key(CONTENT_ENCODING) {
        let body = serde_json::from_slice(exchange.body).map_err(|error| format!("the request: {error}"))?;
        validate(&format!("{place}/requestBody/content/application~1json/schema"), &body)?;
    }
    Ok(())
}

fn check_parameter(exchange: &Exchange, parameter: &Json, place: &str) -> Result<(), String> {
    let (parameter, place) = match parameter.get("$ref").and_then(Json::as_str) {
        Some(reference) => {
            let pointer = reference.trim_start_matches('#');
            (DOCUMENT.pointer(pointer).expect("a parameter"), pointer)
        }
        None => (parameter, place),
    };
    let name = parameter["name"].as_str().expect("a name");
    let value = match parameter["in"].as_str() {
        Some("query") => in_query(exchange.query, name)?,
        Some("header") => exchange.head.get(name).map(|value| {
            let text = String::from_utf8_lossy(value.as_bytes());
            text.into_owned()
        }),
        other => return Err(format!("parameter {name} is in {other:?}")),
    };
    match value {
        None if parameter["required"] == json!(true) => Err(format!("parameter {name} is missing")),
        None => Ok(()),
        Some(text) => validate(&format!("{place}/schema"), &read(parameter, &text)),
    }
}

/// The value of a name in a query.
fn in_query(query: &str, name: &str) -> Result<Option<String>, String> {
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    let mut values = pairs
        .filter(|(own, _)| own == name)
        .map(|(_, value)| value.into_owned());
    let value = values.next();
    match values.next() {
        Some(_) => Err(format!("parameter {name} is there twice")),
        None => Ok(value),
    }
}

/// What a text stands for.
fn read(parameter: &Json, text: &str) -> Json {
    match parameter["schema"]["type"].as_str() {
        Some("array") if text.is_empty() => json!([]),
        Some("array") => json!(text.split(',').collect::<Vec<_>>()),
        Some("integer") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        _ => json!(text),
    }
}

/// One part of a path stays one.
#[test]
fn a_path_is_one_part_of_a_pointer() {
    assert_eq!(escaped("/a~b"), "~1a~0b");
}
