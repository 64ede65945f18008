//! A change that is too large for where it should go, without what makes it large.

use std::io;

use serde::{Deserialize, Serialize};

use crate::{change::Change, clock::Hlc};

/// The most fields that are named.
const MAX_FIELDS: usize = 10;

/// The longest text that is kept of a notice, in bytes: more than any key, name of a field or cell has.
const MAX_TEXT: usize = 512;

/// A notice of a change that is larger than whoever should have it takes: it stands in the change's place, without the value.
///
/// ```json
/// {"table":"documents","pk":"doc-1","fields":["body"],"epoch":1,
///  "hlc":{"ts":1730000000000000,"c":0,"node":"node-1"},"bytes":73400320}
/// ```
// It has no `crdt_type`, so that it is never taken for a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(expecting = "a notice of a change, which is a JSON object")]
pub struct Omitted {
    /// The table's name.
    pub table: String,
    /// The row's key as text.
    pub pk: String,
    /// The fields that make the change large. Of a change that holds several, each that takes a tenth of it or more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// The cell within the field.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub cell: String,
    /// The record's causal length at the time of writing.
    #[cfg_attr(feature = "openapi", schema(format = "uint32", maximum = 4_294_967_295_i64))]
    pub epoch: u32,
    /// When it was written.
    pub hlc: Hlc,
    /// How large the change is as JSON, in bytes.
    #[cfg_attr(feature = "openapi", schema(minimum = 0))]
    pub bytes: u64,
}

impl Omitted {
    /// The notice of a change of so many bytes.
    pub(crate) fn of(change: &Change, bytes: usize) -> Self {
        Self {
            table: change.table.clone(),
            pk: change.pk.clone(),
            fields: large_fields(change, bytes),
            cell: change.cell.clone(),
            epoch: change.epoch,
            hlc: change.hlc.clone(),
            bytes: bytes as u64,
        }
        .bounded()
    }

    /// The same, with nothing in it that is longer than it can be.
    pub(crate) fn bounded(mut self) -> Self {
        self.fields.truncate(MAX_FIELDS);
        let texts = [&mut self.table, &mut self.pk, &mut self.cell];
        for text in texts.into_iter().chain(&mut self.fields) {
            text.truncate(text.floor_char_boundary(MAX_TEXT));
        }
        self
    }

    /// What is large, for people: the fields and how many bytes.
    pub(crate) fn describe(&self) -> String {
        let Self { table, bytes, .. } = self;
        match self.fields.as_slice() {
            [] => format!("a change of `{table}` has {bytes} bytes as JSON"),
            fields => format!(
                "a change of `{table}`, field `{}`, has {bytes} bytes as JSON",
                fields.join("`, `")
            ),
        }
    }
}

/// The fields that take the most of a change.
fn large_fields(change: &Change, bytes: usize) -> Vec<String> {
    if !change.field.is_empty() {
        return vec![change.field.clone()];
    }
    let kinds = change.value.as_ref().and_then(serde_json::Value::as_object);
    let fields = kinds
        .into_iter()
        .flat_map(|kinds| kinds.values())
        .filter_map(serde_json::Value::as_object);
    let large = fields
        .flatten()
        .filter(|(_, value)| size(value).saturating_mul(10) >= bytes);
    large.map(|(field, _)| field.clone()).take(MAX_FIELDS).collect()
}

/// How many bytes something has as JSON.
pub(crate) fn size(value: &impl Serialize) -> usize {
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, value) {
        Ok(()) => count.0,
        // What can't be written is told by whoever writes it.
        Err(_) => usize::MAX,
    }
}

struct Count(usize);

impl io::Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;

    fn change(parts: &Json) -> Change {
        let mut whole = json!({
            "table": "notes", "pk": "a", "epoch": 1, "hlc": { "ts": 1, "c": 0, "node": "n" }, "node_id": "n",
        });
        let parts = parts.as_object().cloned().unwrap_or_default();
        whole.as_object_mut().unwrap().extend(parts);
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_notice_names_what_is_large_and_is_no_change() {
        let long = "x".repeat(1_000);
        let field = change(&json!({ "crdt_type": "lww", "field": "title", "value": long }));
        let birth = change(&json!({
            "crdt_type": "record",
            "value": { "lww": { "short": "x", "title": long }, "set": { "tags": [long, long] } },
        }));
        for (change, fields) in [(field, vec!["title"]), (birth, vec!["title", "tags"])] {
            let bytes = size(&change);
            assert_eq!(bytes, serde_json::to_string(&change).unwrap().len());
            let notice = Omitted::of(&change, bytes);
            assert_eq!(notice.fields, fields);
            let text = serde_json::to_string(&notice).unwrap();
            assert!(text.len() < 300, "{text}");
            assert!(serde_json::from_str::<Change>(&text).is_err());
            assert_eq!(serde_json::from_str::<Omitted>(&text).unwrap(), notice);
        }
    }

    #[test]
    fn a_notice_from_elsewhere_is_kept_short() {
        let long = "ü".repeat(10_000);
        let notice = Omitted {
            table: "notes".into(),
            pk: long.clone(),
            fields: vec![long.clone(); 1_000],
            cell: long,
            epoch: 1,
            hlc: Hlc::baseline(),
            bytes: u64::MAX,
        };
        assert!(size(&notice.bounded()) < 8_000);
    }
}
