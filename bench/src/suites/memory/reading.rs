//! Reading how much memory this process has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use serde::{Deserialize, Serialize};

use crate::harness::count;

/// How often it is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// What a process took, in bytes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Before it had anything to do.
    pub(super) idle: f64,
    /// The most while it had, in the first half of that time and in the second.
    pub(super) halves: [f64; 2],
}

impl Reading {
    /// The most at any time.
    pub(super) fn peak(&self) -> f64 {
        self.halves[0].max(self.halves[1])
    }
}

/// Looks at this process again and again.
#[derive(Debug)]
pub(super) struct Recorder {
    idle: f64,
    stop: Arc<AtomicBool>,
    looking: JoinHandle<anyhow::Result<Vec<f64>>>,
}

impl Recorder {
    pub(super) fn start() -> anyhow::Result<Self> {
        let idle = resident()?;
        let stop = Arc::new(AtomicBool::new(false));
        let until = stop.clone();
        let looking = std::thread::spawn(move || {
            let mut seen = vec![resident()?];
            while !until.load(Ordering::Relaxed) {
                std::thread::sleep(INTERVAL);
                seen.push(resident()?);
            }
            Ok(seen)
        });
        Ok(Self { idle, stop, looking })
    }

    pub(super) fn stop(self) -> anyhow::Result<Reading> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self
            .looking
            .join()
            .map_err(|_| anyhow!("nobody looked at the memory"))??;
        let (first, second) = seen.split_at(seen.len() / 2);
        let most = |seen: &[f64]| seen.iter().copied().fold(self.idle, f64::max);
        Ok(Reading {
            idle: self.idle,
            halves: [most(first), most(second)],
        })
    }
}

/// The bytes of this process that are in memory.
#[cfg(target_os = "linux")]
pub(super) fn resident() -> anyhow::Result<f64> {
    let status = procfs::process::Process::myself()?.status()?;
    let kilobytes = status
        .vmrss
        .context("the system does not tell how much memory a process has")?;
    Ok(count(usize::try_from(kilobytes)?) * 1024.0)
}

/// The bytes of this process that are in memory.
#[cfg(not(target_os = "linux"))]
pub(super) fn resident() -> anyhow::Result<f64> {
    anyhow::bail!("only on Linux it is known here how to tell")
}
