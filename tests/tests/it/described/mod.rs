//! Holds what is asked and answered over HTTP against the OpenAPI document.

mod document;
mod layer;
mod request;

use std::{
    collections::HashMap,
    fmt::Write as _,
    sync::{Arc, LazyLock, Mutex},
};

use axum::http::{HeaderMap, Method, StatusCode, header};
use jsonschema::{Registry, Validator};
use reqwest::{Body, RequestBuilder};
use serde_json::{Value as Json, json};

pub(crate) use layer::watched;

/// The document that the library produces.
pub(crate) static DOCUMENT: LazyLock<Json> =
    LazyLock::new(|| serde_json::to_value(grove_crdt::server::openapi()).expect("a document has a JSON form"));

/// The document as a resource to refer to.
const HERE: &str = "https://grove.example/openapi.json";

/// What was asked, and how it was answered.
pub(crate) struct Exchange<'a> {
    pub method: &'a Method,
    /// Below the routes.
    pub path: &'a str,
    /// As it stands in the URL.
    pub query: &'a str,
    pub head: &'a HeaderMap,
    /// What was sent.
    pub body: &'a [u8],
    pub status: StatusCode,
    pub answer_head: &'a HeaderMap,
    /// What was answered, unless it has no end.
    pub answer: &'a [u8],
}

impl Exchange<'_> {
    /// Whether the document tells of this answer, and of this request if it was taken.
    ///
    /// # Errors
    ///
    /// What is not as described.
    pub(crate) fn check(&self) -> Result<(), String> {
        let found = self.check_answer().and_then(|()| {
            if self.status.is_success() {
                request::check(self)
            } else {
                Ok(())
            }
        });
        found.map_err(|what| format!("{} {} answered with {}: {what}", self.method, self.path, self.status))
    }

    fn check_answer(&self) -> Result<(), String> {
        let (response, place) = self.response()?;
        for (name, declared) in [
            (header::RETRY_AFTER, "Retry-After"),
            (header::WWW_AUTHENTICATE, "WWW-Authenticate"),
            (header::ALLOW, "Allow"),
        ] {
            let is_declared = response["headers"].get(declared).is_some();
            let is_there = self.answer_head.contains_key(&name);
            // One that only some of the answers with this status have may be missing.
            let may_be_missing = name == header::RETRY_AFTER;
            if is_there && !is_declared || is_declared && !is_there && !may_be_missing {
                return Err(format!("header {name}: described {is_declared}, there {is_there}"));
            }
        }
        let kind = essence(self.answer_head);
        if response["content"].get(kind).is_none() {
            return Err(format!("content type {kind:?}"));
        }
        if kind != "application/json" {
            return Ok(());
        }
        let answer = serde_json::from_slice(self.answer).map_err(|error| format!("no JSON: {error}"))?;
        validate(&format!("{place}/content/application~1json/schema"), &answer)
    }

    /// What the document says of the answer, and where.
    fn response(&self) -> Result<(&'static Json, String), String> {
        let status = self.status.as_str();
        let Some(path) = DOCUMENT["paths"].get(self.path) else {
            return everywhere("NotFound", status, "404", "no such path");
        };
        let method = self.method.as_str().to_lowercase();
        let Some(operation) = path.get(&method) else {
            return everywhere("MethodNotAllowed", status, "405", "no such method");
        };
        let place = format!("/paths/{}/{method}/responses/{status}", escaped(self.path));
        match operation["responses"].get(status) {
            Some(response) => Ok((response, place)),
            None => Err("the document knows no such status".to_owned()),
        }
    }

    /// The operation, of a request that was taken.
    fn operation(&self) -> (&'static Json, String) {
        let method = self.method.as_str().to_lowercase();
        let place = format!("/paths/{}/{method}", escaped(self.path));
        (&DOCUMENT["paths"][self.path][&method], place)
    }
}

fn everywhere(name: &str, status: &str, expected: &str, why: &str) -> Result<(&'static Json, String), String> {
    if status == expected {
        let place = format!("/components/responses/{name}");
        Ok((&DOCUMENT["components"]["responses"][name], place))
    } else {
        Err(format!("{why} in the document"))
    }
}

/// Sends a request to the routes below `/sync`, and holds both it and the answer against the document.
pub(crate) async fn send(request: RequestBuilder) -> (StatusCode, HeaderMap, String) {
    let (client, request) = request.build_split();
    let request = request.unwrap();
    let (method, url, head) = (
        request.method().clone(),
        request.url().clone(),
        request.headers().clone(),
    );
    let body = request.body().and_then(Body::as_bytes).unwrap_or_default().to_vec();
    let response = client.execute(request).await.unwrap();
    let (status, answer_head) = (response.status(), response.headers().clone());
    let answer = response.text().await.unwrap();
    let exchange = Exchange {
        method: &method,
        path: url.path().strip_prefix("/sync").unwrap_or(url.path()),
        query: url.query().unwrap_or(""),
        head: &head,
        body: &body,
        status,
        answer_head: &answer_head,
        answer: answer.as_bytes(),
    };
    exchange.check().unwrap();
    (status, answer_head, answer)
}

/// Whether a value is of the form that a schema in the document demands.
///
/// # Errors
///
/// Everything that is not.
pub(crate) fn validate(pointer: &str, value: &Json) -> Result<(), String> {
    let mut wrong = String::new();
    for error in validator(pointer).iter_errors(value) {
        let _ = write!(wrong, "\n  at {:?}: {error}", error.instance_path().as_str());
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(format!("{value} is not as {pointer} says:{wrong}"))
    }
}

/// One validator for each schema.
fn validator(pointer: &str) -> Arc<Validator> {
    static REGISTRY: LazyLock<Registry<'static>> = LazyLock::new(|| {
        let registry = Registry::new().add(HERE, &*DOCUMENT).expect("a URI");
        registry.prepare().expect("references that lead somewhere")
    });
    static VALIDATORS: Mutex<Option<HashMap<String, Arc<Validator>>>> = Mutex::new(None);
    let mut validators = VALIDATORS.lock().expect("nobody panics with it");
    let validators = validators.get_or_insert_default();
    if let Some(known) = validators.get(pointer) {
        return known.clone();
    }
    let schema = json!({ "$ref": format!("{HERE}#{pointer}") });
    let options = jsonschema::options().offline().with_registry(&REGISTRY);
    let validator = Arc::new(options.should_validate_formats(true).build(&schema).expect("a schema"));
    validators.insert(pointer.to_owned(), validator.clone());
    validator
}

/// A part of a JSON pointer.
fn escaped(part: &str) -> String {
    part.replace('~', "~0").replace('/', "~1")
}

/// The content type, without parameters.
fn essence(head: &HeaderMap) -> &str {
    let kind = head.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.unwrap_or("").split(';').next().unwrap_or("").trim()
}
