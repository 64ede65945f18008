//! The parts of a change in the OpenAPI document.

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{
        ArrayBuilder, ObjectBuilder, RefOr, Schema, Type,
        schema::{AdditionalProperties, ArrayItems, OneOfBuilder},
    },
};

use crate::{
    change::{RejectionCode, rejection::CODES},
    clock::{MAX_TS, Writer},
};

impl PartialSchema for RejectionCode {
    fn schema() -> RefOr<Schema> {
        let known: Vec<_> = CODES.iter().map(|(code, _)| format!("`{code}`")).collect();
        let about = format!(
            "What kind of refusal it is: {}; or a hook's own code, or one of a later version.",
            known.join(", ")
        );
        ObjectBuilder::new()
            .schema_type(Type::String)
            .pattern(Some("^[a-z0-9_]{1,64}$"))
            .description(Some(about))
            .into()
    }
}

impl ToSchema for RejectionCode {}

/// What one node has added to a counter and taken away.
pub(crate) struct CounterTotals;

impl PartialSchema for CounterTotals {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("inc", total())
            .property("dec", total())
            .required("inc")
            .required("dec")
            .additional_properties(Some(no_other()))
            .description(Some("What one node has added to a counter and taken away, ever."))
            .into()
    }
}

impl ToSchema for CounterTotals {}

/// Numbers are exact as far as JavaScript's are.
fn total() -> OneOfBuilder {
    let number = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(0))
        .maximum(Some(MAX_TS));
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[1-9][0-9]{15,28}$"))
        .description(Some("An integer beyond 2^53, up to 2^96."));
    OneOfBuilder::new().item(number).item(text)
}

/// Which additions of a set's element were seen, and which were removed.
pub(crate) struct SetTags;

impl PartialSchema for SetTags {
    fn schema() -> RefOr<Schema> {
        let tags = ObjectBuilder::new()
            .property("add", point("The newest addition seen."))
            .property("rem", point("The newest addition that was removed."))
            .additional_properties(Some(no_other()));
        let nodes = match Writer::schema() {
            RefOr::T(writer) => Some(writer),
            RefOr::Ref(_) => None,
        };
        ObjectBuilder::new()
            .property_names(nodes)
            .additional_properties(Some(Schema::from(tags)))
            .description(Some(
                "By node, which of its additions of an element were seen, and which were removed.",
            ))
            .into()
    }
}

impl ToSchema for SetTags {}

/// A point of a node's clock: time and counter.
fn point(about: &str) -> ArrayBuilder {
    let part = |most: i64| {
        let part = ObjectBuilder::new().schema_type(Type::Integer);
        Schema::from(part.minimum(Some(0)).maximum(Some(most)))
    };
    ArrayBuilder::new()
        .items(ArrayItems::False)
        .prefix_items([part(MAX_TS), part(u32::MAX.into())])
        .min_items(Some(2))
        .max_items(Some(2))
        .description(Some(format!("{about} A point of the node's clock: `ts` and `c`.")))
}

fn no_other() -> AdditionalProperties<Schema> {
    AdditionalProperties::FreeForm(false)
}
