//! Secrets that name peers.

use std::{collections::BTreeMap, fmt};

use async_trait::async_trait;
use axum::http::{HeaderMap, header::AUTHORIZATION, request::Parts};
use sha2::{Digest, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

use crate::{
    error::Error,
    server::{AuthError, Authenticator},
    sync::Peer,
};

type Hash = [u8; 32];

/// Names peers by the token in `Authorization: Bearer …`.
///
/// Only hashes of the tokens are kept, and each request's is compared with all of them in constant time: neither the
/// length of a token nor how much of it was guessed right shows in the time an answer takes. The hash is a plain
/// SHA-256, so a token should be random, 128 bits or more.
pub struct BearerTokens {
    hashes: Vec<Hash>,
    /// In the order of `hashes`.
    peers: Vec<Peer>,
}

impl BearerTokens {
    /// Each token names its peer.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty token, such as one read from a variable that is not set, and for two equal ones.
    pub fn new<T: AsRef<str>>(tokens: impl IntoIterator<Item = (T, Peer)>) -> Result<Self, Error> {
        let mut by_hash = BTreeMap::new();
        for (token, peer) in tokens {
            let (token, name) = (token.as_ref(), peer.name.clone());
            if token.is_empty() {
                return Err(Error::Invalid(format!("the token of peer `{name}` is empty")));
            }
            if let Some(other) = by_hash.insert(hash(token), peer) {
                return Err(Error::Invalid(format!(
                    "peers `{}` and `{name}` have the same token",
                    other.name
                )));
            }
        }
        let (hashes, peers) = by_hash.into_iter().unzip();
        Ok(Self { hashes, peers })
    }

    fn peer(&self, token: &str) -> Option<&Peer> {
        let offered = hash(token);
        let mut found = u64::MAX;
        for (index, hash) in (0_u64..).zip(&self.hashes) {
            found.conditional_assign(&index, hash.ct_eq(&offered));
        }
        self.peers.get(usize::try_from(found).ok()?)
    }
}

impl fmt::Debug for BearerTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerTokens")
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for BearerTokens {
    async fn authenticate(&self, head: &Parts) -> Result<Peer, AuthError> {
        let refuse = |why: &str| AuthError::Unauthenticated(why.to_owned());
        let token = token(&head.headers).ok_or_else(|| refuse("send a token: `Authorization: Bearer <token>`"))?;
        self.peer(token)
            .cloned()
            .ok_or_else(|| refuse("the token is not known here"))
    }
}

fn hash(token: &str) -> Hash {
    Sha256::digest(token).into()
}

/// The token in `Authorization: Bearer …`.
pub(super) fn token(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> BearerTokens {
        BearerTokens::new([("secret-a", Peer::new("a")), ("secret-b", Peer::new("b"))]).unwrap()
    }

    #[test]
    fn a_token_names_its_peer_and_nothing_else_does() {
        let tokens = tokens();
        assert_eq!(tokens.peer("secret-a"), Some(&Peer::new("a")));
        assert_eq!(tokens.peer("secret-b"), Some(&Peer::new("b")));
        for wrong in ["", "secret", "secret-c", "secret-a ", "SECRET-A"] {
            assert_eq!(tokens.peer(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn without_tokens_nobody_is_known() {
        let none = BearerTokens::new(std::iter::empty::<(&str, Peer)>()).unwrap();
        assert_eq!(none.peer(""), None);
    }

    #[test]
    fn empty_and_equal_tokens_are_refused() {
        let empty = BearerTokens::new([("", Peer::new("a"))]).unwrap_err();
        assert_eq!(empty.to_string(), "the token of peer `a` is empty");
        let equal = BearerTokens::new([("t", Peer::new("a")), ("t", Peer::new("b"))]).unwrap_err();
        assert_eq!(equal.to_string(), "peers `a` and `b` have the same token");
    }

    #[test]
    fn no_token_is_shown() {
        assert!(!format!("{:?}", tokens()).contains("secret"));
    }

    #[test]
    fn the_scheme_is_written_in_any_case() {
        for (value, expected) in [
            ("Bearer t", Some("t")),
            ("bearer  t ", Some("t")),
            ("Basic t", None),
            ("Bearer", None),
            ("t", None),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, value.parse().unwrap())]);
            assert_eq!(token(&headers), expected, "{value:?}");
        }
    }
}
