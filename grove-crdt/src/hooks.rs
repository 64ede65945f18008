//! The hook functions that `#[derive(Crdt)]` calls from the `ActiveModelBehavior` it writes.
//!
//! With `#[crdt(behavior = "manual")]` the implementation is yours, and it calls these, each from the method of its name:
//!
//! ```ignore
//! #[async_trait]
//! impl ActiveModelBehavior for ActiveModel {
//!     async fn before_save<C: ConnectionTrait>(mut self, db: &C, insert: bool) -> Result<Self, DbErr> {
//!         if let Set(title) = &mut self.title {
//!             *title = title.trim().to_owned();
//!         }
//!         grove_crdt::hooks::before_save(self, db, insert).await
//!     }
//!     // … and `after_save`, `before_delete`, `after_delete`
//! }
//! ```
//!
//! Call `before_save` last, with the values that are to be saved. A write that is not announced is still captured on a
//! replica, by comparing rows. But without the hooks, what `Counter` and `OrSet` fields remember counts for nothing,
//! and a write on a connection that is no replica is not refused.

pub use crate::replica::announce::{after_delete, after_save, before_delete, before_save};
