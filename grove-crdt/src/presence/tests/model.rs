//! Whatever is done to a board, it is what a model of it says that has no index, no deadline and no memory of events.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::presence::{
    PresenceEvent, PresenceGuard, PresenceKind, PresenceRelay, PresenceSnapshot, connection::Connection,
};

const NODES: [&str; 4] = ["hub", "a", "b", "p"];
const TOPICS: [&str; 3] = ["x", "y", "t:1"];

#[derive(Clone, Debug)]
enum Action {
    /// By a node: data by topic, or leaving.
    Post(usize, Vec<(usize, Option<u8>)>),
    Connect(usize),
    Disconnect(usize),
    Join(usize, u8),
    Update(usize, u8),
    Leave(usize),
    Follow,
    /// A peer tells that a node is there or not, by this way.
    Hear(usize, usize, usize, Option<u8>, bool),
    HearAll(usize, Vec<(usize, usize, u8)>),
    Unfollow(usize),
    Wait(u64),
}

fn action() -> impl Strategy<Value = Action> {
    let posting = 1..NODES.len();
    let topic = 0..TOPICS.len();
    let said = proptest::option::weighted(0.7, 0..3_u8);
    prop_oneof![
        5 => (posting, prop::collection::vec((topic.clone(), said.clone()), 1..3)).prop_map(|(n, said)| Action::Post(n, said)),
        2 => (1..NODES.len()).prop_map(Action::Connect),
        2 => any::<usize>().prop_map(Action::Disconnect),
        2 => (topic.clone(), 0..3_u8).prop_map(|(t, d)| Action::Join(t, d)),
        1 => (any::<usize>(), 0..3_u8).prop_map(|(g, d)| Action::Update(g, d)),
        1 => any::<usize>().prop_map(Action::Leave),
        1 => Just(Action::Follow),
        4 => (any::<usize>(), 0..NODES.len(), topic.clone(), said, any::<bool>())
            .prop_map(|(r, n, t, d, far)| Action::Hear(r, n, t, d, far)),
        1 => (any::<usize>(), prop::collection::vec((0..NODES.len(), topic, 0..3_u8), 0..4))
            .prop_map(|(r, all)| Action::HearAll(r, all)),
        1 => any::<usize>().prop_map(Action::Unfollow),
        3 => (0..20_u64).prop_map(Action::Wait),
    ]
}

/// One claim: who makes it, of whom, what, by how many nodes, how new, and the second in which it ends.
#[derive(Clone, Debug, PartialEq)]
struct Claim {
    source: String,
    node: &'static str,
    topic: &'static str,
    data: u8,
    via: Vec<&'static str>,
    age: u64,
    ends: Option<u64>,
}

#[derive(Default)]
struct Model {
    claims: Vec<Claim>,
    age: u64,
    now: u64,
}

type View = BTreeMap<(String, String), String>;

impl Model {
    fn set(&mut self, mut claim: Claim) {
        self.age += 1;
        claim.age = self.age;
        let same = |own: &&mut Claim| (&own.source, own.node, own.topic) == (&claim.source, claim.node, claim.topic);
        match self.claims.iter_mut().find(same) {
            Some(own) if (own.data, &own.via) == (claim.data, &claim.via) => own.ends = claim.ends,
            Some(own) => *own = claim,
            None => self.claims.push(claim),
        }
    }

    fn drop(&mut self, gone: impl Fn(&Claim) -> bool) {
        self.claims.retain(|claim| !gone(claim));
    }

    /// What is seen by one who is told what this node does not know.
    fn view(&self, told_to: Option<&str>) -> View {
        let mut best = BTreeMap::<(&str, &str), &Claim>::new();
        for claim in &self.claims {
            let place = best.entry((claim.topic, claim.node)).or_insert(claim);
            if (claim.via.len(), std::cmp::Reverse(claim.age)) < (place.via.len(), std::cmp::Reverse(place.age)) {
                *place = claim;
            }
        }
        best.into_iter()
            .filter(|((_, node), claim)| told_to.is_none_or(|told| told != *node && !claim.via.contains(&told)))
            .map(|((topic, node), claim)| {
                let shown = format!("{} via {}", claim.data, claim.via.join(","));
                ((topic.to_owned(), node.to_owned()), shown)
            })
            .collect()
    }
}

