//! Hub and spoke, chain and mesh: everything reaches everyone by any path, and then all is quiet.

use grove_crdt::{OrSet, Replica, sync::SyncReport, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{cells, entities::document, replica_of, rows, written};
use sea_orm::{ActiveValue::Set, EntityTrait};

async fn nodes() -> [Replica; 3] {
    [
        replica_of::<document::Entity>("a").await,
        replica_of::<document::Entity>("b").await,
        replica_of::<document::Entity>("c").await,
    ]
}

/// Who asks whom, in each round.
const HUB: &[(usize, usize)] = &[(1, 0), (2, 0)];
const CHAIN: &[(usize, usize)] = &[(0, 1), (1, 2)];
const MESH: &[(usize, usize)] = &[(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)];
const RING: &[(usize, usize)] = &[(0, 1), (1, 2), (2, 0)];

async fn round(nodes: &[Replica; 3], paths: &[(usize, usize)]) -> Vec<SyncReport> {
    let mut reports = Vec::new();
    for (from, to) in paths {
        let syncer = Syncer::builder(&nodes[*from])
            .peer(MemoryTransport::new(&nodes[*to]))
            .page_size(3)
            .build()
            .unwrap();
        reports.push(syncer.sync().await.unwrap());
    }
    reports
}

async fn put(replica: &Replica, id: &str) {
    let doc = document::ActiveModel {
        id: Set(id.into()),
        title: Set(format!("by {}", replica.node_id())),
        view_count: Set(1),
        tags: Set(OrSet::from([replica.node_id().to_string()])),
        author: Set(None),
    };
    doc.insert(replica).await.unwrap();
}

/// Rounds until nothing moves any more; then that nothing is written either, and that all have the same.
async fn settle(nodes: &[Replica; 3], paths: &[(usize, usize)]) {
    for rounds in 0.. {
        assert!(rounds < 5, "it never comes to rest");
        let reports = round(nodes, paths).await;
        if reports.iter().all(|report| *report == SyncReport::default()) {
            break;
        }
    }
    let mut before = Vec::new();
    for node in nodes {
        before.push((written(node).await, cells(node, "documents").await));
    }
    let idle = round(nodes, paths).await;
    assert!(
        idle.iter()
            .all(|report| report.to_string() == "pulled=0 pushed=0 merged=0 conflicts=0"),
        "{idle:?}"
    );
    for (node, before) in nodes.iter().zip(&before) {
        assert_eq!(
            (written(node).await, cells(node, "documents").await),
            *before,
            "{}",
            node.node_id()
        );
    }
    for node in nodes {
        assert_eq!(before[0].1, cells(node, "documents").await, "{}", node.node_id());
        assert_eq!(
            rows::<document::Entity, _>(&nodes[0]).await,
            rows::<document::Entity, _>(node).await
        );
    }
}

async fn everything_reaches_everyone(paths: &[(usize, usize)]) {
    let nodes = nodes().await;
    for node in &nodes {
        put(node, "shared").await;
        put(node, &format!("of {}", node.node_id())).await;
    }
    settle(&nodes, paths).await;
    assert_eq!(rows::<document::Entity, _>(&nodes[0]).await.len(), 4);
    // Writes, deletes and births of what everybody has, all apart.
    for (node, by) in nodes.iter().zip([1, 10, 100]) {
        document::ActiveModel::increment_view_count(node, "shared", by)
            .await
            .unwrap();
    }
    document::Entity::delete_by_id("of a").exec(&nodes[1]).await.unwrap();
    document::ActiveModel::increment_view_count(&nodes[2], "of a", 5)
        .await
        .unwrap();
    document::Entity::delete_by_id("of b").exec(&nodes[0]).await.unwrap();
    put(&nodes[0], "of b").await;
    settle(&nodes, paths).await;
    let shared = document::Entity::find_by_id("shared")
        .one(&nodes[1])
        .await
        .unwrap()
        .unwrap();
    // Three births of one view each, and the increments.
    assert_eq!((shared.view_count, shared.tags.len()), (3 + 111, 3));
    let of_b = document::Entity::find_by_id("of b")
        .one(&nodes[2])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(of_b.title, "by a");
    assert!(
        document::Entity::find_by_id("of a")
            .one(&nodes[0])
            .await
            .unwrap()
            .is_none()
    );
}

#[apply(on_each_database!)]
async fn by_a_hub() {
    everything_reaches_everyone(HUB).await;
}

#[apply(on_each_database!)]
async fn along_a_chain() {
    everything_reaches_everyone(CHAIN).await;
}

#[apply(on_each_database!)]
async fn in_a_mesh() {
    everything_reaches_everyone(MESH).await;
}

#[apply(on_each_database!)]
async fn around_a_ring() {
    everything_reaches_everyone(RING).await;
}

#[apply(on_each_database!)]
async fn an_old_change_that_comes_late_reaches_those_who_were_ahead_of_it() {
    for paths in [HUB, CHAIN, MESH, RING] {
        let nodes = nodes().await;
        // Written first, and offline for long.
        put(&nodes[2], "old").await;
        for n in 0..5 {
            put(&nodes[0], &format!("new {n}")).await;
            round(&nodes, &[(0, 1), (1, 0)]).await;
        }
        settle(&nodes, paths).await;
        assert_eq!(rows::<document::Entity, _>(&nodes[0]).await.len(), 6);
    }
}

#[apply(on_each_database!)]
async fn nothing_goes_back_to_where_it_came_from() {
    let nodes = nodes().await;
    put(&nodes[1], "doc-1").await;
    let reports = round(&nodes, &[(1, 0), (1, 0), (0, 1), (0, 1)]).await;
    let shown: Vec<_> = reports.iter().map(ToString::to_string).collect();
    assert_eq!(shown[0], "pulled=0 pushed=1 merged=0 conflicts=0");
    assert_eq!(shown[1], "pulled=0 pushed=0 merged=0 conflicts=0");
    // The other one has not yet been told itself, and does not tell it back.
    assert_eq!(shown[2], "pulled=1 pushed=0 merged=1 conflicts=0");
    assert_eq!(shown[3], "pulled=0 pushed=0 merged=0 conflicts=0");
}
