//! The JSON of states, as shadow tables keep it and as it travels.

use std::{borrow::Borrow, collections::BTreeMap, fmt};

use serde::Deserialize as _;
use serde_json::{Map, Value as Json};

use crate::{
    clock::NodeId,
    types::{Birth, BirthValue, Element, Kind, Tags, Totals, exact_i64, json, set::element_key},
};

/// A birth: its values by field, grouped by kind, so that a node which does not know a field can merge it.
pub(crate) fn birth_json(birth: &Birth) -> Json {
    let mut groups = Map::new();
    for (field, born) in birth {
        let group = groups
            .entry(born.kind.as_str())
            .or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(group) = group {
            group.insert(field.to_string(), born.value.clone());
        }
    }
    Json::Object(groups)
}

/// The canonical text of [`birth_json`].
pub(crate) fn birth_text(birth: &Birth) -> String {
    let mut values: Vec<_> = birth.iter().collect();
    // The fields of each kind stay in their order.
    values.sort_by_key(|(_, born)| born.kind.as_str());
    ordered_birth_text(
        values
            .into_iter()
            .map(|(field, born)| (born.kind, field.as_str(), &born.value)),
    )
}

/// The same of values that come in the order of their kinds' names, and those of one kind in that of their own.
pub(crate) fn ordered_birth_text<'a, V: Borrow<Json>>(values: impl Iterator<Item = (Kind, &'a str, V)>) -> String {
    json::text(|out| {
        let mut group = None;
        out.push(b'{');
        for (kind, field, value) in values {
            if group == Some(kind) {
                out.push(b',');
            } else {
                if group.is_some() {
                    out.extend(b"},");
                }
                json::write_key(kind.as_str(), out);
                out.push(b'{');
                group = Some(kind);
            }
            json::write_key(field, out);
            json::write_canonical(value.borrow(), out);
        }
        if group.is_some() {
            out.push(b'}');
        }
        out.push(b'}');
    })
}

/// The part of [`birth_text`] that says what it gives to an `lww` field.
pub(crate) fn birth_member(field: &str, value: &Json) -> String {
    json::text(|out| {
        json::write_key(field, out);
        json::write_canonical(value, out);
    })
}

/// Why a birth can't be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BadBirth {
    /// It has fields of a kind that is not known here; a later version may know it.
    UnknownKind(String),
    Malformed(String),
}

impl fmt::Display for BadBirth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => write!(f, "field kind `{kind}` is not known here"),
            Self::Malformed(detail) => f.write_str(detail),
        }
    }
}

/// The way back, or what is wrong.
pub(crate) fn parse_birth(json: Json) -> Result<Birth, BadBirth> {
    check_birth(&json)?;
    let mut birth = Birth::new();
    let Json::Object(groups) = json else {
        return Ok(birth);
    };
    for (name, group) in groups {
        if let (Ok(kind), Json::Object(values)) = (name.parse::<Kind>(), group) {
            birth.extend(
                values
                    .into_iter()
                    .map(|(field, value)| (field.into(), BirthValue { kind, value })),
            );
        }
    }
    Ok(birth)
}

/// The values of what was [found](check_birth) to be a birth, with their kinds and fields.
pub(crate) fn birth_values(json: &Json) -> impl Iterator<Item = (Kind, &str, &Json)> {
    let groups = json.as_object().into_iter().flatten();
    let known = groups.filter_map(|(name, group)| Some((name.parse::<Kind>().ok()?, group.as_object()?)));
    known.flat_map(|(kind, values)| values.iter().map(move |(field, value)| (kind, field.as_str(), value)))
}

/// What keeps a value from being that of a birth.
pub(crate) fn check_birth(json: &Json) -> Result<(), BadBirth> {
    let malformed = |detail: String| Err(BadBirth::Malformed(detail));
    let Json::Object(groups) = json else {
        return malformed("a birth is a JSON object".into());
    };
    for (name, group) in groups {
        let kind: Kind = name.parse().map_err(|()| BadBirth::UnknownKind(name.clone()))?;
        let Json::Object(values) = group else {
            return malformed(format!("the `{name}` values of a birth are a JSON object"));
        };
        for (field, value) in values {
            let fits = match kind {
                Kind::Lww => true,
                Kind::Counter => exact_i64(value).is_some(),
                Kind::Set => value.is_array(),
            };
            if !fits {
                return malformed(format!("field `{field}`: {value} is no {kind}"));
            }
            let mut others = groups.iter().filter(|(other, _)| *other != name);
            if others.any(|(_, group)| group.get(field).is_some()) {
                return malformed(format!("field `{field}` is given twice"));
            }
        }
    }
    Ok(())
}

