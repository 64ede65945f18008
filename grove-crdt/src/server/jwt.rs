//! Signed tokens that name peers.

use std::{fmt, time::Duration};

use async_trait::async_trait;
use axum::http::request::Parts;
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation,
    crypto::aws_lc,
    decode,
    errors::{Error as JwtError, ErrorKind},
};
use serde_json::{Map, Value as Json};

use crate::{
    error::Error,
    server::{AuthError, Authenticator, bearer::token},
    sync::Peer,
};

/// RFC 7518: a key has as many bits as the hash, or more.
const MIN_SECRET: usize = 32;

/// The longest leeway.
const MAX_LEEWAY: Duration = Duration::from_hours(24);

/// What a token's signature is checked with, and the one algorithm that the key is for. The token's own word on its
/// algorithm counts for nothing but to choose among the keys: none is ever used for another algorithm.
#[derive(Clone)]
pub struct JwtKey {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtKey {
    /// A secret shared with whoever signs, for HS256. Whoever can check such tokens can make them too.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for fewer than 32 bytes.
    pub fn hs256(secret: impl AsRef<[u8]>) -> Result<Self, Error> {
        let secret = secret.as_ref();
        if secret.len() < MIN_SECRET {
            return Err(Error::Invalid(format!(
                "a secret for HS256 has {MIN_SECRET} bytes or more, at random, not {}",
                secret.len()
            )));
        }
        Ok(Self {
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret),
        })
    }

