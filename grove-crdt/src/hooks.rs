//! The hook functions that `#[derive(Crdt)]` calls from the `ActiveModelBehavior` it writes.
//!
//! With `#[crdt(behavior = "manual")]` the implementation is yours, and it calls these, each from the method of its name:
//!
//! ```ignore
//! #[async_trait]
//! impl ActiveModelBehavior for ActiveModel {
//!     async fn before_save<C: ConnectionTrait>(mut self, db: &C, insert: bool) -> Result<Self, DbErr> {
//!         self.title = Set(self.title.take().unwrap_or_default().trim().to_owned());
//!         grove_crdt::hooks::before_save(self, db, insert).await
//!     }
//!     // … and `after_save`, `before_delete`, `after_delete`
//! }
//! ```

pub use crate::replica::announce::{after_delete, after_save, before_delete, before_save};
