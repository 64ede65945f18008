//! How much is taken and given, compressed and not.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use grove_crdt::server::Limits;
use reqwest::{
    Client,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use serde_json::{Value as Json, json};

use super::{Answer, guarded_server, open_server, pull_body, push_body, request, send};
use crate::notes;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[apply(on_each_database!)]
async fn compressed_requests_are_read_and_unknown_compressions_refused() {
    let (_, url) = open_server(Limits::default()).await;
    let pull = format!("{url}/pull");
    let plain = pull_body().to_string();
    let encoded =
        |encoding: &str, body: Vec<u8>| Answer::to(request(&pull).header(CONTENT_ENCODING, encoding).body(body));
    assert_eq!(encoded("gzip", gzip(plain.as_bytes())).await.status, 200);
    assert_eq!(encoded("identity", plain.clone().into()).await.status, 200);
    encoded("br", plain.clone().into())
        .await
        .is_error(415, "unsupported_media_type");
    let twice = gzip(&gzip(plain.as_bytes()));
    encoded("gzip, gzip", twice)
        .await
        .is_error(415, "unsupported_media_type");
    encoded("gzip", plain.clone().into()).await.is_error(400, "malformed");
    encoded("zstd", plain.into()).await.is_error(400, "malformed");
}

#[apply(on_each_database!)]
async fn answers_are_compressed_for_those_who_like_it() {
    let (cloud, url) = open_server(Limits::default()).await;
    notes::write(&cloud, "long", &"again and ".repeat(1_000)).await;
    // A client that shows what came, not what it stands for.
    let raw = Client::builder().no_gzip().no_zstd().build().unwrap();
    for encoding in ["gzip", "zstd"] {
        let response = raw
            .post(format!("{url}/pull"))
            .header(CONTENT_TYPE, "application/json")
            .header("accept-encoding", encoding)
            .body(pull_body().to_string())
            .send()
            .await
            .unwrap();
        assert_eq!(response.headers()[CONTENT_ENCODING], encoding);
        assert!(response.bytes().await.unwrap().len() < 1_000);
    }
}

#[apply(on_each_database!)]
async fn bodies_are_bounded_on_the_wire_and_after_decompression() {
    let (_, url) = open_server(Limits::default().body(10_000)).await;
    let pull = format!("{url}/pull");
    let padded = |length: usize| {
        let mut body = pull_body().to_string().into_bytes();
        body.resize(length, b' ');
        body
    };
    let encoded =
        |encoding: &str, body: Vec<u8>| Answer::to(request(&pull).header(CONTENT_ENCODING, encoding).body(body));
    assert_eq!(encoded("identity", padded(10_000)).await.status, 200);
    encoded("identity", padded(10_001)).await.is_error(413, "too_large");
    assert_eq!(encoded("gzip", gzip(&padded(10_000))).await.status, 200);
    encoded("gzip", gzip(&padded(10_001))).await.is_error(413, "too_large");
    // A thousandth of its size when compressed.
    encoded("gzip", gzip(&padded(50_000_000)))
        .await
        .is_error(413, "too_large");
    // Too large even when compressed.
    let noise: Vec<u8> = (0..30_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    encoded("gzip", gzip(&noise)).await.is_error(413, "too_large");
    // Nothing, compressed again and again: only what is on the wire counts.
    encoded("gzip", gzip(b"").repeat(1_000))
        .await
        .is_error(413, "too_large");
}

#[apply(on_each_database!)]
async fn who_sends_too_much_sees_the_answer_all_the_same() {
    let (_, url) = guarded_server().await;
    let push = format!("{url}/push");
    let body = push_body(&Json::Array(vec![json!(0); 6_000_000])).to_string();
    let unknown = request(&push).body(body.clone());
    Answer::to(unknown).await.is_error(401, "unauthenticated");
    let known = request(&push).bearer_auth("any-token").body(body);
    Answer::to(known).await.is_error(413, "too_large");
}

#[apply(on_each_database!)]
async fn the_changes_of_a_push_are_counted() {
    let (_, url) = open_server(Limits::default().changes_per_push(2)).await;
    let push = format!("{url}/push");
    send(&push, &push_body(&json!([1, 2, 3])))
        .await
        .is_error(413, "too_large");
    let judged = send(&push, &push_body(&json!([1, 2]))).await;
    assert_eq!(judged.status, 200);
    let rejected = judged.body["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 2);
    assert_eq!(
        (&rejected[1]["index"], &rejected[1]["code"]),
        (&json!(1), &json!("malformed"))
    );
}

/// A body of a few mebibytes of text that would be hundreds of them in memory.
#[apply(on_each_database!)]
async fn the_values_of_a_body_are_counted_before_they_are_built() {
    let (_, url) = open_server(Limits::default().changes_per_push(usize::MAX)).await;
    let mut body = r#"{"node_id":"edge","replica_id":"e","changes":[{"":0}"#.to_owned();
    body.push_str(&r#",{"":0}"#.repeat(1_000_000));
    body.push_str("]}");
    Answer::to(request(&format!("{url}/push")).body(body))
        .await
        .is_error(413, "too_large");
}

#[apply(on_each_database!)]
async fn a_page_is_no_larger_than_the_server_allows() {
    let (cloud, url) = open_server(Limits::default().page(2).largest_page(3)).await;
    for note in 0..9 {
        notes::write(&cloud, &format!("note-{note}"), "one").await;
    }
    for (asked, given) in [(None, 2), (Some(1), 1), (Some(usize::MAX), 3)] {
        let mut body = pull_body();
        if let Some(asked) = asked {
            body["limit"] = json!(asked);
        }
        let answer = send(&format!("{url}/pull"), &body).await;
        assert_eq!(
            answer.body["changes"].as_array().unwrap().len(),
            given,
            "{}",
            answer.body
        );
        assert_eq!(answer.body["has_more"], true);
    }
}