/// A subscriber, and what it makes of what it is told.
struct Follower {
    told_to: Option<&'static str>,
    subscription: PresenceSubscription,
    view: View,
}

impl Follower {
    fn new(board: &Board, told_to: Option<&'static str>) -> Self {
        let filter = match told_to {
            Some(told) => Filter::all().told_to(node(told)),
            None => Filter::all(),
        };
        Self {
            told_to,
            subscription: board.subscribe(filter),
            view: View::new(),
        }
    }

    fn listen(&mut self) {
        let shown = |data: &PresenceData, via: &[NodeId]| {
            let via: Vec<_> = via.iter().map(NodeId::as_str).collect();
            format!("{data} via {}", via.join(","))
        };
        while let Some(item) = self.subscription.next_now() {
            match item {
                PresenceItem::Snapshot(snapshot) => {
                    let all = snapshot.presences.iter();
                    self.view = all
                        .map(|p| ((p.topic.clone(), p.node_id.to_string()), shown(&p.data, &p.via)))
                        .collect();
                }
                PresenceItem::Event(event) => {
                    let place = (event.topic, event.node_id.to_string());
                    let known = self.view.contains_key(&place);
                    assert_eq!(known, event.kind != PresenceKind::Join, "{:?} of {place:?}", event.kind);
                    let gone = matches!(event.kind, PresenceKind::Leave | PresenceKind::Expire);
                    assert_eq!(gone, event.data.is_none());
                    match event.data {
                        Some(data) => {
                            let shown = shown(&data, &event.via);
                            let before = self.view.insert(place.clone(), shown.clone());
                            assert_ne!(before, Some(shown), "nothing happened to {place:?}");
                        }
                        None => _ = self.view.remove(&place),
                    }
                }
            }
        }
    }
}

