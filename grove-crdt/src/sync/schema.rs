//! The parts of requests in the OpenAPI document that their types don't say.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        Array, ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type,
        schema::{AnyOfBuilder, SchemaType},
    },
};

use crate::{change::Change, sync::respond::MAX_REPLICA_ID};

/// The identity of a database.
pub(crate) struct ReplicaId;

impl ReplicaId {
    /// One like those that replicas make.
    pub(crate) const EXAMPLE: &str = "5f0c0a3e-2c1d-4b7a-9a53-6b1f0d3c8e42";
}

impl PartialSchema for ReplicaId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(MAX_REPLICA_ID))
            .pattern(Some(r"^[^\u0000-\u001f\u007f-\u009f]+$"))
            .examples([Self::EXAMPLE])
            .description(Some(format!(
                "The identity of a database: 1 to {MAX_REPLICA_ID} bytes of UTF-8, and no control characters."
            )))
            .into()
    }
}

impl ToSchema for ReplicaId {}

/// Tables, each named once.
pub(super) fn tables() -> Array {
    ArrayBuilder::new()
        .items(Object::with_type(Type::String))
        .unique_items(true)
        .description(Some("The tables to be told of, each named once."))
        .build()
}

/// What is left out, or says nothing.
pub(super) fn nothing() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Null)
        .description(Some("Reserved: a filter is refused, not ignored."))
        .build()
}

/// What is pushed: a change that is none is refused, and the request is not.
pub(super) fn pushed() -> Array {
    let anything = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some("Whatever is no change is refused alone, as `malformed`."));
    let item = AnyOfBuilder::new()
        .item(Ref::from_schema_name(Change::name()))
        .item(anything);
    ArrayBuilder::new()
        .items(item)
        .description(Some(
            "The changes. Each is judged alone, so that one that can't be read spoils no other.",
        ))
        .build()
}
