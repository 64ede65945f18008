//! The trait that the derive implements, and the words it does it with.

use std::{any::TypeId, fmt};

use sea_orm::{
    DbErr, EntityTrait, IdenStatic as _, QueryResult, TryGetable, Value,
    sea_query::{ArrayType, ValueType},
};
use serde_json::Value as Json;

use crate::{
    entity::{CounterField, origin::Origin, table::Role},
    types::Kind,
};

/// An entity whose rows are replicated. `#[derive(Crdt)]` on the model implements it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a replicated entity",
    label = "add `Crdt` to the derives of its `Model`, beside `DeriveEntityModel`"
)]
pub trait CrdtEntity: EntityTrait {
    /// Every column of the entity, in the order of declaration.
    fn fields() -> Vec<Field<Self>>;

    /// What the fields that `active` sets remember since they were loaded.
    fn remembered(active: &Self::ActiveModel) -> Vec<(Self::Column, Remembered)>;
}

/// What a value remembers.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
    /// What was done to it since it was loaded.
    pub(crate) operation: Operation,
    /// The row it was loaded from, if that is known.
    pub(crate) origin: Option<Origin>,
}

/// What a column type remembers of what was done to it since it was loaded.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// A counter was moved by this much.
    Increment(i64),
    /// A set's elements were added and removed, in this order.
    Elements(Vec<SetStep>),
}

/// One step of [`Operation::Elements`].
#[derive(Clone, Debug, PartialEq)]
pub enum SetStep {
    /// The element was added.
    Add(Json),
    /// The element, which had been read, was removed.
    Remove(Json),
}

/// One column as the derive describes it.
pub struct Field<E: EntityTrait> {
    pub(super) column: E::Column,
    pub(super) role: Role,
    pub(super) value_type: ArrayType,
    pub(super) accepts: fn(&Value) -> bool,
    pub(super) read: Read,
    pub(super) remembers: bool,
}

/// Reads the value of a named column of a result.
pub(super) type Read = fn(&QueryResult, &str) -> Result<Value, DbErr>;

impl<E: EntityTrait> fmt::Debug for Field<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Field")
            .field("column", &self.column.as_str())
            .finish_non_exhaustive()
    }
}

impl<E: EntityTrait> Field<E> {
    fn new<T: ColumnValue>(column: E::Column, role: Role) -> Self {
        Self {
            column,
            role,
            value_type: T::array_type(),
            accepts: accepts::<T>,
            read: |row, name| row.try_get_by::<T, _>(name).map(Into::into),
            remembers: false,
        }
    }

    /// Says whether the column's type remembers steps.
    #[must_use]
    pub fn remembering(self, remembers: bool) -> Self {
        Self { remembers, ..self }
    }

    /// A column of the primary key.
    #[must_use]
    pub fn key<T: ColumnValue>(column: E::Column) -> Self {
        Self::new::<T>(column, Role::Key)
    }

    /// A column under `#[crdt(lww)]`.
    #[must_use]
    pub fn lww<T: ColumnValue>(column: E::Column) -> Self {
        Self::new::<T>(column, Role::Replicated(Kind::Lww))
    }

    /// A column under `#[crdt(counter)]`.
    #[must_use]
    pub fn counter<T: ColumnValue + CounterField>(column: E::Column) -> Self {
        Self::new::<T>(column, Role::Replicated(Kind::Counter)).remembering(T::REMEMBERS)
    }

    /// A column under `#[crdt(set)]`.
    #[must_use]
    pub fn set<T: ColumnValue>(column: E::Column) -> Self {
        Self::new::<T>(column, Role::Replicated(Kind::Set))
    }

    /// A column without a tag: it stays on this node. A row that arrives new takes `default`.
    #[must_use]
    pub fn local<T: ColumnValue>(column: E::Column, default: fn() -> T) -> Self {
        Self::new::<T>(column, Role::Local(std::sync::Arc::new(move || default().into())))
    }
}

/// A type that a column of a SeaORM model can have.
pub trait ColumnValue: ValueType + TryGetable + Into<Value> + 'static {}

impl<T: ValueType + TryGetable + Into<Value> + 'static> ColumnValue for T {}

/// Whether a value is one of a field's type.
fn accepts<T: ValueType + 'static>(value: &Value) -> bool {
    let is = |other| TypeId::of::<T>() == other;
    match value {
        // Most texts; they need not be copied to be looked at.
        Value::String(Some(_)) if is(TypeId::of::<String>()) || is(TypeId::of::<Option<String>>()) => true,
        value => T::try_from(value.clone()).is_ok(),
    }
}

/// A type that an untagged column can take when its row arrives from another node: any type with a [`Default`].
#[diagnostic::on_unimplemented(
    message = "the untagged field of type `{Self}` has no value for rows that arrive from other nodes",
    label = "`{Self}` has no `Default`: tag the field (`#[crdt(lww)]`), make it an `Option`, or add `#[crdt(default = …)]`"
)]
pub trait LocalDefault {
    /// The value for a row that arrives new.
    fn local_default() -> Self;
}

impl<T: Default> LocalDefault for T {
    fn local_default() -> Self {
        Self::default()
    }
}
