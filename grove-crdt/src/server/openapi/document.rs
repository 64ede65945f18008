//! The document as a whole.

use std::sync::LazyLock;

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse, Response},
};
use utoipa::{
    ToSchema,
    openapi::{
        Components, ComponentsBuilder, InfoBuilder, License, OpenApi, OpenApiBuilder, RefOr, Schema,
        SecurityRequirement, ServerBuilder, Tag,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

use crate::{
    change::Change,
    presence::{PresenceItem, PresenceSnapshot},
    server::openapi::{errors, operations, parameters},
    sync::{
        ErrorBody, PresenceRequest, PresenceResponse, PullRequest, PullResponse, PushRequest, PushResponse,
        TopicPresences,
    },
};

/// The name of the one way to say who asks.
const BEARER: &str = "bearer";

const ABOUT: &str = "\
Replicas of SQL tables exchange what changed: by request, or live. The protocol is described in prose in \
`docs/protocol.md`.

Sizes and rates are those of a server that was not set up otherwise, and so is the way to say who asks: a server may ask \
for something else than a token, or let in everybody. Requests and answers may be compressed with gzip and zstd. A path \
that is not here is answered with 404, another method with 405, both with the body of an error; whatever serves the routes \
may answer by itself what is no HTTP, or has too long a head. Every request may be repeated.";

/// The routes of a [`SyncServer`](crate::server::SyncServer) as an OpenAPI document, which it serves at `openapi.json`.
///
/// It can be part of one of your own:
///
/// ```
/// use utoipa::openapi::{Info, OpenApi, Paths};
///
/// let own = OpenApi::new(Info::new("Documents", "1.0.0"), Paths::new());
/// let whole = own.nest("/sync", grove_crdt::server::openapi());
/// assert!(whole.paths.paths.contains_key("/sync/pull"));
/// ```
#[must_use]
pub fn openapi() -> OpenApi {
    let info = InfoBuilder::new()
        .title("grove-crdt sync server")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(License::new("MIT OR Apache-2.0")));
    // Beside the document, wherever the routes are nested.
    let server = ServerBuilder::new()
        .url(".")
        .description(Some("where this document is"));
    OpenApiBuilder::new()
        .info(info)
        .servers(Some([server.build()]))
        .paths(operations::paths())
        .components(Some(components()))
        .security(Some([SecurityRequirement::new(BEARER, [] as [&str; 0])]))
        .tags(Some([
            tag("changes", "What has been written, and is merged."),
            tag("presence", "Who is here, and what they are doing."),
            tag("server", "The server itself. Told to anybody."),
        ]))
        .build()
}

/// `GET /openapi.json`
pub(in crate::server) async fn serve() -> Response {
    // Nothing of it can fail to be written as JSON.
    static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_json().unwrap_or_default());
    ([(CONTENT_TYPE, "application/json")], TEXT.as_str()).into_response()
}

fn components() -> Components {
    let mut schemas = Vec::new();
    add::<PullRequest>(&mut schemas);
    add::<PullResponse>(&mut schemas);
    add::<PushRequest>(&mut schemas);
    add::<PushResponse>(&mut schemas);
    add::<Change>(&mut schemas);
    add::<PresenceRequest>(&mut schemas);
    add::<PresenceResponse>(&mut schemas);
    add::<TopicPresences>(&mut schemas);
    add::<PresenceItem>(&mut schemas);
    add::<PresenceSnapshot>(&mut schemas);
    add::<crate::presence::Presence>(&mut schemas);
    add::<crate::presence::PresenceEvent>(&mut schemas);
    add::<ErrorBody>(&mut schemas);
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A token that names the peer: a secret, or a JSON Web Token."));
    let mut components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    for (name, parameter) in parameters::shared() {
        components = components.parameter(name, parameter);
    }
    for (name, response) in errors::everywhere() {
        components = components.response(name, response);
    }
    components.build()
}

/// A type's schema, and those that it names.
fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
    schemas.push((T::name().into_owned(), T::schema()));
    T::schemas(schemas);
}

fn tag(name: &str, about: &str) -> Tag {
    let mut tag = Tag::new(name);
    tag.description = Some(about.to_owned());
    tag
}
