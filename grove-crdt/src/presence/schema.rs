//! Presence in the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Schema, Type,
        schema::{OneOfBuilder, SchemaType},
    },
};

use crate::presence::{Presence, PresenceData, PresenceEvent, PresenceItem, PresenceSnapshot};

/// What somebody is present under.
pub(crate) struct Topic;

impl Topic {
    /// One line, of anything but these characters.
    fn text(without: &str) -> Schema {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some(format!(r"^[^\u0000-\u001f\u007f-\u009f{without}]+$")))
            .examples(["documents:doc-1"])
            .into()
    }

    /// One that can be named in a list separated by commas.
    pub(crate) fn in_list() -> Schema {
        Self::text(",")
    }
}

impl PartialSchema for Topic {
    fn schema() -> RefOr<Schema> {
        Self::text("").into()
    }
}

impl ToSchema for Topic {}

impl PartialSchema for PresenceData {
    fn schema() -> RefOr<Schema> {
        let types = [Type::Object, Type::Array, Type::String, Type::Number, Type::Boolean];
        ObjectBuilder::new()
            .schema_type(SchemaType::from_iter(types))
            .description(Some("What a node tells under a topic: any JSON but `null`."))
            .into()
    }
}

impl ToSchema for PresenceData {}

/// By topic, data or nothing.
pub(crate) fn said() -> Object {
    let topic = Topic::text("");
    let anything = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .description(Some("Data to join, to change it or to stay; `null` to leave."));
    ObjectBuilder::new()
        .property_names(Some(topic))
        .additional_properties(Some(Schema::from(anything)))
        .description(Some("By topic. It is taken as a whole or not at all."))
        .build()
}

impl PartialSchema for PresenceSnapshot {
    fn schema() -> RefOr<Schema> {
        let flag = |about: &str| {
            let flag = ObjectBuilder::new().schema_type(Type::Boolean);
            flag.description(Some(about.to_owned()))
        };
        let kind = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(["snapshot"]));
        let presences = ArrayBuilder::new().items(Ref::from_schema_name(Presence::name()));
        ObjectBuilder::new()
            .property("kind", kind)
            .property("presences", presences.description(Some("By topic and node.")))
            .property(
                "resync",
                flag("The listener fell behind, and events are missing before this."),
            )
            .property("more", flag("Only a part: the next object goes on with it."))
            .required("kind")
            .required("presences")
            .description(Some("All that is there, in the place of whatever was told before."))
            .into()
    }
}

impl ToSchema for PresenceSnapshot {}

impl PartialSchema for PresenceItem {
    fn schema() -> RefOr<Schema> {
        OneOfBuilder::new()
            .item(Ref::from_schema_name(PresenceSnapshot::name()))
            .item(Ref::from_schema_name(PresenceEvent::name()))
            .description(Some("The data of an event `presence` of a stream."))
            .into()
    }
}

impl ToSchema for PresenceItem {}
