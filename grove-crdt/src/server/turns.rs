//! How many large bodies are made into values at once.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use crate::server::{Limits, error::ErrorAnswer};

/// Up to here, a text is small: its values take so little that many may be there at once, and none waits behind large ones.
const SMALL: usize = 64 << 10;

/// The turns that large bodies take.
#[derive(Debug)]
pub(super) struct Turns {
    free: Arc<Semaphore>,
    timeout: Duration,
}

/// A turn, until it is dropped; a small body has none, and needs none.
#[derive(Debug)]
pub(super) struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Turns {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            free: Arc::new(Semaphore::new(limits.large_bodies.min(Semaphore::MAX_PERMITS))),
            timeout: limits.answer_timeout,
        }
    }

    /// Waits until a text of so many bytes may be made into values, in the order of asking.
    ///
    /// # Errors
    ///
    /// Others take too long: 503.
    pub(super) async fn take(&self, bytes: usize) -> Result<Turn, ErrorAnswer> {
        if bytes <= SMALL {
            return Ok(Turn { _permit: None });
        }
        match timeout(self.timeout, self.free.clone().acquire_owned()).await {
            // It is never closed.
            Ok(permit) => Ok(Turn { _permit: permit.ok() }),
            Err(_) => Err(ErrorAnswer::no_turn(self.timeout)),
        }
    }
}