/// The board, its model, and all that holds something on it.
struct World {
    board: Board,
    model: Model,
    connections: Vec<(&'static str, Connection)>,
    guards: Vec<(String, &'static str, PresenceGuard)>,
    relays: Vec<(String, PresenceRelay)>,
    names: usize,
}

impl World {
    async fn act(&mut self, action: Action) {
        match action {
            Action::Post(n, said) => self.post(NODES[n], &said),
            Action::Connect(n) => self.connections.push((NODES[n], self.board.connect(&node(NODES[n])))),
            Action::Disconnect(which) if !self.connections.is_empty() => {
                let (who, connection) = self.connections.swap_remove(which % self.connections.len());
                drop(connection);
                if self.connections.iter().all(|(other, _)| *other != who) {
                    self.model.drop(|claim| claim.source == "posted" && claim.node == who);
                }
            }
            Action::Join(t, data) => {
                let guard = self.board.join(TOPICS[t], &data).unwrap();
                let name = self.name("guard");
                self.claim(&name, "hub", TOPICS[t], data, Vec::new(), None);
                self.guards.push((name, TOPICS[t], guard));
            }
            Action::Update(which, data) if !self.guards.is_empty() => {
                let (name, topic, guard) = &self.guards[which % self.guards.len()];
                guard.update(data).unwrap();
                let (name, topic) = (name.clone(), *topic);
                self.claim(&name, "hub", topic, data, Vec::new(), None);
            }
            Action::Leave(which) if !self.guards.is_empty() => {
                let (name, _, guard) = self.guards.swap_remove(which % self.guards.len());
                drop(guard);
                self.model.drop(|claim| claim.source == name);
            }
            Action::Follow => {
                let name = self.name("relay");
                self.relays.push((name, self.board.relay(node("p"))));
            }
            Action::Hear(which, n, t, data, far) if !self.relays.is_empty() => self.hear(which, n, t, data, far),
            Action::HearAll(which, all) if !self.relays.is_empty() => self.hear_all(which, &all),
            Action::Unfollow(which) if !self.relays.is_empty() => {
                let (name, relay) = self.relays.swap_remove(which % self.relays.len());
                drop(relay);
                self.model.drop(|claim| claim.source == name);
            }
            Action::Wait(seconds) => {
                tokio::time::advance(Duration::from_secs(seconds)).await;
                settle().await;
                self.model.now += seconds;
                let now = self.model.now;
                self.model.drop(|claim| claim.ends.is_some_and(|end| end <= now));
            }
            // What there is none of.
            _ => {}
        }
    }

    fn post(&mut self, who: &'static str, said: &[(usize, Option<u8>)]) {
        let said: BTreeMap<_, _> = said.iter().map(|(t, data)| (TOPICS[*t], *data)).collect();
        let form = |data: Option<u8>| data.map(|data| self::data(&json!(data)));
        let request = said.iter().map(|(topic, data)| ((*topic).to_owned(), form(*data)));
        self.board.post(&node(who), &request.collect()).unwrap();
        let ends = Some(self.model.now + TTL.as_secs());
        for (topic, data) in said {
            match data {
                Some(data) => self.claim("posted", who, topic, data, Vec::new(), ends),
                None => self
                    .model
                    .drop(|claim| (claim.source.as_str(), claim.node, claim.topic) == ("posted", who, topic)),
            }
        }
    }

    fn hear(&mut self, which: usize, n: usize, t: usize, said: Option<u8>, far: bool) {
        let place = which % self.relays.len();
        let (name, relay) = &mut self.relays[place];
        let (name, who, topic) = (name.clone(), NODES[n], TOPICS[t]);
        let via = if far { vec!["q"] } else { Vec::new() };
        relay.apply(PresenceItem::Event(PresenceEvent {
            kind: said.map_or(PresenceKind::Leave, |_| PresenceKind::Update),
            topic: topic.into(),
            node_id: node(who),
            data: said.map(|said| data(&json!(said))),
            via: via.iter().map(|id| node(id)).collect(),
        }));
        match said {
            Some(said) if who != "hub" => {
                let via = via.into_iter().chain(["p"]).collect();
                self.claim(&name, who, topic, said, via, None);
            }
            _ => self
                .model
                .drop(|claim| (claim.source.as_str(), claim.node, claim.topic) == (&name, who, topic)),
        }
    }

    fn hear_all(&mut self, which: usize, all: &[(usize, usize, u8)]) {
        let all: BTreeMap<_, _> = all.iter().map(|(n, t, d)| ((TOPICS[*t], NODES[*n]), *d)).collect();
        let place = which % self.relays.len();
        let (name, relay) = &mut self.relays[place];
        let name = name.clone();
        let presences = all.iter().map(|((topic, who), said)| Presence {
            topic: (*topic).into(),
            node_id: node(who),
            data: data(&json!(said)),
            via: Vec::new(),
        });
        relay.apply(PresenceItem::Snapshot(PresenceSnapshot {
            presences: presences.collect(),
            resync: false,
            more: false,
        }));
        for ((topic, who), said) in &all {
            if *who != "hub" {
                self.claim(&name, who, topic, *said, vec!["p"], None);
            }
        }
        self.model
            .drop(|claim| claim.source == name && !all.contains_key(&(claim.topic, claim.node)));
    }

    fn claim(
        &mut self,
        source: &str,
        node: &'static str,
        topic: &'static str,
        data: u8,
        via: Vec<&'static str>,
        ends: Option<u64>,
    ) {
        self.model.set(Claim {
            source: source.into(),
            node,
            topic,
            data,
            via,
            age: 0,
            ends,
        });
    }

    fn name(&mut self, of: &str) -> String {
        self.names += 1;
        format!("{of}{}", self.names)
    }
}

async fn agrees_with_the_model(actions: Vec<Action>, late: usize) {
    let board = board();
    let mut world = World {
        board: board.clone(),
        model: Model::default(),
        connections: Vec::new(),
        guards: Vec::new(),
        relays: Vec::new(),
        names: 0,
    };
    let mut followers = vec![
        Follower::new(&board, None),
        Follower::new(&board, Some("a")),
        Follower::new(&board, Some("p")),
    ];
    for (place, action) in actions.into_iter().enumerate() {
        if place == late {
            followers.push(Follower::new(&board, None));
        }
        world.act(action).await;
        board.change(|state, _| state.check_invariants());
        for follower in &mut followers {
            follower.listen();
            assert_eq!(
                follower.view,
                world.model.view(follower.told_to),
                "after action {place}"
            );
        }
    }
    world.connections.clear();
    world.guards.clear();
    world.relays.clear();
    tokio::time::advance(TTL).await;
    assert_eq!(there(&board), [""; 0]);
    board.change(|state, _| state.check_invariants());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_board_is_what_its_model_says(actions in prop::collection::vec(action(), 1..60), late in 0..60_usize) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(agrees_with_the_model(actions, late));
    }
}
