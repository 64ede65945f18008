//! How far each peer has been told of what was committed here.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// How many peers are remembered. When there are more, those that were told something longest ago are forgotten.
const MOST: usize = 1_000;

/// The peers that have asked since the replica was opened.
#[derive(Debug, Default)]
pub(crate) struct Audience(Mutex<HashMap<Listener, Heard>>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Listener {
    /// The peer's name.
    pub peer: String,
    /// The node it asks for.
    pub node: String,
}

/// How far it has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// The identity of its database: of what came from there, it is not told.
    pub database: String,
    /// The tables it asks for.
    pub tables: Vec<String>,
    /// Up to which version.
    pub version: i64,
    /// When it had last been told everything, or else when it first asked; in microseconds since the Unix epoch.
    pub complete_at: i64,
    told_at: i64,
}

/// What a peer has been told just now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ToldUpTo<'a> {
    pub database: &'a str,
    pub tables: &'a [String],
    pub version: i64,
    /// Whether there was nothing more to tell.
    pub everything: bool,
}

impl Audience {
    /// Notes how far a peer has been told. `now` is in microseconds since the Unix epoch.
    pub(crate) fn told(&self, listener: &Listener, told: ToldUpTo<'_>, now: i64) {
        let mut peers = self.peers();
        if let Some(heard) = peers.get_mut(listener) {
            heard.version = told.version;
            heard.told_at = now;
            if told.everything {
                heard.complete_at = now;
            }
            if heard.database != told.database {
                told.database.clone_into(&mut heard.database);
            }
            if heard.tables != told.tables {
                heard.tables = told.tables.to_vec();
            }
            return;
        }
        if peers.len() >= MOST {
            let longest_ago = peers.iter().min_by_key(|(_, heard)| heard.told_at);
            if let Some(forgotten) = longest_ago.map(|(listener, _)| listener.clone()) {
                peers.remove(&forgotten);
            }
        }
        let heard = Heard {
            database: told.database.to_owned(),
            tables: told.tables.to_vec(),
            version: told.version,
            complete_at: now,
            told_at: now,
        };
        peers.insert(listener.clone(), heard);
    }

    /// All of them, in the order of their names.
    pub(crate) fn all(&self) -> Vec<(Listener, Heard)> {
        let peers = self.peers();
        let mut all: Vec<_> = peers
            .iter()
            .map(|(peer, heard)| (peer.clone(), heard.clone()))
            .collect();
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    fn peers(&self) -> MutexGuard<'_, HashMap<Listener, Heard>> {
        // What is noted of each is whole after any panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listener(node: usize) -> Listener {
        Listener {
            peer: "p".into(),
            node: format!("n{node:04}"),
        }
    }

    fn told(version: i64, everything: bool) -> ToldUpTo<'static> {
        ToldUpTo {
            database: "db",
            tables: &[],
            version,
            everything,
        }
    }

    #[test]
    fn remembers_when_a_peer_was_last_told_everything() {
        let audience = Audience::default();
        let seen = || {
            let (_, heard) = audience.all().remove(0);
            (heard.version, heard.complete_at)
        };
        audience.told(&listener(0), told(1, false), 10);
        assert_eq!(seen(), (1, 10));
        audience.told(&listener(0), told(5, true), 20);
        assert_eq!(seen(), (5, 20));
        audience.told(&listener(0), told(7, false), 30);
        assert_eq!(seen(), (7, 20));
        // A peer that lost an answer asks from where it was.
        audience.told(&listener(0), told(2, false), 40);
        assert_eq!(seen(), (2, 20));
    }

    #[test]
    fn forgets_who_was_told_something_longest_ago_when_there_are_too_many() {
        let audience = Audience::default();
        for node in 0..MOST {
            let now = i64::try_from(node).unwrap();
            audience.told(&listener(node), told(1, true), now);
        }
        audience.told(&listener(0), told(2, true), 5_000);
        audience.told(&listener(MOST), told(1, true), 5_001);
        let nodes: Vec<_> = audience.all().into_iter().map(|(listener, _)| listener).collect();
        assert_eq!(nodes.len(), MOST);
        assert_eq!(nodes[..2], [listener(0), listener(2)]);
        assert_eq!(nodes[MOST - 1], listener(MOST));
    }
}
