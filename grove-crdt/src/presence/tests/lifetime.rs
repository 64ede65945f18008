//! How long a presence stands.

use std::time::Duration;

use serde_json::json;
use tokio::time::{advance, sleep};

use super::*;

/// Time passes, and who waited for it gets a turn.
async fn pass(time: Duration) {
    sleep(time).await;
    settle().await;
}

#[tokio::test(start_paused = true)]
async fn join_update_and_leave_are_told() {
    let board = board();
    let mut listener = listener(&board);
    post(&board, "a", "doc", cursor(1)).unwrap();
    post(&board, "a", "doc", cursor(2)).unwrap();
    post(&board, "a", "doc", json!(null)).unwrap();
    post(&board, "a", "doc", json!(null)).unwrap();
    let expected = [r#"join a doc {"line":1}"#, r#"update a doc {"line":2}"#, "leave a doc"];
    assert_eq!(heard(&mut listener), expected);
    assert_eq!(there(&board), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_renewed_expires_and_is_told_without_anybody_asking() {
    let board = board();
    let mut listener = listener(&board);
    post(&board, "a", "doc", cursor(1)).unwrap();
    heard(&mut listener);
    let began = tokio::time::Instant::now();
    assert_eq!(told(listener.next().await.unwrap()), "expire a doc");
    assert!(began.elapsed() >= TTL && began.elapsed() < TTL + Duration::from_millis(10));
    post(&board, "a", "doc", cursor(1)).unwrap();
    assert_eq!(heard(&mut listener), [r#"join a doc {"line":1}"#]);
}

#[tokio::test(start_paused = true)]
async fn nobody_sees_what_has_expired_even_when_no_task_could_run() {
    let board = board();
    post(&board, "a", "doc", cursor(1)).unwrap();
    advance(Duration::from_millis(29_999)).await;
    assert_eq!(there(&board), [r#"a doc {"line":1}"#]);
    let mut late = board.subscribe(Filter::all());
    // Without a turn for any other task.
    let until = tokio::time::Instant::now() + Duration::from_millis(1);
    advance(Duration::from_millis(1)).await;
    assert!(tokio::time::Instant::now() >= until);
    assert_eq!(there(&board), [""; 0]);
    assert_eq!(heard(&mut late), [r#"[a doc {"line":1}]"#, "expire a doc"]);
}

#[tokio::test(start_paused = true)]
async fn a_heartbeat_renews_in_silence() {
    let board = board();
    let mut listener = listener(&board);
    for _ in 0..10 {
        post(&board, "a", "doc", cursor(1)).unwrap();
        sleep(TTL / 3).await;
    }
    assert_eq!(heard(&mut listener), [r#"join a doc {"line":1}"#]);
    pass(TTL).await;
    assert_eq!(heard(&mut listener), ["expire a doc"]);
}

#[tokio::test(start_paused = true)]
async fn each_topic_expires_by_itself() {
    let board = board();
    let mut listener = listener(&board);
    post(&board, "a", "one", json!(1)).unwrap();
    sleep(TTL / 2).await;
    post(&board, "a", "two", json!(2)).unwrap();
    post(&board, "b", "one", json!(3)).unwrap();
    pass(TTL / 2).await;
    let expected = ["join a one 1", "join a two 2", "join b one 3", "expire a one"];
    assert_eq!(heard(&mut listener), expected);
    pass(TTL / 2).await;
    assert_eq!(heard(&mut listener), ["expire b one", "expire a two"]);
}

#[tokio::test(start_paused = true)]
async fn several_connections_of_a_node_are_one_presence_until_the_last_goes() {
    let board = board();
    let mut listener = listener(&board);
    let first = board.connect(&node("a"));
    post(&board, "a", "doc", cursor(1)).unwrap();
    post(&board, "a", "chat", cursor(1)).unwrap();
    let second = board.connect(&node("a"));
    post(&board, "a", "doc", cursor(1)).unwrap();
    drop(first);
    let expected = [r#"join a doc {"line":1}"#, r#"join a chat {"line":1}"#];
    assert_eq!(heard(&mut listener), expected);
    drop(second);
    assert_eq!(heard(&mut listener), ["leave a chat", "leave a doc"]);
    assert_eq!(there(&board), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_does_not_hold_what_is_not_renewed() {
    let board = board();
    let mut listener = listener(&board);
    post(&board, "a", "doc", cursor(1)).unwrap();
    let _open = board.connect(&node("a"));
    pass(TTL).await;
    assert_eq!(heard(&mut listener), [r#"join a doc {"line":1}"#, "expire a doc"]);
}

#[tokio::test(start_paused = true)]
async fn what_was_posted_before_connecting_goes_with_the_connection() {
    let board = board();
    let mut listener = listener(&board);
    post(&board, "a", "doc", cursor(1)).unwrap();
    post(&board, "b", "doc", cursor(1)).unwrap();
    drop(board.connect(&node("a")));
    let expected = [r#"join a doc {"line":1}"#, r#"join b doc {"line":1}"#, "leave a doc"];
    assert_eq!(heard(&mut listener), expected);
}

#[tokio::test(start_paused = true)]
async fn what_the_program_joins_stands_as_long_as_its_guard() {
    let board = board();
    let mut listener = listener(&board);
    let guard = board.join("doc", &cursor(1)).unwrap();
    sleep(TTL * 10).await;
    guard.update(cursor(2)).unwrap();
    drop(board.connect(&node("hub")));
    drop(guard);
    let expected = [
        r#"join hub doc {"line":1}"#,
        r#"update hub doc {"line":2}"#,
        "leave hub doc",
    ];
    assert_eq!(heard(&mut listener), expected);
}

#[tokio::test(start_paused = true)]
async fn of_several_guards_the_last_updated_shows_and_the_last_one_leaves() {
    let board = board();
    let mut listener = listener(&board);
    let window = board.join("doc", &1).unwrap();
    let other = board.join("doc", &2).unwrap();
    window.update(3).unwrap();
    other.update(2).unwrap();
    drop(window);
    assert_eq!(
        heard(&mut listener),
        [
            "join hub doc 1",
            "update hub doc 2",
            "update hub doc 3",
            "update hub doc 2"
        ]
    );
    drop(other);
    assert_eq!(heard(&mut listener), ["leave hub doc"]);
}

#[tokio::test(start_paused = true)]
async fn the_task_goes_when_nothing_can_expire_and_with_the_board() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let board = board();
    let _guard = board.join("doc", &1).unwrap();
    assert_eq!(tasks(), 0);
    for _ in 0..3 {
        post(&board, "a", "doc", cursor(1)).unwrap();
        post(&board, "b", "doc", cursor(1)).unwrap();
        assert_eq!(tasks(), 1);
        sleep(TTL * 2).await;
        assert_eq!(tasks(), 0);
    }
    let another = self::board();
    post(&another, "a", "doc", cursor(1)).unwrap();
    settle().await;
    let mut subscription = another.subscribe(Filter::all());
    assert_eq!(heard(&mut subscription), [r#"[a doc {"line":1}]"#]);
    drop(another);
    assert_eq!(subscription.next().await, None);
    settle().await;
    assert_eq!(tasks(), 0);
}

#[test]
fn a_runtime_that_ends_takes_no_expiry_with_it() {
    let run = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let board = board_with(PresenceLimits::default().ttl(Duration::from_millis(20)));
    run().block_on(async { post(&board, "a", "doc", cursor(1)).unwrap() });
    run().block_on(async {
        post(&board, "b", "doc", cursor(1)).unwrap();
        let mut listener = listener(&board);
        let expired = [listener.next().await, listener.next().await].map(|item| told(item.unwrap()));
        assert_eq!(expired, ["expire a doc", "expire b doc"]);
    });
}

#[test]
fn a_program_without_a_runtime_may_join() {
    let board = board();
    let mut listener = listener(&board);
    drop(board.join("doc", &1).unwrap());
    assert_eq!(heard(&mut listener), ["join hub doc 1", "leave hub doc"]);
}
