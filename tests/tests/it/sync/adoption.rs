//! Tables that had data before they were replicated, on both sides.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{cells, entities::document, replica_of, rows};
use sea_orm::{ActiveValue::Set, EntityTrait, IntoActiveModel};

use crate::merge::support::{changes_of, meet, push};

const TABLE: &[&str] = &["documents"];

fn doc(n: usize, views: i64, tags: &[&str]) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(format!("doc-{n}")),
        title: Set(format!("title {n}")),
        view_count: Set(views),
        tags: Set(tags.iter().map(|tag| (*tag).to_owned()).collect::<OrSet<_>>()),
        author: Set(None),
    }
}

/// A replica whose table was filled before it was adopted.
async fn adopted(node: &str, docs: impl IntoIterator<Item = document::ActiveModel>) -> Replica {
    let replica = replica_of::<document::Entity>(node).await;
    document::Entity::insert_many(docs)
        .exec(&replica.untracked())
        .await
        .unwrap();
    replica.adopt::<document::Entity>().page_size(7).await.unwrap();
    replica
}

async fn shown(replica: &Replica) -> Vec<String> {
    rows::<document::Entity, _>(replica).await
}

#[apply(on_each_database!)]
async fn the_same_data_adopted_on_both_sides_is_one_history_and_no_value_changes() {
    let data = || (0..20).map(|n| doc(n, 100 + i64::try_from(n).unwrap(), &["a", "b"]));
    let a = adopted("a", data()).await;
    let b = adopted("b", data()).await;
    let before = shown(&a).await;
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
    let changes = changes_of(&a, TABLE).await;
    let response = push(&a, &b, &changes).await;
    assert_eq!((response.merged, response.conflicts), (20, 0));
    meet(&a, &b, TABLE).await;
    for replica in [&a, &b] {
        assert_eq!(shown(replica).await, before);
    }
    // Counting goes on from there on both sides.
    document::ActiveModel::increment_view_count(&a, "doc-3", 5)
        .await
        .unwrap();
    document::ActiveModel::increment_view_count(&b, "doc-3", 3)
        .await
        .unwrap();
    meet(&a, &b, TABLE).await;
    assert_eq!(shown(&a).await, shown(&b).await);
    let doc = document::Entity::find_by_id("doc-3").one(&b).await.unwrap().unwrap();
    assert_eq!(doc.view_count, 111);
}

#[apply(on_each_database!)]
async fn where_the_data_differ_the_outcome_is_the_same_on_both_sides() {
    let a = adopted("a", [doc(1, 10, &["x", "y"]), doc(2, -5, &[]), doc(3, 1, &["only a"])]).await;
    let b = adopted(
        "b",
        [doc(1, 12, &["y", "z"]), doc(2, -9, &["t"]), doc(4, 1, &["only b"])],
    )
    .await;
    let (c, d) = (
        replica_of::<document::Entity>("c").await,
        replica_of::<document::Entity>("d").await,
    );
    // In both orders.
    for (to, order) in [(&c, [&a, &b]), (&d, [&b, &a])] {
        for from in order {
            push(from, to, &changes_of(from, TABLE).await).await;
        }
    }
    meet(&a, &b, TABLE).await;
    let expected = shown(&a).await;
    for replica in [&b, &c, &d] {
        assert_eq!(shown(replica).await, expected, "{}", replica.node_id());
        assert_eq!(
            cells(replica, "documents").await,
            cells(&a, "documents").await,
            "{}",
            replica.node_id()
        );
    }
    let views = async |n: usize| {
        document::Entity::find_by_id(format!("doc-{n}"))
            .one(&a)
            .await
            .unwrap()
            .unwrap()
    };
    assert_eq!(views(1).await.view_count, 12);
    assert_eq!(views(1).await.tags, OrSet::from(["x", "y", "z"].map(str::to_owned)));
    assert_eq!(views(2).await.view_count, -5);
    // Adopting again finds nothing.
    for replica in [&a, &b, &c, &d] {
        let report = replica.adopt::<document::Entity>().deletions(true).await.unwrap();
        assert_eq!(
            (report.adopted, report.changed, report.deleted),
            (0, 0, 0),
            "{}",
            replica.node_id()
        );
    }
}

#[apply(on_each_database!)]
async fn a_real_write_wins_over_what_was_adopted_wherever_they_meet() {
    let a = adopted("a", [doc(1, 10, &["x"])]).await;
    let b = replica_of::<document::Entity>("b").await;
    document::ActiveModel {
        title: Set("a written one".into()),
        ..doc(1, 2, &["w"])
    }
    .insert(&b)
    .await
    .unwrap();
    let mut edited = document::Entity::find_by_id("doc-1")
        .one(&a)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    edited.author = Set(Some("local".into()));
    edited.update(&a).await.unwrap();
    meet(&a, &b, TABLE).await;
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
    for replica in [&a, &b] {
        let doc = document::Entity::find_by_id("doc-1")
            .one(replica)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((doc.title.as_str(), doc.view_count), ("a written one", 12));
        assert_eq!(doc.tags, OrSet::from(["w", "x"].map(str::to_owned)));
    }
}
