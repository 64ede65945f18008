//! One text for one JSON value, and integers that a JavaScript reader gets exactly.

use std::cmp::Ordering;

use serde_json::Value as Json;

/// The greatest integer up to which a JavaScript number is exact.
const MAX_EXACT: i64 = 1 << 53;

#[cfg(test)]
thread_local! {
    /// How many canonical texts were made: of work on sets, that is what counts.
    pub(super) static TEXTS: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// The value's canonical text: no white space, object keys in byte order.
pub(crate) fn canonical(value: &Json) -> String {
    #[cfg(test)]
    TEXTS.set(TEXTS.get() + 1);
    text(|out| write_canonical(value, out))
}

/// The text that is written as JSON.
pub(super) fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::with_capacity(128);
    write(&mut out);
    // JSON is made of texts, and texts are UTF-8.
    String::from_utf8(out).unwrap_or_default()
}

/// As [`canonical`], to the end of a text.
pub(super) fn write_canonical(value: &Json, out: &mut Vec<u8>) {
    match value {
        Json::Array(items) => {
            out.push(b'[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_canonical(item, out);
            }
            out.push(b']');
        }
        Json::Object(map) => {
            let mut members: Vec<_> = map.iter().collect();
            members.sort_unstable_by_key(|(key, _)| key.as_str());
            out.push(b'{');
            for (index, (key, value)) in members.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                write_key(key, out);
                write_canonical(value, out);
            }
            out.push(b'}');
        }
        // Only keys that are no texts, and writers that fail, make an error.
        scalar => drop(serde_json::to_writer(out, scalar)),
    }
}

/// Writes a member's key, up to its value.
pub(super) fn write_key(key: &str, out: &mut Vec<u8>) {
    // As above.
    drop(serde_json::to_writer(&mut *out, key));
    out.push(b':');
}

/// Whether two values have one canonical text.
pub(crate) fn is_same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Number(x), Json::Number(y)) => match (x.as_f64(), y.as_f64()) {
            // 0.0 and -0.0 are equal, and written differently.
            (Some(x), Some(y)) if a.is_f64() && b.is_f64() => x.to_bits() == y.to_bits(),
            _ => x == y,
        },
        (Json::Array(x), Json::Array(y)) => x.len() == y.len() && x.iter().zip(y).all(|(x, y)| is_same(x, y)),
        (Json::Object(x), Json::Object(y)) => {
            let is_in_other = |(key, value)| y.get(key).is_some_and(|other| is_same(value, other));
            x.len() == y.len() && x.iter().all(is_in_other)
        }
        _ => a == b,
    }
}

/// A total order of values, used where two of them claim the same clock. Numbers compare as numbers.
pub(super) fn compare(a: &Json, b: &Json) -> Ordering {
    let by_text = || canonical(a).cmp(&canonical(b));
    match (exact_i64(a), exact_i64(b)) {
        (Some(x), Some(y)) => x.cmp(&y).then_with(by_text),
        // Integers come before everything else: a text between two of them would make a circle.
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => by_text(),
    }
}

/// The deepest nesting of a value that is replicated. Readers of JSON stop at 128 levels; a value stands a few levels down
/// in a request or a stored state.
pub(crate) const MAX_DEPTH: usize = 100;

/// Whether a value is nested deeper than [`MAX_DEPTH`].
pub(crate) fn is_too_deep(value: &Json) -> bool {
    fn deeper_than(value: &Json, levels: usize) -> bool {
        let Some(left) = levels.checked_sub(1) else {
            return value.is_array() || value.is_object();
        };
        match value {
            Json::Array(items) => items.iter().any(|item| deeper_than(item, left)),
            Json::Object(map) => map.values().any(|item| deeper_than(item, left)),
            _ => false,
        }
    }
    deeper_than(value, MAX_DEPTH)
}

/// `value` as JSON: a number while a JavaScript reader gets it exactly, a string beyond.
pub(crate) fn i64_json(value: i64) -> Json {
    if (-MAX_EXACT..=MAX_EXACT).contains(&value) {
        value.into()
    } else {
        value.to_string().into()
    }
}

/// As [`i64_json`], for unsigned values.
pub(crate) fn u64_json(value: u64) -> Json {
    u128_json(value.into())
}

/// As [`u64_json`], for longer ones.
pub(crate) fn u128_json(value: u128) -> Json {
    i64::try_from(value).map_or_else(|_| value.to_string().into(), i64_json)
}

