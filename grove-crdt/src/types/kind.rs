use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// How a field merges.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Kind {
    /// Last writer wins, by hybrid logical clock.
    Lww,
    /// PN-counter: every node's increments and decrements count.
    Counter,
    /// Add-wins observed-remove set.
    Set,
}

impl Kind {
    /// The name used in attributes, on the wire and in shadow tables.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lww => "lww",
            Self::Counter => "counter",
            Self::Set => "set",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        match name {
            "lww" => Ok(Self::Lww),
            "counter" => Ok(Self::Counter),
            "set" => Ok(Self::Set),
            _ => Err(()),
        }
    }
}
