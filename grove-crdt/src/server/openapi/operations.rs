//! What can be asked, path by path.

use serde_json::{Value as Json, json};
use utoipa::{
    ToSchema,
    openapi::{
        Content, ContentBuilder, HttpMethod, ObjectBuilder, PathItem, Paths, PathsBuilder, Ref, Required, Response,
        ResponseBuilder, SecurityRequirement, Type,
        path::{Operation, OperationBuilder},
        request_body::RequestBodyBuilder,
        schema::OneOfBuilder,
    },
};

use crate::{
    presence::{PresenceItem, PresenceLimits},
    server::{
        Limits,
        error::ErrorAnswer,
        openapi::{
            errors::{self, Told},
            parameters,
        },
    },
    sync::{
        ErrorBody, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse, Refusal,
        TopicPresences, schema::ReplicaId,
    },
};

const JSON: &str = "application/json";

/// Every path that there is.
pub(super) fn paths() -> Paths {
    let limits = Limits::default();
    let mut presence = PathItem::new(HttpMethod::Post, tell(&limits));
    presence.merge_operations(PathItem::new(HttpMethod::Get, ask()));
    PathsBuilder::new()
        .path("/pull", PathItem::new(HttpMethod::Post, pull(&limits)))
        .path("/push", PathItem::new(HttpMethod::Post, push(&limits)))
        .path("/stream", PathItem::new(HttpMethod::Get, stream(&limits)))
        .path("/presence", presence)
        .path("/health", PathItem::new(HttpMethod::Get, health()))
        .path("/metrics", PathItem::new(HttpMethod::Get, metrics(&limits)))
        .path("/openapi.json", PathItem::new(HttpMethod::Get, document()))
        .build()
}

fn pull(limits: &Limits) -> Operation {
    let about = format!(
        "Answers with the changes after the cursor, in the answerer's commit order: {} unless `limit` says otherwise, and {} \
         at most. Changes that came from the asker and stand as they came are left out.",
        limits.page_for(None),
        limits.page_for(Some(usize::MAX)),
    );
    let request =
        json!({ "node_id": "edge-1", "replica_id": ReplicaId::EXAMPLE, "tables": ["documents"], "limit": 1000 });
    let mut told = posted_errors(limits);
    told.extend([
        errors::without_sense(
            "table `documents` is named twice",
            "a request that makes no sense: a filter, a limit or `max_bytes` of 0, a cursor that this server did not give out, a table \
             named twice, the reserved node id, or an identity of a database that is none",
        ),
        errors::of_tables(),
        errors::of_hooks(),
    ]);
    posted::<PullRequest, PullResponse>(
        "pull",
        "Ask for changes",
        request,
        "The changes after the cursor.",
        told,
    )
    .description(Some(about))
    .tag("changes")
    .build()
}

fn push(limits: &Limits) -> Operation {
    let about = format!(
        "Delivers changes, up to {} at once. Each is judged alone; a refused one spoils no other, and is told of in the \
         answer.",
        limits.changes
    );
    let change = json!({
        "table": "documents", "pk": "doc-1", "field": "title", "crdt_type": "lww", "epoch": 1,
        "hlc": { "ts": 1_730_000_000_000_000_i64, "c": 0, "node": "edge-1" }, "node_id": "edge-1", "value": "Hello",
    });
    let request = json!({ "node_id": "edge-1", "replica_id": ReplicaId::EXAMPLE, "changes": [change] });
    let mut told = posted_errors(limits);
    told.push(errors::without_sense(
        "`node_id` and `replica_id` must name the asking replica",
        "the reserved node id, or an identity of a database that is none",
    ));
    posted::<PushRequest, PushResponse>("push", "Deliver changes", request, "What became of the changes.", told)
        .description(Some(about))
        .tag("changes")
        .build()
}

fn stream(limits: &Limits) -> Operation {
    let about = format!(
        "Answers with server-sent events for as long as both sides like: `changes`, what a pull would answer, page after page, \
         and from then on what is committed, as it is; and `presence`. The `id` of an event is the cursor after it. The first \
         event is `changes`, and comes at once. Comments come when there has been nothing else for a while. A stream that can't \
         go on ends with an event `error`. {} streams may be open at once, and {} of one peer.",
        limits.streams, limits.streams_per_peer
    );
    let events = OneOfBuilder::new()
        .item(event::<PullResponse>("changes", true))
        .item(event::<PresenceItem>("presence", false))
        .item(event::<ErrorBody>("error", false))
        .description(Some(
            "One event; there are many. Kinds that are not known are to be passed over.",
        ));
    let answer = ResponseBuilder::new()
        .description("Events, without end.")
        .content("text/event-stream", Content::new(Some(events)));
    let mut told = errors::of_callers();
    told.extend(errors::of_nodes());
    told.extend([
        errors::without_sense(
            "say which tables: `?tables=…,…`",
            "a request that makes no sense: no tables, a limit or `max_bytes` that is none, a bad cursor, a table named twice, a database \
             without its node, no node id, a topic that is none, or a parameter given twice",
        ),
        errors::of_tables(),
        Told::new(
            ErrorAnswer::too_many_streams("this peer has all 16 streams open that one may have"),
            "as many streams are open as may be, in all or of this peer",
        ),
        errors::of_work(limits),
    ]);
    asked("stream", "Listen to changes and presence", answer, told)
        .parameters(Some(parameters::of_stream()))
        .description(Some(about))
        .tag("changes")
        .build()
}

