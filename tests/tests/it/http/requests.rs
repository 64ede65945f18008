//! What is asked: answered, or refused with a code.

use grove_crdt::server::Limits;
use reqwest::{
    Client, Method,
    header::{ALLOW, CONTENT_TYPE},
};
use sea_orm::ConnectionTrait as _;
use serde_json::{Value as Json, json};

use super::{Answer, open_server, pull_body, push_body, request, send};
use crate::notes;

#[apply(on_each_database!)]
async fn a_bare_pull_and_a_bare_push_are_answered() {
    let (_, url) = open_server(Limits::default()).await;

    let pulled = send(&format!("{url}/pull"), &pull_body()).await;
    assert_eq!(pulled.status, 200, "{}", pulled.body);
    assert_eq!(pulled.headers[CONTENT_TYPE], "application/json");
    assert_eq!(pulled.body["node_id"], "cloud");
    assert_eq!(
        (&pulled.body["changes"], &pulled.body["has_more"]),
        (&json!([]), &json!(false))
    );
    assert!(pulled.body["cursor"].is_string() && pulled.body["replica_id"].is_string());

    let pushed = send(&format!("{url}/push"), &push_body(&json!([]))).await;
    assert_eq!(pushed.status, 200, "{}", pushed.body);
    assert_eq!(
        (&pushed.body["merged"], &pushed.body["rejected"]),
        (&json!(0), &json!([]))
    );
}

#[apply(on_each_database!)]
async fn what_is_not_there_is_said_in_json() {
    let (_, url) = open_server(Limits::default()).await;
    send(&format!("{url}/nothing"), &json!({}))
        .await
        .is_error(404, "not_found");
    send(&url, &json!({})).await.is_error(404, "not_found");
    for method in [Method::GET, Method::PUT, Method::DELETE] {
        let answer = Answer::to(Client::new().request(method, format!("{url}/pull"))).await;
        answer.is_error(405, "method_not_allowed");
        assert_eq!(answer.headers[ALLOW], "POST");
    }
}

