//! The replica: a SeaORM connection whose writes are recorded.
//!
//! A statement that reaches the wrapper is a read, and passes through; or a write that a hook announced, whose effect is
//! known ([`announce`]); or any other write, which is parsed and captured by comparing the affected rows before and after
//! ([`statement`], [`watch`]). Effects are collected in the transaction's [`session`] and written to the shadow tables
//! once, just before COMMIT ([`flush`]), unless one row is all that is written: then its record goes along with it
//! ([`along`]). What comes from other nodes goes the other way ([`merge`]), past the application's
//! hooks ([`sync_hook`]).

mod adopt;
mod ahead;
mod along;
pub(crate) mod announce;
mod apply;
mod audience;
mod begun;
mod builder;
mod call;
mod collected;
mod connection;
mod core;
mod count;
mod court;
mod effect;
mod extent;
mod flush;
mod foreign_keys;
mod foretold;
mod fragment;
mod given;
mod guard;
mod hook_chain;
mod hook_error;
mod incoming;
mod insert;
mod inspect;
mod introduction;
mod join;
mod judge;
mod lease;
mod lock;
mod log;
mod made_keys;
mod merge;
mod meters;
pub(crate) mod metrics;
mod moved;
mod news;
mod occasion;
mod parking;
mod parsed;
mod peer;
mod placeholders;
mod rows;
mod sections;
mod selection;
mod session;
mod sets;
mod share;
pub(crate) mod shelf;
mod shown;
mod source;
mod statement;
mod steps;
mod sync_hook;
mod transaction;
mod unseen;
mod untracked;
mod upgrade;
mod watch;
mod words;
pub(crate) mod write;

pub use adopt::{Adopt, AdoptProgress, AdoptReport};
pub(crate) use audience::{Listener, ToldUpTo};
pub use builder::ReplicaBuilder;
pub use connection::Replica;
pub(crate) use core::{Core, Ending, transact};
pub(crate) use hook_chain::HookChain;
#[cfg(feature = "server")]
pub(crate) use hook_chain::panic_words;
pub use hook_error::HookError;
pub use inspect::{CounterPart, FieldState, Inspection, RecordState};
pub use merge::MergeReport;
pub use merge::merge_remote;
pub(crate) use merge::{Merged, merge};
pub(crate) use meters::Way;
#[cfg(feature = "server")]
pub(crate) use meters::{Durations, durations};
pub(crate) use news::News;
pub use parking::{ParkedReason, ParkedRow};
pub use peer::Peer;
pub use sync_hook::{MergeEvent, OutboundPage, SyncHook};
pub use transaction::ReplicaTransaction;
pub use untracked::{Untracked, UntrackedTransaction};
