//! Changes that are larger than the asker reads: each is named, and what comes behind it arrives.

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::Request,
    middleware::{Next, from_fn},
};
use grove_crdt::{
    Change, Replica,
    server::{Limits, SyncServer},
    sync::{DeadLetter, HookError, Peer, SyncHook, Syncer},
    transport::HttpTransport,
};
use sea_orm::ActiveValue::Set;
use serde_json::{Value as Json, json};

use super::{open_server, pull_body, send, serve};
use crate::{described::watched, live::Running, notes};

/// How much the asker reads, and how long a title is that is larger than that, in bytes.
const MOST: usize = 20_000;
const LARGE: usize = 30_000;

fn large() -> String {
    "x".repeat(LARGE)
}

async fn retitle(replica: &Replica, id: &str, title: &str) {
    let note = notes::ActiveModel {
        id: Set(id.to_owned()),
        title: Set(title.to_owned()),
    };
    note.update(replica).await.unwrap();
}

/// The letters of what was too large, each with its key; they are as they should be.
#[track_caller]
fn named(letters: &[DeadLetter]) -> Vec<String> {
    let mut keys: Vec<_> = letters
        .iter()
        .map(|letter| {
            assert!(
                letter.inbound && letter.code == "other" && !letter.can_pass_later,
                "{letter:?}"
            );
            assert!(letter.message.contains("`notes`, field `title`, has 30"), "{letter:?}");
            assert!(letter.change.len() < 1_000, "{letter:?}");
            let notice: Json = serde_json::from_str(&letter.change).unwrap();
            assert_eq!(
                (&notice["table"], &notice["fields"]),
                (&json!("notes"), &json!(["title"]))
            );
            assert!(notice["bytes"].as_u64().unwrap() > LARGE as u64, "{letter:?}");
            notice["pk"].as_str().unwrap().to_owned()
        })
        .collect();
    keys.sort_unstable();
    keys
}

fn way(url: &str) -> HttpTransport {
    HttpTransport::new(url).unwrap().max_answer(MOST)
}

fn syncer(replica: &Replica, way: HttpTransport) -> Syncer {
    Syncer::builder(replica).peer(way).build().unwrap()
}

/// Notes of which two are too large, one from its birth.
async fn fill(cloud: &Replica) {
    notes::write(cloud, "a", "one").await;
    notes::write(cloud, "b", "one").await;
    notes::write(cloud, "born-large", &large()).await;
    notes::write(cloud, "c", "one").await;
    retitle(cloud, "b", &large()).await;
    notes::write(cloud, "d", "one").await;
}

#[apply(on_each_database!)]
async fn a_pull_gets_past_a_change_larger_than_an_answer() {
    let (cloud, edge) = (notes::replica("cloud").await, notes::replica("edge").await);
    let (routes, log) = watched(SyncServer::builder(&cloud).allow_anonymous().router());
    let url = serve(routes).await;
    fill(&cloud).await;
    let sync = syncer(&edge, way(&url));
    let report = sync.sync().await.unwrap();
    assert_eq!(report.rejected, 2, "{report}");
    assert_eq!(log.wrong(), Vec::<String>::new());
    for id in ["a", "b", "c", "d"] {
        assert_eq!(notes::title(&edge, id).await.as_deref(), Some("one"), "{id}");
    }
    assert_eq!(notes::title(&edge, "born-large").await, None);
    assert_eq!(named(&edge.dead_letters().await.unwrap()), ["b", "born-large"]);

    // It is told once.
    let report = sync.sync().await.unwrap();
    assert_eq!((report.pulled, report.rejected), (0, 0), "{report}");
    // What is written later arrives, and a letter without its value is not tried.
    retitle(&cloud, "b", "two").await;
    let report = syncer(&edge, way(&url)).sync().await.unwrap();
    assert_eq!((report.pulled, report.rejected), (1, 0), "{report}");
    assert_eq!(notes::title(&edge, "b").await.as_deref(), Some("two"));
    assert_eq!(edge.dead_letters().await.unwrap().len(), 2);
    // Who reads more gets it all from the beginning, under another name.
    let patient = HttpTransport::new(&url).unwrap().named("cloud-again");
    syncer(&edge, patient).sync().await.unwrap();
    assert_eq!(notes::title(&edge, "born-large").await, Some(large()));
}

#[apply(on_each_database!)]
async fn a_stream_gets_past_a_change_larger_than_an_event() {
    let (cloud, edge) = (notes::replica("cloud").await, notes::replica("edge").await);
    let (routes, log) = watched(SyncServer::builder(&cloud).allow_anonymous().router());
    let url = serve(routes).await;
    notes::write(&cloud, "b", "zero").await;
    let running = Running::new(Syncer::builder(&edge).peer(way(&url)).interval(crate::live::NEVER));
    until(&edge, "b", "zero").await;
    for round in ["one", "two"] {
        notes::write(&cloud, &format!("large-{round}"), &large()).await;
        retitle(&cloud, "b", &large()).await;
        notes::write(&cloud, &format!("behind-{round}"), round).await;
        until(&edge, &format!("behind-{round}"), round).await;
        retitle(&cloud, "b", round).await;
        until(&edge, "b", round).await;
    }
    running.stop().await;
    let mut keys = named(&edge.dead_letters().await.unwrap());
    // Whether the large title of `b` is seen before the next depends on who is faster.
    keys.retain(|key| key != "b");
    assert_eq!(keys, ["large-one", "large-two"]);
    assert_eq!((log.count("GET /stream"), log.wrong()), (1, Vec::new()));
}