/// A counter's totals.
pub(crate) fn parse_totals(json: &Json) -> Result<Totals, String> {
    Totals::deserialize(json).map_err(|error| error.to_string())
}

/// The per-node tags of a set element.
pub(crate) fn tags_json(element: &Element) -> Json {
    let nodes = element.nodes.iter().map(|(node, tags)| {
        let mut parts = Map::new();
        for (name, point) in [("add", tags.add), ("rem", tags.rem)] {
            if let Some((ts, counter)) = point {
                parts.insert(name.into(), Json::from(vec![Json::from(ts), Json::from(counter)]));
            }
        }
        (node.to_string(), Json::Object(parts))
    });
    Json::Object(nodes.collect())
}

/// An element from its value and its tags.
pub(crate) fn parse_element(value: Json, tags: &Json) -> Result<Element, String> {
    let nodes: BTreeMap<NodeId, Tags> = BTreeMap::deserialize(tags).map_err(|error| error.to_string())?;
    Ok(Element { value, nodes })
}

/// The value of an element whose cell key says it already, `None` when the key is a hash.
pub(crate) fn element_of_key(key: &str) -> Option<Json> {
    let value: Json = serde_json::from_str(key).ok()?;
    (element_key(&value) == key).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Hlc, types::canonical};
    use serde_json::json;

    #[test]
    fn a_birth_is_grouped_by_kind_and_comes_back() {
        let given = |kind, value| BirthValue { kind, value };
        let birth = Birth::from([
            ("title".into(), given(Kind::Lww, json!("t"))),
            ("views".into(), given(Kind::Counter, json!("9223372036854775807"))),
            ("tags".into(), given(Kind::Set, json!(["a", { "b": 1 }]))),
            ("note".into(), given(Kind::Lww, Json::Null)),
        ]);
        let json = birth_json(&birth);
        assert_eq!(canonical(&json), birth_text(&birth));
        assert_eq!(
            canonical(&json),
            r#"{"counter":{"views":"9223372036854775807"},"lww":{"note":null,"title":"t"},"set":{"tags":["a",{"b":1}]}}"#
        );
        let values = birth_values(&json);
        let values = values.map(|(kind, field, value)| (field.into(), given(kind, value.clone())));
        assert_eq!(values.collect::<Birth>(), birth);
        assert_eq!(parse_birth(json), Ok(birth));
        assert_eq!(birth_text(&Birth::new()), "{}");
        assert_eq!(parse_birth(birth_json(&Birth::new())), Ok(Birth::new()));
    }

    #[test]
    fn what_is_no_birth_is_told_from_what_is_one_of_a_later_version() {
        let unknown = parse_birth(json!({ "lww": { "title": 1 }, "list": { "x": [] } }));
        assert_eq!(unknown, Err(BadBirth::UnknownKind("list".into())));
        for bad in [
            json!(null),
            json!([]),
            json!({ "lww": [] }),
            json!({ "counter": { "x": 1.5 } }),
            json!({ "counter": { "x": "01" } }),
            json!({ "set": { "x": {} } }),
            json!({ "lww": { "x": 1 }, "set": { "x": [] } }),
        ] {
            assert!(matches!(parse_birth(bad.clone()), Err(BadBirth::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn an_elements_tags_come_back_and_say_no_more_than_they_must() {
        let at = |ts, node: &str| Hlc {
            ts,
            counter: 7,
            node: node.parse().unwrap(),
        };
        let mut element = Element::added(json!("x"), &at(1, "a"));
        element.remove();
        element.join(Element::added(json!("x"), &at(2, "b")));
        let tags = tags_json(&element);
        assert_eq!(canonical(&tags), r#"{"a":{"add":[1,7],"rem":[1,7]},"b":{"add":[2,7]}}"#);
        assert_eq!(parse_element(json!("x"), &tags), Ok(element));
        for bad in [
            json!([]),
            json!({ "a b": {} }),
            json!({ "a": { "add": [1] } }),
            json!({ "a": { "at": [1, 2] } }),
        ] {
            assert!(parse_element(json!("x"), &bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_short_element_is_its_own_key_and_a_hash_says_nothing() {
        for value in [
            json!("x"),
            json!(1),
            json!({ "b": 1, "a": [true, null] }),
            json!("\u{0}\n"),
        ] {
            assert_eq!(element_of_key(&element_key(&value)), Some(value));
        }
        assert_eq!(element_of_key(&element_key(&json!("x".repeat(200)))), None);
        assert_eq!(element_of_key(" 1"), None);
        assert_eq!(element_of_key("{\"b\":1,\"a\":2}"), None);
    }
}
