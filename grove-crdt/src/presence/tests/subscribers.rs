//! What subscribers are told, and in which order.

use serde_json::json;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_subscriber_is_told_what_is_there_and_then_what_happens() {
    let board = board();
    post(&board, "b", "doc", json!(1)).unwrap();
    post(&board, "a", "doc", json!(1)).unwrap();
    let mut subscription = board.subscribe(Filter::all());
    // Before the snapshot is taken, and not in it.
    post(&board, "a", "doc", json!(2)).unwrap();
    post(&board, "a", "chat", json!(3)).unwrap();
    let expected = ["[a doc 1; b doc 1]", "update a doc 2", "join a chat 3"];
    assert_eq!(heard(&mut subscription), expected);
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_is_told_of_its_topics_only() {
    let board = board();
    let mut doc = board.subscribe(Filter::topics(["doc", "none"]));
    let mut no_notes = board.subscribe(Filter::all().hiding(["notes".to_owned()]));
    let mut named = board.subscribe(Filter::topics(["notes:1", "doc"]).hiding(["notes".to_owned()]));
    for topic in ["doc", "notes:1", "notes", "notes2"] {
        post(&board, "a", topic, json!(1)).unwrap();
    }
    assert_eq!(heard(&mut doc), ["[]", "join a doc 1"]);
    assert_eq!(heard(&mut no_notes), ["[]", "join a doc 1", "join a notes2 1"]);
    assert_eq!(heard(&mut named), ["[]", "join a doc 1"]);
    let there = |filter| told(board.subscribe(filter).next_now().unwrap());
    assert_eq!(there(Filter::topics(["notes", "doc"])), "[a doc 1; a notes 1]");
    assert_eq!(
        there(Filter::all().hiding(["notes".to_owned()])),
        "[a doc 1; a notes2 1]"
    );
    let of_notes = Filter::topics(["notes:1"]).hiding(["notes".to_owned()]);
    assert_eq!(there(of_notes), "[]");
}

#[tokio::test(start_paused = true)]
async fn a_node_is_not_told_what_it_said_or_passed_on() {
    let board = board();
    let mut relay = board.relay(node("a"));
    let own = r#"{"kind":"join","topic":"doc","node_id":"z","data":1}"#;
    relay.apply(serde_json::from_str(own).unwrap());
    let mut a = board.subscribe(Filter::all().told_to(node("a")));
    let mut only = board.subscribe(Filter::all().only_of(node("a")));
    post(&board, "a", "doc", json!(1)).unwrap();
    post(&board, "b", "doc", json!(1)).unwrap();
    assert_eq!(heard(&mut a), ["[]", "join b doc 1"]);
    assert_eq!(heard(&mut only), ["[]", "join a doc 1"]);
    // What it passed on comes into sight when it is said here, and goes out of it again.
    post(&board, "z", "doc", json!(2)).unwrap();
    post(&board, "z", "doc", json!(null)).unwrap();
    assert_eq!(heard(&mut a), ["join z doc 2", "leave z doc"]);
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_is_told_all_that_is_there_anew() {
    let board = board();
    let mut slow = board.subscribe(Filter::topics(["doc"]));
    let mut fast = board.subscribe(Filter::topics(["doc"]));
    assert_eq!(heard(&mut slow), ["[]"]);
    for n in 0..5_000 {
        post(&board, "a", "doc", json!(n)).unwrap();
        if n % 1_000 == 0 {
            heard(&mut fast);
        }
        assert!(fast.next_now().is_some() || n % 1_000 == 0, "{n}");
    }
    post(&board, "b", "other", json!(1)).unwrap();
    assert_eq!(heard(&mut slow), ["resync [a doc 4999]"]);
    post(&board, "a", "doc", json!(null)).unwrap();
    assert_eq!(heard(&mut slow), ["leave a doc"]);
    assert_eq!(heard(&mut fast), ["leave a doc"]);
}

#[tokio::test(start_paused = true)]
async fn who_falls_behind_by_less_than_the_ring_misses_nothing() {
    let board = board();
    let mut listener = listener(&board);
    for n in 0..1_024 {
        post(&board, "a", "doc", json!(n)).unwrap();
    }
    let told = heard(&mut listener);
    assert_eq!(told.len(), 1_024);
    assert_eq!(told.last().unwrap(), "update a doc 1023");
}

#[tokio::test(start_paused = true)]
async fn waiting_may_be_given_up_at_any_time() {
    let board = board();
    let mut listener = listener(&board);
    for n in 0..10 {
        let waiting = tokio::time::timeout(std::time::Duration::from_millis(1), listener.next());
        assert!(waiting.await.is_err());
        post(&board, "a", "doc", json!(n)).unwrap();
        assert!(told(listener.next().await.unwrap()).ends_with(&n.to_string()));
    }
}

/// Each writer counts up; whoever comes in between hears each count that follows the one in the snapshot.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn there_is_no_gap_between_snapshot_and_events_under_concurrent_writers() {
    const WRITERS: usize = 4;
    const COUNTS: u64 = 1_500;
    let board = board();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let board = board.clone();
            tokio::spawn(async move {
                for n in 0..=COUNTS {
                    post(&board, &format!("w{writer}"), "doc", json!(n)).unwrap();
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    let readers: Vec<_> = (0..4)
        .map(|reader: u64| {
            let board = board.clone();
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(reader * 3)).await;
                let mut subscription = board.subscribe(Filter::all());
                let mut seen = BTreeMap::<NodeId, u64>::new();
                let mut events = 0;
                while seen.len() < WRITERS || seen.values().any(|n| *n < COUNTS) {
                    match subscription.next().await.unwrap() {
                        PresenceItem::Snapshot(snapshot) => {
                            let counts = snapshot.presences.into_iter();
                            seen = counts.map(|p| (p.node_id, p.data.read().unwrap())).collect();
                        }
                        PresenceItem::Event(event) => {
                            let count: u64 = event.data.unwrap().read().unwrap();
                            let before = seen.insert(event.node_id, count);
                            assert_eq!(before.map_or(0, |before| before + 1), count);
                            events += 1;
                        }
                    }
                }
                events
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let mut events = 0;
    for reader in readers {
        events += reader.await.unwrap();
    }
    assert!(events > 0, "no reader heard an event");
}
