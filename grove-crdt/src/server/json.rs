//! JSON that is counted before it is built.

use serde::de::DeserializeOwned;

use crate::server::error::ErrorAnswer;

/// Reads a message of at most so many JSON values.
///
/// In memory, a value can take a hundred times the bytes it has as text: `{"":0}` is a whole tree node. So the bytes of
/// a body alone bound nothing. How deeply values may be nested is bounded by the parser, at 128.
pub(super) fn read<T: DeserializeOwned>(text: &[u8], max_values: usize) -> Result<T, ErrorAnswer> {
    if count_values(text) > max_values {
        return Err(ErrorAnswer::too_large(format!(
            "a body may have {max_values} JSON values"
        )));
    }
    serde_json::from_slice(text).map_err(|error| ErrorAnswer::malformed(error.to_string()))
}

/// The number of values in a JSON text, an empty list or object counted twice; as far as it is well-formed.
fn count_values(text: &[u8]) -> usize {
    let mut values = 1;
    let mut in_string = false;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (byte, in_string) {
            (b'"', _) => in_string = !in_string,
            (b'\\', true) => _ = bytes.next(),
            (b'[' | b'{' | b',', false) => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use serde_json::Value as Json;

    use super::*;

    #[test]
    fn counts_values_and_not_what_stands_in_strings() {
        for (text, values) in [
            ("1", 1),
            ("[1, 2, 3]", 4),
            (r#"{"a": 1, "b": [2]}"#, 4),
            (r#""[{,""#, 1),
            (r#"["\"[,", "\\", 3]"#, 4),
            ("[{}, []]", 5),
        ] {
            assert_eq!(count_values(text.as_bytes()), values, "{text}");
        }
    }

    #[test]
    fn refuses_more_values_than_allowed_before_building_them() {
        assert!(read::<Json>(b"[1,2,3]", 4).is_ok());
        let error = read::<Json>(b"[1,2,3]", 3).unwrap_err();
        assert_eq!(error, ErrorAnswer::too_large("a body may have 3 JSON values"));
    }

    #[test]
    fn refuses_what_is_nested_too_deeply() {
        let deep = "[".repeat(200);
        let error = read::<Json>(deep.as_bytes(), 1_000).unwrap_err();
        let message = "recursion limit exceeded at line 1 column 128";
        assert_eq!(error, ErrorAnswer::malformed(message));
    }
}