#[apply(on_each_database!)]
async fn malformed_bodies_are_refused() {
    let (_, url) = open_server(Limits::default()).await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let deep = format!(r#"{{"node_id":"edge","replica_id":"e","tables":{deep},"changes":{{"x":{deep}}}}}"#);
    let bodies = [
        "",
        "null",
        "[]",
        "{",
        r#"{"node_id":"edge"}"#,
        r#"{"node_id":"no spaces","replica_id":"e","tables":[],"changes":[]}"#,
        r#"{"node_id":7,"replica_id":"e","tables":[],"changes":[]}"#,
        "\u{feff}{}",
        &deep,
    ];
    for body in bodies {
        for route in ["pull", "push"] {
            let answer = Answer::to(request(&format!("{url}/{route}")).body(body.to_owned())).await;
            answer.is_error(400, "malformed");
            assert!(answer.body.to_string().len() < 1_000);
        }
    }
    let invalid_utf8 = request(&format!("{url}/pull")).body(b"{\"node_id\":\"\xff\"}".to_vec());
    Answer::to(invalid_utf8).await.is_error(400, "malformed");
}

#[apply(on_each_database!)]
async fn a_long_value_is_not_repeated_in_the_answer() {
    let (_, url) = open_server(Limits::default()).await;
    let mut body = pull_body();
    body["limit"] = json!("x".repeat(1_000_000));
    let answer = send(&format!("{url}/pull"), &body).await;
    answer.is_error(400, "malformed");
    assert!(answer.body.to_string().len() < 1_000);
}

#[apply(on_each_database!)]
async fn requests_without_sense_are_refused() {
    let (_, url) = open_server(Limits::default()).await;
    let pull = format!("{url}/pull");
    let mut body = pull_body();
    body["tables"] = json!(["notes", "passwords'; DROP TABLE notes; --"]);
    send(&pull, &body).await.is_error(400, "unknown_table");
    let mut body = pull_body();
    body["limit"] = json!(0);
    send(&pull, &body).await.is_error(400, "bad_request");
}

#[apply(on_each_database!)]
async fn a_failing_database_is_not_talked_about() {
    let (cloud, url) = open_server(Limits::default()).await;
    let change = json!({
        "table": "notes", "pk": "a", "field": "title", "crdt_type": "lww", "epoch": 1,
        "hlc": { "ts": 1, "c": 0, "node": "edge" }, "node_id": "edge", "value": "x",
    });
    cloud
        .connection()
        .execute_unprepared("DROP TABLE _notes_crdt")
        .await
        .unwrap();
    for (route, body) in [("pull", pull_body()), ("push", push_body(&json!([change])))] {
        let answer = send(&format!("{url}/{route}"), &body).await;
        answer.is_error(500, "internal");
        assert_eq!(
            answer.body["error"]["message"],
            "the server failed to answer; its log says why"
        );
    }
}

fn good() -> Json {
    json!({
        "table": "notes", "pk": "good", "field": "", "crdt_type": "record", "epoch": 1,
        "hlc": { "ts": 1_700_000_000_000_000_i64, "c": 0, "node": "edge" }, "node_id": "edge",
        "value": { "lww": { "title": "fine" } },
    })
}

/// What one library's reader takes, another's may not: the parts of a push are read apart.
#[apply(on_each_database!)]
async fn a_change_that_nobody_can_read_spoils_no_other() {
    let (_, url) = open_server(Limits::default()).await;
    let deep = "[".repeat(100_000) + &"]".repeat(100_000);
    let strange = [deep.as_str(), "1e999", r#""\ud800""#, r#"{"pk":"a","pk":"b"}"#];
    let changes = format!("[{},{}]", strange.join(","), good());
    let body = format!(r#"{{"node_id":"edge","replica_id":"edge-database","changes":{changes}}}"#);
    // Not held against the description: whoever does that would have to read it.
    let answer = request(&format!("{url}/push")).body(body).send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let answer: Json = serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!(answer["merged"], 1, "{answer}");
    let rejected = answer["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), strange.len());
    for rejection in rejected {
        assert_eq!(rejection["code"], "malformed");
        let message = rejection["message"].as_str().unwrap();
        assert!(!message.contains("column") && message.len() < 500, "{message}");
    }
}

#[apply(on_each_database!)]
async fn hostile_changes_are_refused_one_by_one() {
    let (cloud, url) = open_server(Limits::default()).await;
    let good = good();
    let but = |field: &str, value: Json| {
        let mut change = good.clone();
        change["pk"] = json!("bad");
        change[field] = value;
        change
    };
    let at = |ts: i64| json!({ "ts": ts, "c": 0, "node": "edge" });
    let sql = "x'; DROP TABLE notes; --";
    let hostile = [
        (json!(null), "malformed"),
        (json!([]), "malformed"),
        (json!("x"), "malformed"),
        (json!({}), "malformed"),
        (but("table", json!(7)), "malformed"),
        (but("table", json!(sql)), "unknown_table"),
        (but("table", json!("_notes_crdt")), "unknown_table"),
        (but("crdt_type", json!(sql)), "unknown_kind"),
        (but("crdt_type", json!("counter")), "malformed"),
        (but("field", json!("title")), "malformed"),
        (but("cell", json!(sql)), "malformed"),
        (but("epoch", json!(-1)), "malformed"),
        (but("epoch", json!(0)), "malformed"),
        (but("epoch", json!(2)), "malformed"),
        (but("epoch", json!(u64::MAX)), "malformed"),
        (but("hlc", json!({ "ts": 1, "c": 0, "node": sql })), "malformed"),
        (but("hlc", at(-1)), "bad_clock"),
        (but("hlc", at(0)), "bad_clock"),
        (but("hlc", at(i64::MAX)), "bad_clock"),
        (but("hlc", at(1 << 53)), "clock_ahead"),
        (but("node_id", json!("another")), "malformed"),
        (but("value", json!(sql)), "bad_value"),
        (but("value", json!({ "lww": { "title": 7 } })), "bad_value"),
        (but("value", json!({ "lww": { "title": null } })), "bad_value"),
        (but("value", json!({ "counter": { "title": 7 } })), "wrong_kind"),
        (but("tombstone", json!(true)), "malformed"),
    ];
    let (mut changes, codes): (Vec<_>, Vec<_>) = hostile.into_iter().unzip();
    changes.push(good.clone());

    let answer = send(&format!("{url}/push"), &push_body(&json!(changes))).await;

    assert_eq!(
        (answer.status.as_u16(), &answer.body["merged"]),
        (200, &json!(1)),
        "{}",
        answer.body
    );
    let rejected = answer.body["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), codes.len());
    for ((index, code), rejection) in codes.iter().enumerate().zip(rejected) {
        let told = (&rejection["index"], &rejection["code"]);
        assert_eq!(
            told,
            (&json!(index), &json!(code)),
            "{} got {rejection}",
            changes[index]
        );
    }
    assert_eq!(notes::title(&cloud, "good").await.as_deref(), Some("fine"));
    assert_eq!(notes::title(&cloud, "bad").await, None);
}

#[apply(on_each_database!)]
async fn only_this_version_of_the_protocol_is_spoken() {
    let (_, url) = open_server(Limits::default()).await;
    let pull = format!("{url}/pull");
    for version in ["2", "0", "1.0", "", "one", "é"] {
        let answer = Answer::to(
            request(&pull)
                .header("grove-protocol", version)
                .body(pull_body().to_string()),
        )
        .await;
        answer.is_error(400, "protocol_version");
    }
    let answer = Answer::to(
        request(&pull)
            .header("grove-protocol", "1")
            .body(pull_body().to_string()),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.body);
}

#[apply(on_each_database!)]
async fn only_json_is_read() {
    let (_, url) = open_server(Limits::default()).await;
    let with_type = |content_type: Option<&str>| {
        let request = Client::new().post(format!("{url}/pull")).body(pull_body().to_string());
        Answer::to(match content_type {
            Some(content_type) => request.header(CONTENT_TYPE, content_type),
            None => request,
        })
    };
    for wrong in [
        None,
        Some(""),
        Some("text/plain"),
        Some("application/jsonp"),
        Some("application/x-www-form-urlencoded"),
    ] {
        with_type(wrong).await.is_error(415, "unsupported_media_type");
    }
    for right in [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
    ] {
        assert_eq!(with_type(Some(right)).await.status, 200);
    }
}

/// JSON has one kind of number, and some programs write every one with a point.
#[apply(on_each_database!)]
async fn a_limit_is_a_whole_number_however_it_is_written() {
    let (cloud, url) = open_server(Limits::default()).await;
    notes::write(&cloud, "a", "x").await;
    notes::write(&cloud, "b", "y").await;
    let pull = format!("{url}/pull");
    let with = |limit: &str| {
        let body = pull_body().to_string().replace('}', &format!(r#","limit":{limit}}}"#));
        Answer::to(request(&pull).body(body))
    };
    for (limit, changes) in [("1", 1), ("1.0", 1), ("1e0", 1), ("10E-1", 1), ("2.0", 2), ("null", 2)] {
        let answer = with(limit).await;
        assert_eq!(answer.status, 200, "{limit}: {}", answer.body);
        assert_eq!(answer.body["changes"].as_array().unwrap().len(), changes, "{limit}");
    }
    for large in ["18446744073709551615", "18446744073709551616", "1e300"] {
        assert_eq!(with(large).await.status, 200, "{large}");
        let stream = format!("{url}/stream?tables=notes&limit={}", large.replace("e300", ""));
        assert_eq!(Client::new().get(stream).send().await.unwrap().status(), 200, "{large}");
    }
    for wrong in ["1.5", "-1", "-1.0", "\"1\"", "true", "[1]"] {
        with(wrong).await.is_error(400, "malformed");
    }
    for nothing in ["0", "0.0", "-0.0"] {
        with(nothing).await.is_error(400, "bad_request");
    }
}

/// PostgreSQL can't hold the character U+0000, so the one that was sent it failed.
#[apply(on_each_database!)]
async fn what_can_be_no_databases_identity_is_refused_by_every_route() {
    let (_, url) = open_server(Limits::default()).await;
    for wrong in ["", "a\0b", "\u{85}", &"ä".repeat(33)] {
        let bodies = [
            ("pull", json!({ "tables": ["notes"] })),
            ("push", json!({ "changes": [] })),
            ("presence", json!({ "topics": {} })),
        ];
        for (route, mut body) in bodies {
            (body["node_id"], body["replica_id"]) = (json!("edge"), json!(wrong));
            send(&format!("{url}/{route}"), &body)
                .await
                .is_error(400, "bad_request");
        }
        let mut stream = url::Url::parse(&format!("{url}/stream?tables=notes&node_id=edge")).unwrap();
        stream.query_pairs_mut().append_pair("replica_id", wrong);
        Answer::to(Client::new().get(stream)).await.is_error(400, "bad_request");
    }
}