/// A kind of event, by the form of its data.
fn event<T: ToSchema>(kind: &str, has_id: bool) -> ObjectBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let data = text().content_media_type(JSON).content_schema(Some(reference::<T>()));
    let event = ObjectBuilder::new()
        .property("event", text().enum_values(Some([kind])))
        .property("data", data)
        .required("event")
        .required("data");
    if has_id {
        let id = text().description(Some("The cursor after the event."));
        event.property("id", id).required("id")
    } else {
        event
    }
}

fn tell(limits: &Limits) -> Operation {
    let presence = PresenceLimits::default();
    let about = format!(
        "What a node says of itself: data under a topic to join, to change it or to stay, `null` to leave. Topics that are \
         not named stay as they are. A topic has up to {} bytes, and data up to {} bytes without blanks, nested up to 100 \
         levels deep. A node has up to {} topics, a topic up to {} nodes, and a server {} presences. When the first part of a \
         topic, before a colon, is the name of a replicated table, only those may speak under it who may read the table.",
        presence.topic, presence.data, presence.topics_per_node, presence.nodes_per_topic, presence.presences
    );
    let topics = json!({ "documents:doc-1": { "cursor": 7 }, "documents:doc-2": null });
    let request = json!({ "node_id": "edge-1", "replica_id": ReplicaId::EXAMPLE, "topics": topics });
    let mut told = posted_errors(limits);
    told.extend([
        errors::without_sense(
            "\"\" is no topic: it has 1 to 256 bytes, and no control characters",
            "a topic that is none, the reserved node id, or an identity of a database that is none",
        ),
        Told::new(
            Refusal::LimitReached("node `edge-1` may be present under 100 topics: leave some first".into()),
            "there are as many presences as there may be; there may be room later",
        ),
    ]);
    let answer = "How long that stands without being said again.";
    posted::<PresenceRequest, PresenceResponse>("tellPresence", "Say who is here", request, answer, told)
        .description(Some(about))
        .tag("presence")
        .build()
}

fn ask() -> Operation {
    let answer = ResponseBuilder::new()
        .description("All that are present under the topic, by node.")
        .content(JSON, Content::new(Some(reference::<TopicPresences>())));
    let mut told = errors::of_callers();
    told.push(errors::without_sense(
        "say which topic: `?topic=…`",
        "no topic, or none that is one, or several",
    ));
    asked("askPresence", "Ask who is here", answer, told)
        .parameter(parameters::topic())
        .tag("presence")
        .build()
}

fn health() -> Operation {
    let status = |status: &str, about: &str| {
        let status = ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some([status]));
        let body = ObjectBuilder::new().property("status", status).required("status");
        let content = Content::new(Some(body.build()));
        ResponseBuilder::new().description(about).content(JSON, content)
    };
    OperationBuilder::new()
        .operation_id(Some("health"))
        .summary(Some("Whether the server can do its work"))
        .securities(Some([] as [SecurityRequirement; 0]))
        .response("200", status("ok", "It can."))
        .response(
            "503",
            status("unavailable", "Its database does not answer, or it is about to end."),
        )
        .tag("server")
        .build()
}

fn metrics(limits: &Limits) -> Operation {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let answer = ResponseBuilder::new()
        .description("The counts, in the text format of Prometheus.")
        .content("text/plain", Content::new(Some(text.build())));
    let mut told = errors::of_callers();
    told.push(errors::of_work(limits));
    asked("metrics", "What the server counts", answer, told)
        .tag("server")
        .build()
}

fn document() -> Operation {
    let body = ObjectBuilder::new().description(Some("An OpenAPI document."));
    let answer = ResponseBuilder::new()
        .description("This document.")
        .content(JSON, Content::new(Some(body.build())));
    OperationBuilder::new()
        .operation_id(Some("openapi"))
        .summary(Some("What can be asked here"))
        .securities(Some([] as [SecurityRequirement; 0]))
        .response("200", answer)
        .tag("server")
        .build()
}

/// The errors of requests with a body, which name a node.
fn posted_errors(limits: &Limits) -> Vec<Told> {
    let mut told = errors::of_callers();
    told.extend(errors::of_bodies(limits));
    told.extend(errors::of_nodes());
    told.push(errors::of_posted_work(limits));
    told
}

/// An operation that takes a body.
fn posted<Q: ToSchema, A: ToSchema>(
    id: &str,
    summary: &str,
    example: Json,
    answer: &str,
    told: Vec<Told>,
) -> OperationBuilder {
    let limits = Limits::default();
    let about = format!(
        "Up to {} bytes, on the wire and decompressed, and {} JSON values, which have to arrive within {:?}.",
        limits.body, limits.values, limits.read_timeout
    );
    let body = ContentBuilder::new()
        .schema(Some(reference::<Q>()))
        .example(Some(example))
        .build();
    let body = RequestBodyBuilder::new()
        .description(Some(about))
        .content(JSON, body)
        .required(Some(Required::True));
    let answer = ResponseBuilder::new()
        .description(answer)
        .content(JSON, Content::new(Some(reference::<A>())));
    asked(id, summary, answer, told)
        .parameter_ref(parameters::encoding())
        .request_body(Some(body.build()))
}

/// An operation of a peer that has to say who it is.
fn asked(id: &str, summary: &str, answer: impl Into<Response>, told: Vec<Told>) -> OperationBuilder {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(id))
        .summary(Some(summary))
        .parameter_ref(parameters::protocol())
        .response("200", answer.into());
    for (status, response) in errors::responses(told) {
        operation = operation.response(status, response);
    }
    operation
}

fn reference<T: ToSchema>() -> Ref {
    Ref::from_schema_name(T::name())
}
