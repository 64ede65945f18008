//! Who asks, and whether they ask too often.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{extract::ConnectInfo, http::request::Parts};
use tokio::time::Instant;

use crate::{
    server::{AuthError, Authenticator, Limits, error::ErrorAnswer, rate::Rates},
    sync::Peer,
};

/// What stands between a request and whatever is done for it.
pub(super) struct Door {
    authenticator: Box<dyn Authenticator>,
    /// By peers' names.
    requests: Option<Rates<String>>,
    failures: Option<Failures>,
}

impl Door {
    pub(super) fn new(authenticator: impl Authenticator, limits: &Limits) -> Self {
        Self {
            authenticator: Box::new(authenticator),
            requests: limits.request_rate.map(Rates::new),
            failures: limits.failure_rate.map(|rate| Failures {
                rates: Rates::new(rate),
                shut_out: Mutex::default(),
            }),
        }
    }

    /// Names the peer that a request comes from.
    ///
    /// # Errors
    ///
    /// It can't be named, or asks too often; or too many have failed to say who they are.
    pub(super) async fn identify(&self, head: &Parts) -> Result<Peer, ErrorAnswer> {
        let source = Source::of(head);
        if let Some(failures) = &self.failures {
            failures.check(source)?;
        }
        let peer = match self.authenticator.authenticate(head).await {
            Ok(peer) => peer,
            Err(error) => {
                if let (AuthError::Unauthenticated(_), Some(failures)) = (&error, &self.failures) {
                    failures.count(source)?;
                }
                return Err(error.into());
            }
        };
        match &self.requests {
            Some(requests) if !peer.is_anonymous() => requests
                .count(&peer.name)
                .map_err(|pause| ErrorAnswer::rate_limited("this peer asks too often", pause))?,
            _ => {}
        }
        Ok(peer)
    }
}

/// Where a request comes from that is from nobody known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Source {
    Address(IpAddr),
    /// The server was not told addresses.
    Anywhere,
}

impl Source {
    fn of(head: &Parts) -> Self {
        match head.extensions.get::<ConnectInfo<SocketAddr>>() {
            Some(ConnectInfo(address)) => Self::Address(network(address.ip())),
            None => Self::Anywhere,
        }
    }
}

/// The addresses that one party has: of IPv6, everybody is given at least 2^64 of them.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// Attempts to be let in that failed.
struct Failures {
    rates: Rates<Source>,
    /// Addresses with too many, and when they may try again.
    shut_out: Mutex<HashMap<Source, Instant>>,
}

impl Failures {
    /// Nobody can have good credentials looked at before they may try again. That holds for addresses only: with none
    /// known, whoever fails would shut out everybody.
    fn check(&self, source: Source) -> Result<(), ErrorAnswer> {
        let shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
        let pause = shut_out
            .get(&source)
            .map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()));
        if pause.is_zero() { Ok(()) } else { Err(too_many(pause)) }
    }

    fn count(&self, source: Source) -> Result<(), ErrorAnswer> {
        let Err(pause) = self.rates.count(&source) else {
            return Ok(());
        };
        if let Source::Address(_) = source {
            let now = Instant::now();
            let mut shut_out = self.shut_out.lock().unwrap_or_else(PoisonError::into_inner);
            shut_out.retain(|_, until| *until > now);
            shut_out.insert(source, now + pause);
        }
        Err(too_many(pause))
    }
}

fn too_many(pause: Duration) -> ErrorAnswer {
    ErrorAnswer::rate_limited("too many requests have failed to say who they are from", pause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_party_is_an_ipv4_address_or_an_ipv6_network() {
        for (address, party) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ] {
            assert_eq!(network(address.parse().unwrap()).to_string(), party);
        }
    }
}
