//! What generated code names. Not part of the public API: it changes without notice, together with the derive.

pub use async_trait::async_trait;
pub use sea_orm;

pub use crate::{
    entity::{
        CounterField, CrdtEntity, Field, LocalDefault, Operation, Remembered, SetOperationFallback, SetProbe, SetStep,
    },
    replica::{
        merge_remote,
        write::{delete, increment, insert, save, update, update_without_returning},
    },
};
