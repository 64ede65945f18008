//! How many and how large.

use serde_json::json;

use super::*;

fn batch<'a>(topics: impl IntoIterator<Item = (&'a str, Json)>) -> BTreeMap<String, Option<PresenceData>> {
    let each = topics.into_iter();
    each.map(|(topic, json)| (topic.to_owned(), (!json.is_null()).then(|| data(&json))))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn topics_and_data_are_looked_at_for_leaving_too() {
    let board = board_with(PresenceLimits::default().data(4).topic(3));
    assert_eq!(post(&board, "a", "doc", json!(1234)), Ok(()));
    let too_large = Refused::TooLarge {
        topic: "doc".into(),
        bytes: 5,
        limit: 4,
    };
    assert_eq!(post(&board, "a", "doc", json!(12345)), Err(too_large));
    for json in [json!(1), json!(null)] {
        let refused = post(&board, "a", "docs", json).unwrap_err();
        assert!(matches!(refused, Refused::Topic { .. }), "{refused}");
    }
    assert_eq!(there(&board), ["a doc 1234"]);
}

#[tokio::test(start_paused = true)]
async fn a_node_has_so_many_topics() {
    let board = board_with(PresenceLimits::default().topics_per_node(2));
    board
        .post(&node("a"), &batch([("1", json!(1)), ("2", json!(1))]))
        .unwrap();
    let refused = post(&board, "a", "3", json!(1)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "node `a` may be present under 2 topics: leave some first"
    );
    post(&board, "b", "3", json!(1)).unwrap();
    // What is left in the same request makes room, wherever it stands in it; changing and staying needs none.
    board
        .post(
            &node("a"),
            &batch([("0", json!(1)), ("1", json!(2)), ("2", json!(null))]),
        )
        .unwrap();
    assert_eq!(there(&board), ["a 0 1", "a 1 2", "b 3 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_topic_has_so_many_nodes() {
    let board = board_with(PresenceLimits::default().nodes_per_topic(2));
    for id in ["a", "b"] {
        post(&board, id, "doc", json!(1)).unwrap();
    }
    let refused = post(&board, "c", "doc", json!(1)).unwrap_err();
    assert!(matches!(refused, Refused::TooManyNodes { .. }), "{refused}");
    post(&board, "a", "doc", json!(2)).unwrap();
    post(&board, "c", "another", json!(1)).unwrap();
    post(&board, "b", "doc", json!(null)).unwrap();
    post(&board, "c", "doc", json!(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn there_are_so_many_in_all_and_what_expires_makes_room() {
    let board = board_with(PresenceLimits::default().presences(2));
    let _guard = board.join("own", &1).unwrap();
    post(&board, "a", "1", json!(1)).unwrap();
    let refused = post(&board, "b", "1", json!(1)).unwrap_err();
    assert_eq!(refused, Refused::TooManyPresences { limit: 2 });
    let error = board.join("another", &1).unwrap_err().to_string();
    assert_eq!(
        error,
        "2 presences may be here at once, and are: try again when some have left"
    );
    tokio::time::advance(TTL).await;
    post(&board, "b", "1", json!(1)).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_is_taken_as_a_whole_or_not_at_all() {
    let board = board_with(PresenceLimits::default().topics_per_node(2).data(4));
    post(&board, "a", "1", json!(1)).unwrap();
    let mut listener = listener(&board);
    for spoilt in [
        batch([("1", json!(null)), ("2", json!("too large"))]),
        batch([("1", json!(2)), ("2", json!(2)), ("3", json!(2))]),
        batch([("1", json!(2)), ("\n", json!(2))]),
    ] {
        board.post(&node("a"), &spoilt).unwrap_err();
    }
    assert_eq!(heard(&mut listener), [""; 0]);
    assert_eq!(there(&board), ["a 1 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_guard_is_limited_and_a_refused_update_changes_nothing() {
    let board = board_with(PresenceLimits::default().data(4).topics_per_node(1));
    assert!(board.join("doc", &json!(null)).is_err());
    assert!(board.join("", &1).is_err());
    assert!(board.join("doc", "long").is_err());
    let guard = board.join("doc", &1).unwrap();
    assert!(board.join("another", &1).is_err());
    assert!(guard.update("long").is_err());
    assert_eq!(there(&board), ["hub doc 1"]);
}
