//! What stands in the URL and in the head of a request.

use utoipa::{
    ToSchema as _,
    openapi::{
        ArrayBuilder, Object, ObjectBuilder, Ref, RefOr, Required, Schema, Type,
        path::{Parameter, ParameterBuilder, ParameterIn, ParameterStyle},
    },
};

use crate::{
    clock::NodeId,
    presence::Topic,
    sync::{PROTOCOL_HEADER, PROTOCOL_VERSION, schema::ReplicaId},
};

const PROTOCOL: &str = "Protocol";
const ENCODING: &str = "ContentEncoding";

/// Those that several operations have.
pub(super) fn shared() -> [(&'static str, Parameter); 2] {
    let version = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some([PROTOCOL_VERSION.to_string()]));
    let encoding = ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(["identity", "gzip", "zstd"]));
    let version_about = "The version of the protocol; without it, a request is taken as one of version 1.";
    let encoding_about = "How the body is compressed, once or not at all.";
    [
        (PROTOCOL, header(PROTOCOL_HEADER, version_about, version)),
        (ENCODING, header("content-encoding", encoding_about, encoding)),
    ]
}

pub(super) fn protocol() -> Ref {
    reference(PROTOCOL)
}

pub(super) fn encoding() -> Ref {
    reference(ENCODING)
}

/// The one topic of `GET /presence`.
pub(super) fn topic() -> Parameter {
    query("topic", "Under which topic.", Ref::from_schema_name(Topic::name()))
        .required(Required::True)
        .build()
}

/// What a stream asks for.
pub(super) fn of_stream() -> Vec<Parameter> {
    let text = || Object::with_type(Type::String);
    let table = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[^,]+$"));
    let limit = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let bytes = ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1));
    let cursor = "Where to begin: the cursor of an answer, or the id of an event. From the beginning, when left out.";
    let seen = "The id of the event that was seen last, by which a client that was cut off goes on. It counts before \
                `cursor`.";
    vec![
        list("tables", "The tables to be told of, each named once.", table.into(), 1)
            .required(Required::True)
            .build(),
        query("cursor", cursor, text()).build(),
        query(
            "limit",
            "How many changes an event has at most; there may be fewer.",
            limit,
        )
        .build(),
        query(
            "max_bytes",
            "The largest event that the asker reads, in bytes. A change that is larger is left out, and `omitted` says so.",
            bytes,
        )
        .build(),
        query(
            "node_id",
            "Who asks. One who names no node only looks on.",
            Ref::from_schema_name(NodeId::name()),
        )
        .build(),
        query(
            "replica_id",
            "The identity of the asker's database: what came from there is left out. Only with `node_id`.",
            Ref::from_schema_name(ReplicaId::name()),
        )
        .build(),
        list(
            "topics",
            "The topics to be told of who is present; all that one may be told of, when left out, and none when empty. A \
             topic with a comma can't be named here.",
            Topic::in_list(),
            0,
        )
        .build(),
        header("last-event-id", seen, ObjectBuilder::new().schema_type(Type::String)),
    ]
}

/// Values separated by commas.
fn list(name: &str, about: &str, item: Schema, least: usize) -> ParameterBuilder {
    let items = ArrayBuilder::new().items(RefOr::from(item)).unique_items(least > 0);
    let items = if least > 0 { items.min_items(Some(least)) } else { items };
    query(name, about, items.build())
        .style(Some(ParameterStyle::Form))
        .explode(Some(false))
}

fn query(name: &str, about: &str, schema: impl Into<RefOr<Schema>>) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
}

fn header(name: &str, about: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(about))
        .schema(Some(schema))
        .build()
}

fn reference(name: &str) -> Ref {
    Ref::new(format!("#/components/parameters/{name}"))
}