/// The integer that `value` stands for, in either of its forms.
pub(crate) fn exact_i64(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number.as_i64(),
        Json::String(text) => canonical_digits(text).then(|| text.parse().ok()).flatten(),
        _ => None,
    }
}

/// As [`exact_i64`], for unsigned values.
pub(crate) fn exact_u64(value: &Json) -> Option<u64> {
    match value {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => canonical_digits(text).then(|| text.parse().ok()).flatten(),
        _ => None,
    }
}

/// As [`exact_u64`], for longer values.
pub(crate) fn exact_u128(value: &Json) -> Option<u128> {
    match value {
        Json::Number(number) => number.as_u64().map(u128::from),
        Json::String(text) => canonical_digits(text).then(|| text.parse().ok()).flatten(),
        _ => None,
    }
}

/// `parse` would take `+1` and `007` too; one number has one text.
fn canonical_digits(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|b| b.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn key_order_does_not_matter() {
        let a: Json = serde_json::from_str(r#"{"b":[1,{"d":1,"c":2}],"a":"\u00e9"}"#).unwrap();
        assert_eq!(canonical(&a), r#"{"a":"é","b":[1,{"c":2,"d":1}]}"#);
    }

    #[test]
    fn values_are_the_same_when_their_texts_are() {
        let values = [
            json!(null),
            json!(1),
            json!(1.0),
            json!(-1),
            json!(0.0),
            json!(-0.0),
            json!("1"),
            json!([]),
            json!([0.0]),
            json!([-0.0]),
            json!({}),
            json!({ "a": 0.0, "b": 1 }),
            json!({ "b": 1, "a": 0.0 }),
            json!({ "a": -0.0, "b": 1 }),
            json!({ "a": 0.0, "c": 1 }),
        ];
        for a in &values {
            for b in &values {
                assert_eq!(is_same(a, b), canonical(a) == canonical(b), "{a} and {b}");
            }
        }
    }

    #[test]
    fn integers_beyond_2_53_are_strings_and_come_back() {
        for value in [0, -1, MAX_EXACT, -MAX_EXACT, MAX_EXACT + 1, i64::MAX, i64::MIN] {
            assert_eq!(exact_i64(&i64_json(value)), Some(value));
        }
        assert_eq!(i64_json(i64::MAX), json!("9223372036854775807"));
        assert_eq!(i64_json(MAX_EXACT), json!(9_007_199_254_740_992_i64));
        assert_eq!(exact_u64(&u64_json(u64::MAX)), Some(u64::MAX));
        assert_eq!(exact_u128(&u128_json(u128::MAX)), Some(u128::MAX));
        for text in ["+1", "007", "", "-", "1.0", "0x1"] {
            assert_eq!(exact_i64(&json!(text)), None, "{text:?}");
        }
    }

    #[test]
    fn depth_is_counted_in_levels() {
        let nested = |levels| {
            (0..levels).fold(json!(1), |inner, level| {
                if level % 2 == 0 {
                    json!([inner])
                } else {
                    json!({ "x": inner })
                }
            })
        };
        assert!(!is_too_deep(&nested(MAX_DEPTH)));
        assert!(is_too_deep(&nested(MAX_DEPTH + 1)));
        assert!(is_too_deep(&json!([1, nested(MAX_DEPTH)])));
        assert!(!is_too_deep(&json!("text")));
    }

    #[test]
    fn ties_compare_numbers_as_numbers() {
        assert_eq!(compare(&json!(9), &json!(10)), Ordering::Less);
        assert_eq!(compare(&json!("a"), &json!("b")), Ordering::Less);
        assert_eq!(compare(&json!(1.5), &json!(1.5)), Ordering::Equal);
    }

    /// Numbers by value and all else by text made a circle: "9" < "10" < "5a" < "9".
    #[test]
    fn the_order_has_no_circles() {
        let values: Vec<Json> = ["9", "10", "5a", "5.5", "", "-1", "007"].map(Json::from).into();
        let values: Vec<_> = values
            .into_iter()
            .chain([
                json!(9),
                json!(10),
                json!(1.5),
                json!(null),
                json!([1]),
                json!({"a": 1}),
                json!(true),
            ])
            .collect();
        for a in &values {
            for b in &values {
                assert_eq!(compare(a, b), compare(b, a).reverse(), "{a} and {b}");
                for c in &values {
                    if compare(a, b).is_le() && compare(b, c).is_le() {
                        assert!(compare(a, c).is_le(), "{a}, {b}, {c}");
                    }
                }
            }
        }
    }
}
