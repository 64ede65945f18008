//! `#[derive(Crdt)]`, the derive macro of `grove-crdt`.
//!
//! Depend on `grove-crdt`, which re-exports it. The pipeline is the list of files: `attr` reads the `#[crdt(…)]`
//! attributes and `sea_orm` those of SeaORM, `model` puts both together, `check` judges the whole, `expand` writes the
//! code, and `fallback` writes a stand-in when something was wrong. All of them report to one `ctxt`.

mod attr;
mod check;
mod ctxt;
mod expand;
mod fallback;
mod model;
mod sea_orm;
mod suggest;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Makes a SeaORM entity replicate: each tagged field merges on its own, on every node, in any order.
///
/// It stands beside `DeriveEntityModel`, in the classic entity format as well as under `#[sea_orm::model]`, on the
/// struct `Model`:
///
/// ```ignore
/// use grove_crdt::{Crdt, OrSet};
/// use sea_orm::entity::prelude::*;
///
/// #[sea_orm::model]
/// #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
/// #[sea_orm(table_name = "documents")]
/// pub struct Model {
///     #[sea_orm(primary_key, auto_increment = false)]
///     pub id: String,
///     #[crdt(lww)]
///     pub title: String,
///     #[crdt(counter)]
///     pub view_count: i64,
///     #[crdt(set)]
///     pub tags: OrSet<String>,
///     pub author: Option<String>,
/// }
/// ```
///
/// # Fields
///
/// | attribute | the field | its type |
/// |---|---|---|
/// | `#[crdt(lww)]` | last writer wins, by hybrid logical clock | any column type |
/// | `#[crdt(counter)]` | increments of all nodes add up | `i8` to `i64`, or `Counter` |
/// | `#[crdt(set)]` | additions and removals of elements merge, an addition wins | `OrSet<T>`, or a newtype of a JSON array |
/// | none | stays on this node | anything with a `Default` |
/// | `#[crdt(default = expr)]` | stays on this node; `expr` is its value in rows that arrive from elsewhere | any column type |
///
/// A field has one kind. The primary key takes no attribute: it names the row on every node. Fields under
/// `#[sea_orm(ignore)]` and relation fields are no columns, and are left alone. At least one field must be tagged,
/// unless the key is all there is (a join table), where rows come and go as wholes.
///
/// # The struct
///
/// - `#[crdt(behavior = "manual")]`: leaves `impl ActiveModelBehavior for ActiveModel` to you. Call
///   `grove_crdt::hooks::before_save` and its three siblings from your own hooks; `grove_crdt::hooks` says why.
/// - `#[crdt(allow_auto_increment)]`: accepts a key that the database counts up. Two nodes that both insert would give
///   the same number to different rows, so this is for tables into which a single node inserts.
/// - `#[crdt(crate = "path")]`: where to find `grove-crdt`, when it isn't at `::grove_crdt`.
///
/// # What it generates
///
/// - `CrdtEntity` for `Entity`: the fields and what each of them is.
/// - `ActiveModelBehavior` for `ActiveModel`: the hooks through which a write announces itself.
/// - `ActiveModel::insert`, `update`, `update_without_returning`, `save` and `delete`, in front of the trait's methods
///   of the same names: the row and what is replicated of it are committed together, or not at all.
/// - `ActiveModel::increment_<field>(db, key, by)` for each counter: one atomic step on a row that nobody has loaded.
///   It fails with `DbErr::RecordNotUpdated` when there is no such row.
/// - `Model::merge_remote(replica, changes)`: merges changes of this entity that came from another node.
///
/// On `ModelEx`, the twin that `#[sea_orm::model]` makes of the struct with all its derives, it generates nothing.
#[proc_macro_derive(Crdt, attributes(crdt))]
pub fn derive_crdt(input: TokenStream) -> TokenStream {
    expand::derive(&parse_macro_input!(input as DeriveInput)).into()
}
