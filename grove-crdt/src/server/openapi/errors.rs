//! Answers that are errors, as the document tells of them: their statuses, codes and headers are those of the answers that
//! the server itself makes.

use std::{collections::BTreeMap, time::Duration};

use axum::http::StatusCode;
use utoipa::{
    ToSchema as _,
    openapi::{
        ContentBuilder, Header, ObjectBuilder, Ref, Response, ResponseBuilder, Schema, Type, example::ExampleBuilder,
        schema::AllOfBuilder,
    },
};

use crate::{
    server::{AuthError, Limits, error::ErrorAnswer},
    sync::{ErrorBody, HookError, Refusal},
};

/// An error, and when a request is answered with it.
pub(super) struct Told {
    answer: ErrorAnswer,
    when: &'static str,
    /// Whether the code stands for many that are not known.
    any_code: bool,
}

impl Told {
    pub(super) fn new(answer: impl Into<ErrorAnswer>, when: &'static str) -> Self {
        Self {
            answer: answer.into(),
            when,
            any_code: false,
        }
    }

    fn line(&self) -> String {
        if self.any_code {
            format!("- a hook's own code: {}", self.when)
        } else {
            format!("- `{}`: {}", self.answer.code, self.when)
        }
    }
}

/// What every request is told that has to say who it is from.
pub(super) fn of_callers() -> Vec<Told> {
    let pause = Duration::from_secs(1);
    vec![
        Told::new(
            ErrorAnswer::protocol_version("this server speaks version 1 of the protocol, not \"2\""),
            "the header `grove-protocol` names another version than this server's",
        ),
        Told::new(
            AuthError::Unauthenticated("send a token: `Authorization: Bearer <token>`".into()),
            "no token, or one that is not known",
        ),
        Told::new(
            AuthError::Forbidden("this peer may not sync".into()),
            "known, and not allowed to sync, to read a table or its topics, or to see metrics",
        ),
        Told::new(
            ErrorAnswer::rate_limited("this peer asks too often", pause),
            "the peer asks too often, or too many requests have failed to say who they are from",
        ),
        Told::new(ErrorAnswer::failed(), "the server's log says why"),
        Told::new(ErrorAnswer::shutting_down(), "the server is about to end"),
    ]
}

/// What a request with a body is told.
pub(super) fn of_bodies(limits: &Limits) -> Vec<Told> {
    vec![
        Told::new(
            ErrorAnswer::malformed("missing field `node_id` at line 1 column 2"),
            "a body that can't be read",
        ),
        Told::new(
            ErrorAnswer::read_timeout(limits.read_timeout),
            "the body took too long to arrive",
        ),
        Told::new(
            ErrorAnswer::body_too_large(limits.body),
            "the body, or the number of changes or JSON values in it, or the data of a presence: send less at once",
        ),
        Told::new(
            ErrorAnswer::unsupported_media_type("a request is `content-type: application/json`"),
            "neither JSON, nor gzip or zstd of it",
        ),
    ]
}

/// What a request is told that names a node and its database.
pub(super) fn of_nodes() -> Vec<Told> {
    let wrong = Refusal::WrongNode {
        bound: crate::clock::NodeId::baseline(),
        claimed: crate::clock::NodeId::baseline(),
    };
    vec![
        Told::new(wrong, "the token is bound to another node id than the request's"),
        Told::new(
            Refusal::NodeConflict("node id `edge-1` is used by another database already".into()),
            "the node id belongs to another database, or the asker is the answerer; for presence also a node id of a \
             database that is not named",
        ),
    ]
}

/// What a request without sense is told.
pub(super) fn without_sense(message: &str, when: &'static str) -> Told {
    Told::new(ErrorAnswer::bad_request(message), when)
}

/// What a request for the changes of tables is told.
pub(super) fn of_tables() -> Told {
    Told::new(
        Refusal::UnknownTable("secrets".into()),
        "a table that is not replicated there",
    )
}

