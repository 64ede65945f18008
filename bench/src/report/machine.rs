use std::{fmt, thread};

use serde::{Deserialize, Serialize};

/// What was measured on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) system: String,
    pub(crate) sqlite: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this() -> Self {
        Self {
            processor: processor().unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            system: std::env::consts::OS.to_owned(),
            sqlite: rusqlite::version().to_owned(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            processor,
            cores,
            system,
            sqlite,
        } = self;
        write!(f, "{processor}, {cores} cores, {system}, SQLite {sqlite}")
    }
}

/// The processor's name, where it can be read.
#[cfg(target_os = "linux")]
fn processor() -> Option<String> {
    use procfs::Current as _;

    let processors = procfs::CpuInfo::current().ok()?;
    processors.model_name(0).map(str::to_owned)
}

/// The processor's name, where it can be read.
#[cfg(not(target_os = "linux"))]
fn processor() -> Option<String> {
    None
}
