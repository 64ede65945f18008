//! Node ids in the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};

use crate::clock::NodeId;

impl PartialSchema for NodeId {
    fn schema() -> RefOr<Schema> {
        let id = text("^[A-Za-z0-9._:-]{1,64}$").description(Some("The name of one writer."));
        id.examples(["edge-1"]).into()
    }
}

impl ToSchema for NodeId {}

/// A node id in a place where the reserved one of adopted rows may stand as well.
pub(crate) struct Writer;

impl PartialSchema for Writer {
    fn schema() -> RefOr<Schema> {
        let writer = text("^(?:[A-Za-z0-9._:-]{1,64}|~)$");
        let about = "Who wrote: a node, or `~` for rows that were there before replication.";
        writer.description(Some(about)).into()
    }
}

impl ToSchema for Writer {}

fn text(pattern: &str) -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern))
}
