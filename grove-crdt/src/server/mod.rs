//! The answering side over HTTP: axum routes to nest into an application.
//!
//! ```no_run
//! use grove_crdt::{Replica, server::SyncServer, sync::Peer};
//!
//! # async fn example(replica: Replica) -> Result<(), Box<dyn std::error::Error>> {
//! let sync = SyncServer::builder(&replica)
//!     .bearer_tokens([("secret", Peer::new("edge-1").bound_to("edge-1".parse()?))])?
//!     .router();
//! let app = axum::Router::new().nest("/sync", sync);
//! axum::serve(tokio::net::TcpListener::bind("0.0.0.0:8080").await?, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! A request passes these steps, and the first that refuses it answers: the version of the protocol, the
//! [`Authenticator`], the content type, the size, the JSON, and then what the request says. So nothing is kept from
//! anybody who has not been named, and nothing is held that is larger than the [`Limits`] allow.
//!
//! | route | takes | answers |
//! |---|---|---|
//! | `POST /pull` | [`PullRequest`](crate::sync::PullRequest) | [`PullResponse`](crate::sync::PullResponse) |
//! | `POST /push` | [`PushRequest`](crate::sync::PushRequest) | [`PushResponse`](crate::sync::PushResponse) |
//! | `GET /stream` | [`StreamRequest`](crate::sync::StreamRequest) in the URL | server-sent events: [`PullResponse`](crate::sync::PullResponse)s as they come |
//! | `POST /presence` | [`PresenceRequest`](crate::sync::PresenceRequest) | [`PresenceResponse`](crate::sync::PresenceResponse) |
//! | `GET /presence?topic=…` | | [`TopicPresences`](crate::sync::TopicPresences) |
//! | `GET /health` | nothing, from anybody | `{"status":"ok"}`; 503 and `unavailable` when the database does not answer, or the server ends |
//! | `GET /metrics` | nothing, from peers that [may see them](crate::sync::Peer::may_see_metrics) | [text for Prometheus](SyncServer::metrics) |
//! | `GET /openapi.json` | nothing, from anybody | what is here, as an OpenAPI document, with the feature `openapi` |
//!
//! Bodies are JSON, compressed with gzip or zstd if the other side likes. Every error is an
//! [`ErrorBody`](crate::sync::ErrorBody):
//!
//! | status | codes |
//! |---|---|
//! | 400 | `bad_request`, `malformed`, `protocol_version`, `unknown_table` |
//! | 401 | `unauthenticated` |
//! | 403 | `forbidden`, `wrong_node` |
//! | 404, 405 | `not_found`, `method_not_allowed` |
//! | 409 | `node_conflict` |
//! | 413, 415 | `too_large`, `unsupported_media_type` |
//! | 408 | `timeout` |
//! | 429 | `limit_reached`, `rate_limited`, `too_many_streams` |
//! | 500 | `internal`: what went wrong is logged, and not told |
//! | 503 | `busy`, `shutting_down` |
//!
//! What went wrong with the database is logged through `tracing`, and no part of any answer.

mod auth;
mod bearer;
mod builder;
mod cors;
mod encoding;
mod error;
mod health;
mod identify;
mod incoming;
mod json;
#[cfg(feature = "jwt")]
mod jwt;
mod limits;
mod metrics;
#[cfg(feature = "openapi")]
mod openapi;
mod presence;
mod pull;
mod push;
mod query;
mod rate;
mod router;
mod running;
mod stream;
mod streams;
mod turns;

pub use auth::{AllowAnonymous, AuthError, Authenticator};
pub use bearer::BearerTokens;
pub use builder::{NoAuthenticator, SyncServerBuilder};
#[cfg(feature = "jwt")]
pub use jwt::{Jwt, JwtKey};
pub use limits::Limits;
#[cfg(feature = "openapi")]
pub use openapi::openapi;
pub use rate::Rate;
pub use router::SyncServer;
