//! SeaORM tables that are written on many nodes at once, offline included, and come together again without losing a thing.
//!
//! ```
//! use grove_crdt::prelude::*;
//! use sea_orm::{ActiveValue::Set, ConnectionTrait, Database, EntityTrait, Schema};
//!
//! mod document {
//!     use grove_crdt::{Crdt, OrSet};
//!     use sea_orm::entity::prelude::*;
//!
//!     #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
//!     #[sea_orm(table_name = "documents")]
//!     pub struct Model {
//!         #[sea_orm(primary_key, auto_increment = false)]
//!         pub id: String,
//!         #[crdt(lww)]
//!         pub title: String,
//!         #[crdt(counter)]
//!         pub view_count: i64,
//!         #[crdt(set)]
//!         pub tags: OrSet<String>,
//!     }
//!
//!     #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
//!     pub enum Relation {}
//! }
//!
//! async fn open(node: &str) -> Result<Replica, Box<dyn std::error::Error>> {
//!     let db = Database::connect("sqlite::memory:").await?;
//!     db.execute(&Schema::new(db.get_database_backend()).create_table_from_entity(document::Entity)).await?;
//!     Ok(Replica::builder(node).entity::<document::Entity>().open(db).await?)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let (cloud, edge) = (open("cloud").await?, open("edge").await?);
//! document::ActiveModel {
//!     id: Set("doc-1".into()),
//!     title: Set("Hello".into()),
//!     view_count: Set(0),
//!     tags: Set(OrSet::from(["crdt".to_owned()])),
//! }
//! .insert(&edge)
//! .await?;
//!
//! let report = Syncer::builder(&edge).peer(MemoryTransport::new(&cloud)).build()?.sync().await?;
//! assert_eq!(report.to_string(), "pulled=0 pushed=1 merged=0 conflicts=0");
//! let there = document::Entity::find_by_id("doc-1").one(&cloud).await?.unwrap();
//! assert_eq!(there.title, "Hello");
//! # Ok(())
//! # }
//! ```
//!
//! # Overview
//!
//! - [`Crdt`] annotates an entity: how each field merges.
//! - [`Replica`] is the SeaORM connection whose writes are recorded. What it can't capture it refuses, saying how to do it.
//! - [`Syncer`](sync::Syncer) exchanges changes with peers over a [`Transport`](sync::Transport): in memory
//!   ([`MemoryTransport`](transport::MemoryTransport)), over HTTP ([`HttpTransport`](transport::HttpTransport)), or one
//!   of yours.
//! - [`SyncServer`](server::SyncServer) answers over HTTP, as an axum router.
//! - [`Service`] is both as one part of an application: it starts, serves and stops with it.
//! - [`Replica::adopt`] lets rows join that were there before; [`Replica::parked`] and [`Replica::dead_letters`] tell what
//!   waits and why; [`Replica::inspect`] shows a record.
//! - [`presence`] tells who is here, and what they are doing, while they do.
//! - [`SyncHook`](sync::SyncHook)s see, alter, skip and refuse what is exchanged.
//! - [`hooks`] are for entities with an `ActiveModelBehavior` of your own.
//!
//! # Features
//!
//! - `client` (default): [`HttpTransport`](transport::HttpTransport), on reqwest with rustls.
//! - `server` (default): [`SyncServer`](server::SyncServer), on axum.
//! - `jwt`: an authenticator that names peers by JSON Web Tokens, for the server.
//! - `openapi`: the server describes its routes, and serves that as an OpenAPI document.
//! - `sqlite`, `postgres`, `mysql`: SeaORM's drivers. The same as enabling `sqlx-sqlite` and so on for `sea-orm` itself.
//! - `migration`: the shadow tables as a migration of `sea-orm-migration`.
//!
//! The async runtime is chosen through SeaORM's features, and has to be tokio (`runtime-tokio`, with TLS or without).
//!
//! # Merging
//!
//! | field | merge |
//! |---|---|
//! | `lww` | the value with the newer hybrid clock stays |
//! | `counter` | every node's increments and decrements count |
//! | `set` | an element is there when some addition of it was not seen by its removals |
//! | the record | a delete beats edits that had not seen it; a row inserted again starts anew |
//!
//! `docs/merging.md` in the repository has the definitions, the invariants and each value's one JSON form.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod change;
mod clock;
mod entity;
mod error;
pub mod hooks;
#[cfg(feature = "migration")]
pub mod migration;
pub mod prelude;
pub mod presence;
mod replica;
#[cfg(feature = "server")]
pub mod server;
#[cfg(feature = "server")]
mod service;
mod store;
pub mod sync;
pub mod transport;
mod types;

pub use change::Change;
pub use clock::{FakeClock, Hlc, NodeId, SystemClock, WallClock};
pub use entity::{Counter, CrdtEntity, OrSet, SetElement};
pub use error::Error;
pub use grove_crdt_derive::Crdt;
pub use replica::{
    Adopt, AdoptProgress, AdoptReport, CounterPart, FieldState, Inspection, MergeReport, ParkedReason, ParkedRow,
    RecordState, Replica, ReplicaBuilder, ReplicaTransaction, Untracked, UntrackedTransaction,
};
#[cfg(feature = "server")]
pub use service::{Service, ServiceBuilder};
pub use sync::DeadLetter;
pub use types::Kind;

/// The README's entity is compiled; `examples/quickstart.rs` compiles and runs what its other examples show.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The guide to running a server is compiled.
#[cfg(all(doctest, feature = "server"))]
#[doc = include_str!("../../docs/server.md")]
struct ServerGuide;

/// The worked examples of hooks are compiled; the tests run them.
#[cfg(doctest)]
#[doc = include_str!("../../docs/hooks.md")]
struct HooksGuide;