/// A stream begins with what there is, which is more than an event may have.
#[apply(on_each_database!)]
async fn a_stream_of_more_than_an_event_holds_goes_in_parts() {
    let (cloud, url) = open_server(Limits::default()).await;
    let edge = notes::replica("edge").await;
    let idle = Running::new(Syncer::builder(&edge).peer(way(&url)).interval(crate::live::NEVER));
    notes::write(&cloud, "first", "x").await;
    until(&edge, "first", "x").await;
    for note in 0..40 {
        notes::write(&cloud, &format!("note-{note}"), &"x".repeat(5_000)).await;
    }
    let many = (0..40).map(|note| notes::ActiveModel {
        id: Set(format!("together-{note}")),
        title: Set("x".repeat(5_000)),
    });
    sea_orm::EntityTrait::insert_many::<notes::ActiveModel, _>(many)
        .exec(&cloud)
        .await
        .unwrap();
    notes::write(&cloud, "last", "x").await;
    until(&edge, "last", "x").await;
    idle.stop().await;
    for note in 0..40 {
        for kind in ["note", "together"] {
            assert!(
                notes::title(&edge, &format!("{kind}-{note}")).await.is_some(),
                "{kind}-{note}"
            );
        }
    }
    assert_eq!(edge.dead_letters().await.unwrap(), []);
}

/// Waits until a note has a title.
async fn until(replica: &Replica, id: &str, title: &str) {
    let begun = std::time::Instant::now();
    while notes::title(replica, id).await.as_deref() != Some(title) {
        assert!(begun.elapsed() < crate::live::PATIENCE, "{id} is not {title}");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// A server of an earlier version does not know what the asker reads.
#[apply(on_each_database!)]
async fn from_an_earlier_server_pages_come_in_parts_as_before() {
    let cloud = notes::replica("cloud").await;
    let forget = async |asked: Request, next: Next| {
        let (head, body) = asked.into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        let body = match serde_json::from_slice::<Json>(&body) {
            Ok(mut body) => {
                body.as_object_mut().unwrap().remove("max_bytes");
                body.to_string().into()
            }
            Err(_) => body,
        };
        next.run(Request::from_parts(head, Body::from(body))).await
    };
    let routes: Router = SyncServer::builder(&cloud).allow_anonymous().router();
    let url = serve(routes.layer(from_fn(forget))).await;
    for note in 0..20 {
        notes::write(&cloud, &format!("note-{note}"), &"x".repeat(2_000)).await;
    }
    let edge = notes::replica("edge").await;
    let way = way(&url).compress(false);
    let report = syncer(&edge, way).sync().await.unwrap();
    assert_eq!((report.pulled, report.rejected), (20, 0), "{report}");
}

/// Keeps what is secret, and makes what is long short.
struct Editor;

#[async_trait::async_trait]
impl SyncHook for Editor {
    async fn before_outbound(&self, _: &Peer, mut change: Change) -> Result<Option<Change>, HookError> {
        if change.pk == "secret" {
            return Ok(None);
        }
        if change.pk == "long"
            && let Some(title) = change.lww_mut("title")
        {
            *title = json!("short");
        }
        Ok(Some(change))
    }
}

/// What counts is what would be sent, and nobody is told of what a hook keeps.
#[apply(on_each_database!)]
async fn hooks_come_first() {
    let cloud = notes::replica_with("cloud", |builder| builder.hook(Editor)).await;
    let url = serve(SyncServer::builder(&cloud).allow_anonymous().router()).await;
    for id in ["secret", "long", "other"] {
        notes::write(&cloud, id, &large()).await;
    }
    notes::write(&cloud, "z", "one").await;
    let edge = notes::replica("edge").await;
    syncer(&edge, way(&url)).sync().await.unwrap();
    assert_eq!(named(&edge.dead_letters().await.unwrap()), ["other"]);
    assert_eq!(notes::title(&edge, "long").await.as_deref(), Some("short"));
    assert_eq!(notes::title(&edge, "z").await.as_deref(), Some("one"));
}

#[apply(on_each_database!)]
async fn an_asker_says_how_much_it_reads() {
    let (cloud, url) = open_server(Limits::default()).await;
    fill(&cloud).await;
    let pull = format!("{url}/pull");
    let asking = |max_bytes: Json| {
        let mut body = pull_body();
        body["max_bytes"] = max_bytes;
        body
    };
    for nonsense in [json!(0), json!(-1), json!(1.5), json!("1")] {
        let answer = send(&pull, &asking(nonsense.clone())).await;
        assert_eq!(answer.status, 400, "{nonsense}");
    }
    // However little it reads, it gets further, change by change.
    let mut body = asking(json!(1));
    let mut keys = Vec::new();
    loop {
        let answer = send(&pull, &body).await.body;
        assert_eq!(answer["changes"], json!([]));
        keys.extend(
            answer["omitted"]
                .as_array()
                .unwrap()
                .iter()
                .map(|notice| notice["pk"].clone()),
        );
        if answer["has_more"] == json!(false) {
            break;
        }
        assert_eq!(answer["shortened"], true);
        body["cursor"] = answer["cursor"].clone();
    }
    assert_eq!(keys, ["a", "b", "born-large", "c", "b", "d"]);
    // Who says nothing is told everything.
    let answer = send(&pull, &pull_body()).await.body;
    assert_eq!(answer["changes"].as_array().unwrap().len(), 6);
    assert_eq!((&answer["omitted"], &answer["shortened"]), (&Json::Null, &Json::Null));
}
