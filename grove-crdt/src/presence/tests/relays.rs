//! What peers tell of others.

use serde_json::json;

use super::*;
use crate::presence::{PresenceEvent, PresenceKind, PresenceRelay, PresenceSnapshot};

fn presence(id: &str, topic: &str, json: &Json, via: &[&str]) -> Presence {
    Presence {
        topic: topic.into(),
        node_id: node(id),
        data: data(json),
        via: via.iter().map(|id| node(id)).collect(),
    }
}

fn event(kind: PresenceKind, presence: Presence) -> PresenceItem {
    let gone = matches!(kind, PresenceKind::Leave | PresenceKind::Expire);
    PresenceItem::Event(PresenceEvent {
        kind,
        topic: presence.topic,
        node_id: presence.node_id,
        data: (!gone).then_some(presence.data),
        via: presence.via,
    })
}

fn snapshot(presences: Vec<Presence>, more: bool) -> PresenceItem {
    PresenceItem::Snapshot(PresenceSnapshot {
        presences,
        resync: false,
        more,
    })
}

fn join(id: &str, json: &Json) -> PresenceItem {
    event(PresenceKind::Join, presence(id, "doc", json, &[]))
}

#[tokio::test(start_paused = true)]
async fn what_a_stream_told_stands_as_long_as_the_stream() {
    let board = board();
    let mut listener = listener(&board);
    let mut relay = board.relay(node("p"));
    relay.apply(snapshot(
        vec![
            presence("a", "doc", &json!(1), &[]),
            presence("b", "doc", &json!(1), &["q"]),
        ],
        false,
    ));
    relay.apply(event(PresenceKind::Update, presence("a", "doc", &json!(2), &[])));
    relay.apply(event(PresenceKind::Expire, presence("b", "doc", &json!(0), &[])));
    relay.apply(join("c", &json!(1)));
    tokio::time::sleep(TTL * 2).await;
    drop(relay);
    let expected = [
        "join a doc 1 via p",
        "join b doc 1 via q,p",
        "update a doc 2 via p",
        "expire b doc",
        "join c doc 1 via p",
        "leave a doc",
        "leave c doc",
    ];
    assert_eq!(heard(&mut listener), expected);
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_takes_the_place_of_what_was_told_before_once_its_last_part_is_there() {
    let board = board();
    let mut relay = board.relay(node("p"));
    relay.apply(snapshot(
        vec![
            presence("a", "doc", &json!(1), &[]),
            presence("b", "doc", &json!(1), &[]),
        ],
        false,
    ));
    let mut listener = listener(&board);
    relay.apply(snapshot(vec![presence("c", "doc", &json!(1), &[])], true));
    assert_eq!(heard(&mut listener), ["join c doc 1 via p"]);
    relay.apply(snapshot(vec![presence("a", "doc", &json!(1), &[])], false));
    assert_eq!(heard(&mut listener), ["leave b doc"]);
    relay.apply(snapshot(Vec::new(), false));
    assert_eq!(heard(&mut listener), ["leave a doc", "leave c doc"]);
}

#[tokio::test(start_paused = true)]
async fn what_two_peers_tell_stands_until_neither_does() {
    let board = board();
    let mut listener = listener(&board);
    let (mut p, mut q) = (board.relay(node("p")), board.relay(node("q")));
    p.apply(join("a", &json!(1)));
    q.apply(event(PresenceKind::Join, presence("a", "doc", &json!(1), &["r"])));
    drop(p);
    let expected = ["join a doc 1 via p", "update a doc 1 via r,q"];
    assert_eq!(heard(&mut listener), expected);
    // A stream that begins again before the old one is seen to have ended.
    let mut again = board.relay(node("q"));
    again.apply(event(PresenceKind::Join, presence("a", "doc", &json!(1), &["r"])));
    drop(q);
    assert_eq!(heard(&mut listener), [""; 0]);
    drop(again);
    assert_eq!(heard(&mut listener), ["leave a doc"]);
}

#[tokio::test(start_paused = true)]
async fn a_nodes_own_word_here_outweighs_what_others_tell_of_it() {
    let board = board();
    let mut relay = board.relay(node("p"));
    let mut listener = listener(&board);
    post(&board, "a", "doc", json!("own")).unwrap();
    relay.apply(join("a", &json!("told")));
    assert_eq!(heard(&mut listener), [r#"join a doc "own""#]);
    post(&board, "a", "doc", json!(null)).unwrap();
    assert_eq!(heard(&mut listener), [r#"update a doc "told" via p"#]);
}

#[tokio::test(start_paused = true)]
async fn nobody_tells_a_board_of_its_own_node_or_gives_it_back_its_own_word() {
    let board = board();
    let _guard = board.join("doc", &"own").unwrap();
    let mut listener = listener(&board);
    let mut relay = board.relay(node("p"));
    let farthest: Vec<_> = (0..16).map(|n| format!("n{n}")).collect();
    let farthest: Vec<_> = farthest.iter().map(String::as_str).collect();
    relay.apply(join("hub", &json!("forged")));
    relay.apply(event(PresenceKind::Leave, presence("hub", "doc", &json!(0), &[])));
    relay.apply(event(
        PresenceKind::Join,
        presence("a", "doc", &json!(1), &["q", "hub"]),
    ));
    relay.apply(event(PresenceKind::Join, presence("b", "doc", &json!(1), &farthest)));
    relay.apply(event(PresenceKind::Join, presence("c", "\n", &json!(1), &[])));
    let baseline = r#"{"kind":"join","topic":"doc","node_id":"~","data":1}"#;
    relay.apply(serde_json::from_str(baseline).unwrap());
    assert_eq!(heard(&mut listener), [""; 0]);
    // What was taken before goes when it comes back by this node.
    relay.apply(join("a", &json!(1)));
    relay.apply(event(PresenceKind::Update, presence("a", "doc", &json!(1), &["hub"])));
    assert_eq!(heard(&mut listener), ["join a doc 1 via p", "leave a doc"]);
}

#[tokio::test(start_paused = true)]
async fn limits_hold_for_peers() {
    let board = board_with(PresenceLimits::default().data(4).nodes_per_topic(2));
    let mut relay = board.relay(node("p"));
    relay.apply(join("a", &json!(1)));
    relay.apply(join("a", &json!("too large")));
    assert_eq!(there(&board), [""; 0]);
    relay.apply(snapshot(
        ["a", "b", "c"].map(|id| presence(id, "doc", &json!(1), &[])).into(),
        false,
    ));
    assert_eq!(there(&board), ["a doc 1 via p", "b doc 1 via p"]);
    assert!(post(&board, "d", "doc", json!(1)).is_err());
}

/// Boards that follow one another's streams, as syncers would have them do.
struct Net {
    boards: Vec<Board>,
    streams: Vec<(PresenceSubscription, PresenceRelay)>,
}

impl Net {
    /// Each pair: the first follows the second.
    fn of(count: usize, follow: &[(usize, usize)]) -> Self {
        let boards: Vec<_> = (0..count)
            .map(|n| Board::new(node(&format!("h{n}")), PresenceLimits::default()))
            .collect();
        let streams = follow
            .iter()
            .map(|&(to, from)| {
                let filter = Filter::all().told_to(boards[to].node().clone());
                let relay = boards[to].relay(boards[from].node().clone());
                (boards[from].subscribe(filter), relay)
            })
            .collect();
        Self { boards, streams }
    }

    /// Carries one item at a time, in an order that `seed` chooses, until there is none.
    fn carry(&mut self, mut seed: u64) {
        let mut idle = 0;
        for _ in 0..100_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let count = self.streams.len() as u64;
            let chosen = usize::try_from((seed >> 33) % count).unwrap();
            let (subscription, relay) = &mut self.streams[chosen];
            match subscription.next_now() {
                Some(item) => {
                    relay.apply(item);
                    idle = 0;
                }
                None => idle += 1,
            }
            if idle > 200 {
                return;
            }
        }
        panic!("the streams don't come to rest");
    }
}

/// Two hubs that tell each other of a presence could each hold it up for the other after its node has left.
#[tokio::test(start_paused = true)]
async fn what_has_left_does_not_live_on_in_a_ring_of_streams() {
    let both_ways = [(0, 1), (1, 0)];
    let ring = [(0, 1), (1, 2), (2, 0)];
    let mesh = [
        (0, 1),
        (0, 2),
        (0, 3),
        (1, 0),
        (1, 2),
        (1, 3),
        (2, 0),
        (2, 1),
        (2, 3),
        (3, 0),
        (3, 1),
        (3, 2),
    ];
    for (count, follow) in [(2, &both_ways[..]), (3, &ring), (4, &mesh)] {
        for seed in 0..50 {
            let mut net = Net::of(count, follow);
            let guards: Vec<_> = net.boards.iter().map(|board| board.join("doc", &0).unwrap()).collect();
            for (place, board) in net.boards.iter().enumerate() {
                post(board, &format!("e{place}"), "doc", json!("edge")).unwrap();
            }
            net.carry(seed);
            for board in &net.boards {
                assert_eq!(there(board).len(), 2 * count, "seed {seed}: {:?}", there(board));
            }
            for guard in &guards {
                guard.update(seed).unwrap();
            }
            post(&net.boards[0], "e1", "doc", json!("moved")).unwrap();
            net.carry(seed + 1);
            let own = seed.to_string();
            for board in &net.boards {
                let seen: Vec<_> = board.snapshot(&Filter::all());
                let current = |presence: &&Presence| presence.data.as_str() == own;
                assert_eq!(seen.iter().filter(current).count(), count, "seed {seed}");
            }
            drop(guards);
            for (place, board) in net.boards.iter().enumerate() {
                post(board, &format!("e{place}"), "doc", json!(null)).unwrap();
            }
            post(&net.boards[0], "e1", "doc", json!(null)).unwrap();
            net.carry(seed + 2);
            for board in &net.boards {
                assert_eq!(there(board), [""; 0], "seed {seed}");
                board.change(|state, _| state.check_invariants());
            }
        }
    }
}
