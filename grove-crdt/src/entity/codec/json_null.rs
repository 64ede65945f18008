//! JSON's own null, which is another value than no value.
//!
//! Since `null` is the form of no value, JSON's null is marked: `{"$json":null}`. So that this is the form of nothing else, what is
//! a marked null itself is marked once more. All other JSON is its own form.

use serde_json::{Map, Value as Json};

const MARK: &str = "$json";

/// What is marked, if it is null or a marked null.
fn marked(json: &Json) -> Option<&Json> {
    let inner = json.as_object().filter(|members| members.len() == 1)?.get(MARK)?;
    (inner.is_null() || marked(inner).is_some()).then_some(inner)
}

/// The form of JSON.
pub(super) fn form(json: &Json) -> Json {
    if json.is_null() || marked(json).is_some() {
        return Json::Object(Map::from_iter([(MARK.to_owned(), json.clone())]));
    }
    json.clone()
}

/// The JSON of a form, which is not `null`.
pub(super) fn json(form: &Json) -> &Json {
    marked(form).unwrap_or(form)
}
