use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::error::Error;

/// How deeply data may be nested: readers give up at 128.
const MAX_DEPTH: usize = 100;

/// What a node tells under a topic: any JSON but `null`, which stands for leaving.
///
/// It is kept as text without blanks, which takes no more memory than its length, whatever it says. Equal data is equal
/// text.
///
/// ```
/// use grove_crdt::presence::PresenceData;
///
/// let data = PresenceData::new(&("Ada", 7))?;
/// assert_eq!(data.as_str(), r#"["Ada",7]"#);
/// assert_eq!(data.read::<(String, u32)>().unwrap(), ("Ada".to_owned(), 7));
/// # Ok::<(), grove_crdt::Error>(())
/// ```
#[derive(Clone)]
pub struct PresenceData(Arc<RawValue>);

impl PresenceData {
    /// Anything that has a JSON form.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what has none, for `null`, and for what is nested deeper than 100 levels.
    pub fn new(data: &(impl Serialize + ?Sized)) -> Result<Self, Error> {
        let invalid = |why: &dyn fmt::Display| Error::Invalid(format!("not the data of a presence: {why}"));
        let text = serde_json::to_string(data).map_err(|error| invalid(&error))?;
        Self::of(&text).map_err(|why| invalid(&why))
    }

    /// The data as something to work with.
    ///
    /// # Errors
    ///
    /// The data is not of that form: another node says what it likes.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The data as JSON text, without blanks.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Takes well-formed JSON.
    fn of(json: &str) -> Result<Self, String> {
        let compact = compact(json)?;
        if compact == "null" {
            return Err("`null` stands for leaving".into());
        }
        let raw = RawValue::from_string(compact).map_err(|error| error.to_string())?;
        Ok(Self(raw.into()))
    }
}

/// Leaves out the blanks between values.
fn compact(json: &str) -> Result<String, String> {
    let mut text = String::with_capacity(json.len());
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut escaped = false;
    for c in json.chars() {
        if in_string {
            in_string = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else {
            match c {
                ' ' | '\t' | '\n' | '\r' => continue,
                '"' => in_string = true,
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_DEPTH {
                return Err(format!("nested deeper than {MAX_DEPTH} levels"));
            }
        }
        text.push(c);
    }
    text.shrink_to_fit();
    Ok(text)
}

impl PartialEq for PresenceData {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.as_str() == other.as_str()
    }
}

impl Eq for PresenceData {}

impl fmt::Debug for PresenceData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for PresenceData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for PresenceData {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PresenceData {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Self::of(raw.get()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blanks_go_and_what_stands_in_strings_stays() {
        for (text, kept) in [
            (" { \"a\" : [ 1 , 2 ] }\r\n\t", r#"{"a":[1,2]}"#),
            (r#""a b\" c\\""#, r#""a b\" c\\""#),
            (r#"{"a\\": " } "}"#, r#"{"a\\":" } "}"#),
            ("12345678901234567890123", "12345678901234567890123"),
        ] {
            let data: PresenceData = serde_json::from_str(text).unwrap();
            assert_eq!(data.as_str(), kept, "{text}");
            assert_eq!(serde_json::to_string(&data).unwrap(), kept);
        }
    }

    #[test]
    fn null_is_no_data() {
        assert!(PresenceData::new(&()).is_err());
        assert!(serde_json::from_str::<PresenceData>(" null ").is_err());
        assert_eq!(serde_json::from_str::<Option<PresenceData>>(" null ").unwrap(), None);
        assert_eq!(PresenceData::new("null").unwrap().as_str(), r#""null""#);
    }

    #[test]
    fn what_no_reader_could_read_is_refused() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(serde_json::from_str::<PresenceData>(&nested(MAX_DEPTH)).is_ok());
        assert!(serde_json::from_str::<PresenceData>(&nested(MAX_DEPTH + 1)).is_err());
        assert!(serde_json::from_str::<PresenceData>("[1,]").is_err());
        assert!(PresenceData::new(&json!([[[]]])).is_ok());
    }
}
