//! A page as a whole, before it is told.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use grove_crdt::{
    Error, Replica,
    server::SyncServer,
    sync::{HookError, Syncer, TransportErrorKind},
    transport::HttpTransport,
};

use super::{Rules, plain, replica, sync, syncer, titles, write};

/// Refuses every page, for as long as `bars` is set.
fn closed(bars: &Arc<AtomicBool>) -> Rules {
    let bars = bars.clone();
    Rules::page(move |_, _| {
        if bars.load(Ordering::SeqCst) {
            return Err(HookError::new("closed", "come back tomorrow"));
        }
        Ok(())
    })
}

fn why(error: &grove_crdt::sync::SyncError) -> (TransportErrorKind, Option<&str>, &str) {
    match &error.failures[0].error {
        Error::Transport(error) => (error.kind, error.code.as_deref(), &error.message),
        other => panic!("{other}"),
    }
}

async fn over_http(replica: &Replica, hub: &Replica) -> Syncer {
    let routes = SyncServer::builder(hub).allow_anonymous().router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, routes).await });
    let line = HttpTransport::new(url.as_str()).unwrap();
    Syncer::builder(replica).peer(line).build().unwrap()
}

#[apply(on_each_database!)]
async fn a_refused_page_fails_the_pull_with_its_code_and_loses_nothing() {
    let bars = Arc::new(AtomicBool::new(true));
    let (edge, hub) = (plain("edge").await, replica("hub", closed(&bars)).await);
    write(&hub, "1", "one").await;
    let refused = (TransportErrorKind::Refused, Some("closed"), "come back tomorrow");
    let syncers = [syncer(&edge, &hub), over_http(&edge, &hub).await];
    for syncer in &syncers {
        assert_eq!(why(&syncer.sync().await.unwrap_err()), refused);
    }
    bars.store(false, Ordering::SeqCst);
    for syncer in &syncers {
        assert_eq!(syncer.sync().await.unwrap().pulled, 1);
    }
    assert_eq!(titles(&edge).await, ["1=one"]);
}

#[apply(on_each_database!)]
async fn over_http_it_is_forbidden() {
    let hub = replica("hub", closed(&Arc::new(AtomicBool::new(true)))).await;
    write(&hub, "1", "one").await;
    let url = grove_crdt_tests::serve::serve(&hub).await;
    let body = r#"{"node_id":"edge","replica_id":"edge-database","tables":["documents"]}"#;
    let request = reqwest::Client::new().post(format!("{url}/pull")).body(body);
    let answer = request.header("content-type", "application/json").send().await.unwrap();
    assert_eq!(answer.status(), 403);
    assert_eq!(
        answer.text().await.unwrap(),
        r#"{"error":{"code":"closed","message":"come back tomorrow"}}"#
    );
}

#[apply(on_each_database!)]
async fn a_refused_page_is_not_pushed_and_goes_out_when_it_passes() {
    let bars = Arc::new(AtomicBool::new(true));
    let (edge, hub) = (replica("edge", closed(&bars)).await, plain("hub").await);
    write(&edge, "1", "one").await;
    write(&hub, "2", "two").await;
    let syncer = syncer(&edge, &hub);
    let error = syncer.sync().await.unwrap_err();
    let (kind, code, message) = why(&error);
    assert_eq!((kind, code), (TransportErrorKind::Refused, Some("closed")));
    assert!(message.contains("come back tomorrow"), "{message}");
    assert_eq!(titles(&edge).await, ["1=one", "2=two"], "what was pulled before stays");
    assert_eq!(titles(&hub).await, ["2=two"]);
    bars.store(false, Ordering::SeqCst);
    assert_eq!(syncer.sync().await.unwrap().pushed, 1);
    assert_eq!(titles(&hub).await, ["1=one", "2=two"]);
}

#[apply(on_each_database!)]
async fn what_a_page_leaves_out_is_skipped_and_the_rest_keeps_its_place() {
    let odd = || {
        Rules::page(|_, page| {
            assert!(page.changes().len() > 1, "a page is told whole");
            page.retain(|change| change.pk.ends_with(['1', '3', '5', '7', '9']));
            Ok(())
        })
    };
    let (edge, hub) = (replica("edge", odd()).await, plain("hub").await);
    for n in 0..10 {
        write(&edge, &n.to_string(), "t").await;
    }
    let report = sync(&edge, &hub).await;
    assert_eq!((report.pushed, report.skipped), (5, 5), "{report}");
    assert_eq!(titles(&hub).await, ["1=t", "3=t", "5=t", "7=t", "9=t"]);
    // The peer refuses by the places of what it was sent; the letters are of those changes.
    let picky = replica(
        "picky",
        Rules::inbound(|_, change| match change.pk.as_str() {
            "5" => Err(HookError::new("no_five", "no")),
            _ => Ok(Some(change)),
        }),
    )
    .await;
    assert_eq!(sync(&edge, &picky).await.rejected, 1);
    assert_eq!(super::letters(&edge).await, ["out 5  no_five: no"]);
}