    /// A public RSA key of 2,048 bits or more in PEM form, for RS256.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no such key.
    pub fn rs256_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::public(Algorithm::RS256, DecodingKey::from_rsa_pem(pem.as_ref()))
    }

    /// A public key of the curve P-256 in PEM form, for ES256.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no such key.
    pub fn es256_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::public(Algorithm::ES256, DecodingKey::from_ec_pem(pem.as_ref()))
    }

    /// A public Ed25519 key in PEM form, for EdDSA.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is no such key.
    pub fn eddsa_pem(pem: impl AsRef<[u8]>) -> Result<Self, Error> {
        Self::public(Algorithm::EdDSA, DecodingKey::from_ed_pem(pem.as_ref()))
    }

    fn public(algorithm: Algorithm, key: Result<DecodingKey, JwtError>) -> Result<Self, Error> {
        // What is wrong with it is not told: it may be a private key.
        let key = key.map_err(|_| Error::Invalid(format!("not a public key for {algorithm:?} in PEM form")))?;
        Ok(Self { algorithm, key })
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// Names peers by a JSON Web Token in `Authorization: Bearer …`.
///
/// ```
/// use grove_crdt::server::{AuthError, Jwt, JwtKey};
///
/// # fn example(public_key: &str) -> Result<(), grove_crdt::Error> {
/// let tokens = Jwt::new([JwtKey::es256_pem(public_key)?])?
///     .issuer("https://login.example")
///     .audience("grove")
///     .peer(|peer, claims| {
///         let tenant = claims.get("tenant").and_then(|tenant| tenant.as_str());
///         let tenant = tenant.ok_or_else(|| AuthError::Forbidden("the token names no tenant".into()))?;
///         Ok(peer.with_attribute("tenant", tenant).may_only_write(["documents"]))
///     });
/// # let _ = tokens;
/// # Ok(())
/// # }
/// ```
///
/// A token has to be signed with one of the keys, and to have not expired (`exp` is required). `nbf` counts where it is
/// given. `sub` is required and becomes the peer's name; `node`, where it is given, binds the peer to that node id.
#[must_use]
pub struct Jwt {
    keys: Vec<JwtKey>,
    issuer: Option<String>,
    audience: Option<String>,
    leeway: Duration,
    node_claim: String,
    peer: Box<PeerOfClaims>,
}

type PeerOfClaims = dyn Fn(Peer, &Map<String, Json>) -> Result<Peer, AuthError> + Send + Sync;

impl Jwt {
    /// Takes tokens that were signed with one of these keys; with several, one can take another's place without a break.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when there are none.
    pub fn new(keys: impl IntoIterator<Item = JwtKey>) -> Result<Self, Error> {
        let keys: Vec<_> = keys.into_iter().collect();
        if keys.is_empty() {
            return Err(Error::Invalid("without a key, no token can be checked".into()));
        }
        // The cryptography is one for the whole process. Where another has been chosen, it stays.
        let _ = aws_lc::DEFAULT_PROVIDER.install_default();
        Ok(Self {
            keys,
            issuer: None,
            audience: None,
            leeway: Duration::from_mins(1),
            node_claim: "node".to_owned(),
            peer: Box::new(|peer, _| Ok(peer)),
        })
    }

    /// Takes tokens of this issuer (`iss`) only; of any, unless set.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Takes tokens made for this audience (`aud`) only; unless set, only those made for nobody in particular.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// How far the clocks of signer and server may be apart; a minute, unless set, and a day at most.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway.min(MAX_LEEWAY);
        self
    }

    /// The claim that binds the peer to a node id; `node`, unless set. A peer whose token lacks it is bound to none.
    pub fn node_claim(mut self, name: impl Into<String>) -> Self {
        self.node_claim = name.into();
        self
    }

    /// What else a token says of its peer, such as the tables it may read and write: from the peer so far, and all claims.
    /// Here a token can be refused, too.
    pub fn peer(
        mut self,
        peer: impl Fn(Peer, &Map<String, Json>) -> Result<Peer, AuthError> + Send + Sync + 'static,
    ) -> Self {
        self.peer = Box::new(peer);
        self
    }

    /// The claims of a token that can be trusted.
    fn claims(&self, token: &str) -> Result<Map<String, Json>, AuthError> {
        let mut why = "the token is not signed with a key that is known here".to_owned();
        for key in &self.keys {
            match decode(token, &key.key, &self.validation(key.algorithm)) {
                Ok(token) => return Ok(token.claims),
                Err(error) => why = reason(&error).unwrap_or(why),
            }
        }
        Err(AuthError::Unauthenticated(why))
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        validation.set_required_spec_claims(&required);
        validation.leeway = self.leeway.as_secs();
        validation.validate_nbf = true;
        validation
    }

    fn peer_of(&self, claims: &Map<String, Json>) -> Result<Peer, AuthError> {
        let wrong = |claim: &str| AuthError::Unauthenticated(format!("the token's claim `{claim}` can't be used"));
        let name = claims.get("sub").and_then(Json::as_str).filter(|name| !name.is_empty());
        let mut peer = Peer::new(name.ok_or_else(|| wrong("sub"))?);
        if let Some(node) = claims.get(&self.node_claim) {
            let node = node.as_str().and_then(|node| node.parse().ok());
            peer = peer.bound_to(node.ok_or_else(|| wrong(&self.node_claim))?);
        }
        (self.peer)(peer, claims)
    }
}

/// What can be told of a token that was signed with a key known here; `None` when it was not.
fn reason(error: &JwtError) -> Option<String> {
    Some(match error.kind() {
        ErrorKind::ExpiredSignature => "the token has expired".into(),
        ErrorKind::ImmatureSignature => "the token is not valid yet".into(),
        ErrorKind::InvalidIssuer => "the token is of another issuer".into(),
        ErrorKind::InvalidAudience => "the token is for another audience".into(),
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            format!("the token's claim `{claim}` is missing, or can't be used")
        }
        _ => return None,
    })
}

impl fmt::Debug for Jwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jwt")
            .field("keys", &self.keys)
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .field("leeway", &self.leeway)
            .field("node_claim", &self.node_claim)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Authenticator for Jwt {
    async fn authenticate(&self, head: &Parts) -> Result<Peer, AuthError> {
        let token = token(&head.headers).ok_or_else(|| {
            AuthError::Unauthenticated("send a JSON Web Token: `Authorization: Bearer <token>`".into())
        })?;
        self.peer_of(&self.claims(token)?)
    }
}
