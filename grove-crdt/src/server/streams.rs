//! How many streams are open, in all and of each peer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::{
    server::{Limits, error::ErrorAnswer, running::Running},
    sync::Peer,
};

/// The streams that are open.
#[derive(Clone, Debug)]
pub(super) struct Streams {
    running: Running,
    most: usize,
    most_per_peer: usize,
    open: Arc<Mutex<Open>>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    /// By the name of each peer that has some.
    by_peer: HashMap<String, usize>,
}

/// Leave to have one stream open, for as long as this lives. A server that ends waits for it.
#[derive(Debug)]
#[must_use]
pub(super) struct StreamPermit {
    streams: Streams,
    /// The peer, when its streams are counted.
    peer: Option<String>,
    _under_way: TaskTrackerToken,
}

impl Streams {
    pub(super) fn new(limits: &Limits, running: &Running) -> Self {
        Self {
            running: running.clone(),
            most: limits.streams,
            most_per_peer: limits.streams_per_peer,
            open: Arc::default(),
        }
    }

    /// Lets a peer open one more stream.
    ///
    /// # Errors
    ///
    /// It would be one too many, in all or of this peer: 429. Or the server is about to end: 503.
    pub(super) fn admit(&self, peer: &Peer) -> Result<StreamPermit, ErrorAnswer> {
        let under_way = self.running.begin()?;
        let mut open = self.open();
        if open.all >= self.most {
            return Err(ErrorAnswer::too_many_streams(format!(
                "all {} streams that this server may have are open",
                self.most
            )));
        }
        let peer = (!peer.is_anonymous()).then(|| peer.name.clone());
        if let Some(name) = &peer {
            let own = open.by_peer.get(name).copied().unwrap_or(0);
            if own >= self.most_per_peer {
                return Err(ErrorAnswer::too_many_streams(format!(
                    "this peer has all {} streams open that one may have",
                    self.most_per_peer
                )));
            }
            open.by_peer.insert(name.clone(), own + 1);
        }
        open.all += 1;
        drop(open);
        Ok(StreamPermit {
            streams: self.clone(),
            peer,
            _under_way: under_way,
        })
    }

    /// How many streams are open.
    pub(super) fn count(&self) -> usize {
        self.open().all
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // No step between two that belong together can panic.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StreamPermit {
    fn drop(&mut self) {
        let mut open = self.streams.open();
        open.all -= 1;
        let Some(name) = &self.peer else { return };
        if let Some(own) = open.by_peer.get_mut(name) {
            *own -= 1;
            if *own == 0 {
                open.by_peer.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    fn streams(all: usize, per_peer: usize) -> Streams {
        let limits = Limits::default().streams(all).streams_per_peer(per_peer);
        Streams::new(&limits, &Running::new(CancellationToken::new(), Duration::from_secs(1)))
    }

    #[test]
    fn a_peer_has_its_share_and_gets_back_what_it_closed() {
        let streams = streams(10, 2);
        let (a, b) = (Peer::new("a"), Peer::new("b"));
        let first = streams.admit(&a).unwrap();
        let _second = streams.admit(&a).unwrap();
        let refused = streams.admit(&a).unwrap_err();
        let why = ErrorAnswer::too_many_streams("this peer has all 2 streams open that one may have");
        assert_eq!(refused, why);
        let _other = streams.admit(&b).unwrap();
        assert_eq!(streams.count(), 3);
        drop(first);
        assert_eq!(streams.count(), 2);
        let _again = streams.admit(&a).unwrap();
        assert!(streams.admit(&a).is_err());
    }

    #[test]
    fn all_peers_share_the_limit_in_all() {
        let streams = streams(2, 2);
        let permits = ["a", "b"].map(|name| streams.admit(&Peer::new(name)).unwrap());
        let refused = streams.admit(&Peer::new("c")).unwrap_err();
        let why = ErrorAnswer::too_many_streams("all 2 streams that this server may have are open");
        assert_eq!(refused, why);
        drop(permits);
        assert!(streams.admit(&Peer::new("c")).is_ok());
    }

    #[test]
    fn those_that_nobody_named_share_no_name() {
        let streams = streams(3, 1);
        let permits = [(); 3].map(|()| streams.admit(&Peer::anonymous()).unwrap());
        assert!(streams.admit(&Peer::anonymous()).is_err());
        drop(permits);
        // Somebody may well be called that.
        let _named = streams.admit(&Peer::new("anonymous")).unwrap();
        assert!(streams.admit(&Peer::new("anonymous")).is_err());
    }

    #[test]
    fn nothing_is_kept_of_peers_without_streams() {
        let streams = streams(10, 2);
        drop(streams.admit(&Peer::new("a")).unwrap());
        assert_eq!((streams.count(), streams.open().by_peer.len()), (0, 0));
    }
}
