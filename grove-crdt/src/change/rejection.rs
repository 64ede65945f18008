use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Why one change was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Rejection {
    /// The change's place in the request.
    pub index: usize,
    /// What kind of refusal it is.
    pub code: RejectionCode,
    /// What was wrong with it.
    pub message: String,
    /// Whether a hook refused it for now only. What codes of the protocol say of themselves is not repeated here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub later: bool,
}

impl Rejection {
    /// The longest message, in bytes: a refusal must not carry back a whole hostile value.
    const MAX_MESSAGE: usize = 300;

    pub(crate) fn new(index: usize, code: RejectionCode, message: impl Into<String>) -> Self {
        let mut message = message.into();
        if message.len() > Self::MAX_MESSAGE {
            message.truncate(message.floor_char_boundary(Self::MAX_MESSAGE));
            message.push('…');
        }
        Self {
            index,
            code,
            message,
            later: false,
        }
    }

    /// Whether the same change can be taken later, without anybody mending it: because its code says so, or the hook that
    /// refused it.
    #[must_use]
    pub fn can_pass_later(&self) -> bool {
        self.later || self.code.can_pass_later()
    }
}

/// The kinds of refusal of a change.
///
/// ```
/// use grove_crdt::sync::RejectionCode;
///
/// assert_eq!(RejectionCode::from("clock_ahead"), RejectionCode::ClockAhead);
/// assert_eq!(RejectionCode::from("title_too_long").as_str(), "title_too_long");
/// assert_eq!(RejectionCode::from("Not a code!"), RejectionCode::Other);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RejectionCode {
    /// The change is not of the protocol's form, or contradicts itself.
    Malformed,
    /// The table is not replicated there.
    UnknownTable,
    /// The kind is not known there; it may be after an upgrade.
    UnknownKind,
    /// The field has another kind there, or is part of the key.
    WrongKind,
    /// The key is not one of that table.
    BadKey,
    /// A value is not one of the field's type, or nested too deeply.
    BadValue,
    /// The clock value can't have come from a clock.
    BadClock,
    /// The clock value is too far ahead of the receiver's clock.
    ClockAhead,
    /// A counter's totals went back while its clock went on: its node was reset.
    CounterRegressed,
    /// The database there can't take the record, for a reason that lies with this record alone: a text that its character set
    /// lacks, a value larger than a statement may be.
    Unstorable,
    /// The sender may not write the table.
    Forbidden,
    /// A hook of the other side refused it, and this is the hook's own code; or one of a later version. 1 to 64 characters of
    /// `[a-z0-9_]`.
    Custom(String),
    /// Something that is no code; or, kept by a sender, a change that is too large to be sent even alone; kept by
    /// an asker, one that is too large to be read.
    Other,
}

/// The codes of the protocol.
pub(super) const CODES: [(&str, RejectionCode); 12] = [
    ("malformed", RejectionCode::Malformed),
    ("unknown_table", RejectionCode::UnknownTable),
    ("unknown_kind", RejectionCode::UnknownKind),
    ("wrong_kind", RejectionCode::WrongKind),
    ("bad_key", RejectionCode::BadKey),
    ("bad_value", RejectionCode::BadValue),
    ("bad_clock", RejectionCode::BadClock),
    ("clock_ahead", RejectionCode::ClockAhead),
    ("counter_regressed", RejectionCode::CounterRegressed),
    ("unstorable", RejectionCode::Unstorable),
    ("forbidden", RejectionCode::Forbidden),
    ("other", RejectionCode::Other),
];

impl RejectionCode {
    /// The longest code, in bytes.
    pub(crate) const MAX: usize = 64;

    /// Whether changes refused with this code can be taken later, without anybody mending them.
    #[must_use]
    pub fn can_pass_later(&self) -> bool {
        matches!(self, Self::ClockAhead | Self::UnknownTable | Self::UnknownKind)
    }

    /// The code as it stands on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Custom(code) => code,
            known => CODES
                .iter()
                .find(|(_, code)| code == known)
                .map_or("other", |(text, _)| text),
        }
    }

    /// Whether a code may have this character.
    pub(crate) fn allows(c: char) -> bool {
        c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
    }
}

impl From<&str> for RejectionCode {
    fn from(text: &str) -> Self {
        if let Some((_, code)) = CODES.iter().find(|(known, _)| *known == text) {
            return code.clone();
        }
        if text.is_empty() || text.len() > Self::MAX || !text.chars().all(Self::allows) {
            return Self::Other;
        }
        Self::Custom(text.to_owned())
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RejectionCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RejectionCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self::from(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_comes_back_from_the_wire() {
        for (text, code) in CODES {
            assert_eq!(serde_json::to_string(&code).unwrap(), format!("{text:?}"));
            assert_eq!(RejectionCode::from(text), code);
        }
    }

    #[test]
    fn a_code_that_is_not_known_is_kept_when_it_is_one() {
        for good in ["quota", "too_long_2", &"x".repeat(64)] {
            let code: RejectionCode = serde_json::from_value(good.into()).unwrap();
            assert_eq!(code, RejectionCode::Custom(good.into()));
            assert_eq!(serde_json::to_value(&code).unwrap(), good);
            assert!(!code.can_pass_later());
        }
        for bad in ["", "Quota", "a b", "a\nb", "ü", &"x".repeat(65)] {
            assert_eq!(RejectionCode::from(bad), RejectionCode::Other, "{bad:?}");
        }
    }

    #[test]
    fn a_rejection_says_that_it_is_for_now_only_when_a_hook_said_so() {
        let mut rejection = Rejection::new(0, "quota".into(), "m");
        let plain = r#"{"index":0,"code":"quota","message":"m"}"#;
        assert_eq!(serde_json::to_string(&rejection).unwrap(), plain);
        assert_eq!(serde_json::from_str::<Rejection>(plain).unwrap(), rejection);
        assert!(!rejection.can_pass_later());
        rejection.later = true;
        let text = serde_json::to_string(&rejection).unwrap();
        assert_eq!(text, r#"{"index":0,"code":"quota","message":"m","later":true}"#);
        assert!(serde_json::from_str::<Rejection>(&text).unwrap().can_pass_later());
        assert!(Rejection::new(0, RejectionCode::ClockAhead, "m").can_pass_later());
    }
}