/// What a request is told that a hook refuses.
pub(super) fn of_hooks() -> Told {
    Told {
        any_code: true,
        ..Told::new(
            Refusal::Hook(HookError::new("not_today", "not today")),
            "a hook refuses to tell what was asked for",
        )
    }
}

/// What a request is told whose work takes too long.
pub(super) fn of_work(limits: &Limits) -> Told {
    Told::new(
        ErrorAnswer::busy(limits.answer_timeout),
        "the answer takes too long; what was begun goes on",
    )
}

/// What a request with a body is told that takes too long, or whose turn does not come.
pub(super) fn of_posted_work(limits: &Limits) -> Told {
    Told {
        when: "the answer takes too long, and what was begun goes on; or the body is large, and others have been ahead",
        ..of_work(limits)
    }
}

/// The answers to these errors, by their status.
pub(super) fn responses(told: Vec<Told>) -> impl Iterator<Item = (String, Response)> {
    let mut by_status: BTreeMap<u16, Vec<Told>> = BTreeMap::new();
    for told in told {
        by_status.entry(told.answer.status.as_u16()).or_default().push(told);
    }
    by_status
        .into_iter()
        .map(|(status, told)| (status.to_string(), response(&told)))
}

/// What is answered wherever a path or a method leads nowhere. No operation has these.
pub(super) fn everywhere() -> [(&'static str, Response); 2] {
    let not_found = Told::new(ErrorAnswer::not_found(), "the path leads nowhere");
    let not_allowed = Told::new(
        ErrorAnswer::method_not_allowed(),
        "the path has other methods; the header `allow` names them",
    );
    let mut allowed = response(&[not_allowed]);
    let header = text_header("The methods that the path has.");
    allowed.headers.insert("Allow".into(), header.into());
    [("NotFound", response(&[not_found])), ("MethodNotAllowed", allowed)]
}

fn response(told: &[Told]) -> Response {
    let lines: Vec<_> = told.iter().map(Told::line).collect();
    let examples = told.iter().map(|told| {
        let body = serde_json::to_value(told.answer.body()).ok();
        (told.answer.code.clone(), ExampleBuilder::new().value(body))
    });
    let content = ContentBuilder::new()
        .schema(Some(body(told)))
        .examples_from_iter(examples)
        .build();
    let mut response = ResponseBuilder::new()
        .description(lines.join("\n"))
        .content("application/json", content);
    if told.iter().any(|told| told.answer.status == StatusCode::UNAUTHORIZED) {
        response = response.header("WWW-Authenticate", text_header("`Bearer`."));
    }
    let timed: Vec<_> = told.iter().filter(|told| told.answer.retry_after.is_some()).collect();
    if !timed.is_empty() {
        response = response.header("Retry-After", retry_after(&timed, told.len()));
    }
    response.build()
}

/// The body of an error with one of these codes.
fn body(told: &[Told]) -> Schema {
    let code = ObjectBuilder::new().schema_type(Type::String);
    let code = if told.iter().any(|told| told.any_code) {
        code
    } else {
        code.enum_values(Some(told.iter().map(|told| told.answer.code.as_ref())))
    };
    let error = ObjectBuilder::new().property("code", code);
    AllOfBuilder::new()
        .item(Ref::from_schema_name(ErrorBody::name()))
        .item(ObjectBuilder::new().property("error", error))
        .into()
}

/// The header that some of these answers have.
fn retry_after(timed: &[&Told], of: usize) -> Header {
    let mut header = Header::new(ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(0)));
    let about = "In how many seconds to ask again.";
    header.description = Some(if timed.len() < of {
        let codes: Vec<_> = timed.iter().map(|told| format!("`{}`", told.answer.code)).collect();
        format!("{about} It comes with {}.", codes.join(", "))
    } else {
        about.to_owned()
    });
    header
}

fn text_header(about: &str) -> Header {
    let mut header = Header::default();
    header.description = Some(about.to_owned());
    header
}
