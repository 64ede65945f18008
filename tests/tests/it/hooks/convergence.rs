//! With a hook at the hub that alters, skips and refuses, three replicas end with the same.

use std::time::Duration;

use grove_crdt::{Change, FakeClock, OrSet, Replica};
use grove_crdt_tests::{cells, database::for_all, entities::document, rows};
use proptest::prelude::*;
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::{Rules, replica_at, sync};

const ROWS: [&str; 2] = ["doc-1", "doc-2"];

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    Delete,
    Retitle(u8),
    Increment(i64),
    AddTag(u8),
    RemoveTag(u8),
    Sync,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any::<u8>().prop_map(Step::Insert),
        1 => Just(Step::Delete),
        4 => any::<u8>().prop_map(Step::Retitle),
        2 => (-9..9i64).prop_map(Step::Increment),
        1 => (0..3u8).prop_map(Step::AddTag),
        1 => (0..3u8).prop_map(Step::RemoveTag),
        3 => Just(Step::Sync),
    ]
}

/// Rounds titles down to tens: what has been rounded stays.
fn round(mut change: Change) -> Change {
    if let Some(title) = change.lww_mut("title") {
        let number: u8 = title.as_str().and_then(|title| title.parse().ok()).unwrap_or_default();
        *title = (number / 10 * 10).to_string().into();
    }
    change
}

async fn change(replica: &Replica, pk: &str, with: impl FnOnce(&mut document::ActiveModel, OrSet<String>)) {
    if let Some(doc) = document::Entity::find_by_id(pk).one(replica).await.unwrap() {
        let tags = doc.tags.clone();
        let mut active = doc.into_active_model();
        with(&mut active, tags);
        active.update(replica).await.unwrap();
    }
}

async fn take(replica: &Replica, hub: &Replica, pk: &str, step: &Step) {
    let there = document::Entity::find_by_id(pk).one(replica).await.unwrap().is_some();
    match step {
        Step::Insert(title) if !there => {
            let doc = document::ActiveModel {
                id: Set(pk.into()),
                title: Set(title.to_string()),
                view_count: Set(i64::from(*title)),
                tags: Set(OrSet::from([format!("t{}", title % 3)])),
                author: Set(None),
            };
            doc.insert(replica).await.unwrap();
        }
        Step::Delete => drop(document::Entity::delete_by_id(pk).exec(replica).await.unwrap()),
        Step::Retitle(title) => change(replica, pk, |doc, _| doc.title = Set(title.to_string())).await,
        Step::Increment(by) if there => {
            document::ActiveModel::increment_view_count(replica, pk, *by)
                .await
                .unwrap();
        }
        Step::AddTag(tag) => {
            change(replica, pk, |doc, mut tags| {
                tags.insert(format!("t{tag}"));
                doc.tags = Set(tags);
            })
            .await;
        }
        Step::RemoveTag(tag) => {
            change(replica, pk, |doc, mut tags| {
                tags.remove(&format!("t{tag}"));
                doc.tags = Set(tags);
            })
            .await;
        }
        Step::Sync => drop(sync(replica, hub).await),
        _ => {}
    }
}

async fn check(steps: Vec<(usize, usize, u8, Step)>) {
    let mut nodes: Vec<(Replica, FakeClock)> = Vec::new();
    for node in ["m-hub", "a", "z"] {
        let rules = if node == "m-hub" {
            Rules::inbound(|_, change| Ok(Some(round(change))))
        } else {
            Rules::default()
        };
        nodes.push(replica_at(node, rules).await);
    }
    let hub = nodes[0].0.clone();
    for (node, row, pause, step) in steps {
        let (replica, clock) = &nodes[node];
        clock.advance(Duration::from_micros((pause / 3).into()));
        if node > 0 || !matches!(step, Step::Sync) {
            take(replica, &hub, ROWS[row], &step).await;
        }
    }
    for node in [1, 2, 1, 2] {
        sync(&nodes[node].0, &hub).await;
    }
    let expected = (cells(&hub, "documents").await, rows::<document::Entity, _>(&hub).await);
    for (replica, _) in &nodes[1..] {
        let state = (
            cells(replica, "documents").await,
            rows::<document::Entity, _>(replica).await,
        );
        assert_eq!(state, expected, "{}", replica.node_id());
        let idle = sync(replica, &hub).await;
        assert_eq!(idle.to_string(), "pulled=0 pushed=0 merged=0 conflicts=0");
    }
}

#[apply(on_each_database!)]
fn an_altering_hook_leaves_three_replicas_with_the_same(kind: Kind) {
    let steps = prop::collection::vec((0..3usize, 0..2usize, 0..9u8, step()), 1..25);
    for_all(kind, &steps, 100, check);
}
