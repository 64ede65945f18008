//! Whatever three replicas did, and in whatever order others hear of it, all end with the same cells and the same rows.

use std::{collections::BTreeSet, time::Duration};

use grove_crdt::{FakeClock, OrSet, Replica};
use grove_crdt_tests::{builder, cells, create_table, database::for_all, entities::document, new_database, rows};
use proptest::prelude::*;
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, EntityTrait, ExprTrait as _, IntoActiveModel, QueryFilter as _,
    TransactionTrait as _, sea_query::Expr,
};
use serde_json::Value as Json;

use super::support::{Dice, changes_of, push};

const TABLE: &[&str] = &["documents"];
const ROWS: [&str; 2] = ["doc-1", "doc-2"];

/// What one node does in one step.
#[derive(Clone, Debug)]
enum Step {
    Insert(u8, i64, BTreeSet<u8>),
    /// The same data on every node, found by an adoption.
    Adopt(u8),
    Delete,
    Reborn(u8),
    Retitle(u8),
    Increment(i64),
    /// A model that was read, with this in place of the counter: "make it so".
    SetViews(i64),
    UpdateMany(i64),
    AddTag(u8),
    RemoveTag(u8),
    ReplaceTags(BTreeSet<u8>),
    Hear(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let tags = || prop::collection::btree_set(0..4u8, 0..3);
    prop_oneof![
        3 => (any::<u8>(), -9..9i64, tags()).prop_map(|(t, v, e)| Step::Insert(t, v, e)),
        1 => (0..2u8).prop_map(Step::Adopt),
        2 => Just(Step::Delete),
        1 => any::<u8>().prop_map(Step::Reborn),
        2 => any::<u8>().prop_map(Step::Retitle),
        2 => (-9..9i64).prop_map(Step::Increment),
        1 => (-9..9i64).prop_map(Step::SetViews),
        1 => (1..9i64).prop_map(Step::UpdateMany),
        2 => (0..4u8).prop_map(Step::AddTag),
        2 => (0..4u8).prop_map(Step::RemoveTag),
        1 => tags().prop_map(Step::ReplaceTags),
        3 => (0..3usize).prop_map(Step::Hear),
    ]
}

fn tags(elements: &BTreeSet<u8>) -> OrSet<String> {
    elements.iter().map(|e| format!("t{e}")).collect()
}

fn model(pk: &str, title: u8, views: i64, elements: &BTreeSet<u8>) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(pk.into()),
        title: Set(format!("title {title}")),
        view_count: Set(views),
        tags: Set(tags(elements)),
        author: Set(None),
    }
}

async fn open(node: &str) -> (Replica, FakeClock) {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let (builder, clock) = builder(node);
    (builder.entity::<document::Entity>().open(db).await.unwrap(), clock)
}

async fn change(replica: &Replica, pk: &str, with: impl FnOnce(&document::Model, &mut document::ActiveModel)) {
    if let Some(doc) = document::Entity::find_by_id(pk).one(replica).await.unwrap() {
        let mut active = doc.clone().into_active_model();
        with(&doc, &mut active);
        active.update(replica).await.unwrap();
    }
}

async fn take(replicas: &[Replica], node: usize, pk: &str, step: &Step) {
    let replica = &replicas[node];
    let there = document::Entity::find_by_id(pk).one(replica).await.unwrap().is_some();
    match step {
        Step::Insert(title, views, elements) if !there => {
            model(pk, *title, *views, elements).insert(replica).await.unwrap();
        }
        Step::Adopt(variant) if !there => {
            let model = model(pk, *variant, i64::from(*variant) - 3, &BTreeSet::from([*variant, 1]));
            document::Entity::insert(model)
                .exec(&replica.untracked())
                .await
                .unwrap();
            replica.adopt::<document::Entity>().await.unwrap();
        }
        Step::Delete => drop(document::Entity::delete_by_id(pk).exec(replica).await.unwrap()),
        Step::Reborn(title) if there => {
            let tx = replica.begin().await.unwrap();
            document::Entity::delete_by_id(pk).exec(&tx).await.unwrap();
            model(pk, *title, 1, &BTreeSet::new()).insert(&tx).await.unwrap();
            sea_orm::TransactionSession::commit(tx).await.unwrap();
        }
        Step::Retitle(title) => change(replica, pk, |_, doc| doc.title = Set(format!("title {title}"))).await,
        Step::Increment(by) if there => {
            document::ActiveModel::increment_view_count(replica, pk, *by)
                .await
                .unwrap();
        }
        Step::SetViews(views) => change(replica, pk, |_, doc| doc.view_count = Set(*views)).await,
        Step::UpdateMany(by) => {
            document::Entity::update_many()
                .col_expr(
                    document::Column::ViewCount,
                    Expr::col(document::Column::ViewCount).mul(*by),
                )
                .filter(document::Column::Id.eq(pk))
                .exec(replica)
                .await
                .unwrap();
        }
        Step::AddTag(e) => {
            change(replica, pk, |doc, active| {
                let mut tags = doc.tags.clone();
                tags.insert(format!("t{e}"));
                active.tags = Set(tags);
            })
            .await;
        }
        Step::RemoveTag(e) => {
            change(replica, pk, |doc, active| {
                let mut tags = doc.tags.clone();
                tags.remove(&format!("t{e}"));
                active.tags = Set(tags);
            })
            .await;
        }
        Step::ReplaceTags(elements) => change(replica, pk, |_, doc| doc.tags = Set(tags(elements))).await,
        Step::Hear(from) if *from != node => {
            let changes = changes_of(&replicas[*from], TABLE).await;
            let response = push(&replicas[*from], replica, &changes).await;
            assert_eq!(response.rejected, []);
        }
        _ => {}
    }
}

/// Runs the steps. Returns the replicas and every change that any of them could ever have told of.
async fn run(steps: &[(usize, usize, u8, Step)]) -> (Vec<Replica>, Vec<Json>) {
    let mut replicas = Vec::new();
    let mut clocks = Vec::new();
    for node in ["a", "b", "c"] {
        let (replica, clock) = open(node).await;
        replicas.push(replica);
        clocks.push(clock);
    }
    let mut told = Vec::new();
    for (node, row, pause, step) in steps {
        clocks[*node].advance(Duration::from_micros((*pause).into()));
        take(&replicas, *node, ROWS[*row], step).await;
        told.extend(changes_of(&replicas[*node], TABLE).await);
    }
    (replicas, told)
}

async fn state(replica: &Replica) -> (Vec<String>, Vec<String>) {
    (
        cells(replica, "documents").await,
        rows::<document::Entity, _>(replica).await,
    )
}

/// Every change, twice, in a drawn order and in drawn batches.
async fn hear_in_disorder(replica: &Replica, told: &[Json], dice: &mut Dice) {
    let mut heard: Vec<Json> = told.iter().chain(told).cloned().collect();
    dice.shuffle(&mut heard);
    let mut rest = heard.as_slice();
    while !rest.is_empty() {
        let size = (1 + dice.below(12)).min(rest.len());
        let (page, later) = rest.split_at(size);
        let response = super::support::push_as("teller", "teller's-database", replica, page).await;
        assert_eq!(response.rejected, []);
        rest = later;
    }
}

async fn check(steps: Vec<(usize, usize, u8, Step)>, seed: u64) {
    let (replicas, told) = run(&steps).await;
    // Twice around: everybody has everything.
    for (to, from) in [(0, 1), (0, 2), (1, 0), (2, 0)] {
        let changes = changes_of(&replicas[from], TABLE).await;
        push(&replicas[from], &replicas[to], &changes).await;
    }
    let expected = state(&replicas[0]).await;
    assert_eq!(state(&replicas[1]).await, expected);
    assert_eq!(state(&replicas[2]).await, expected);
    let mut dice = Dice(seed);
    for node in ["x", "y"] {
        let (replica, _) = open(node).await;
        hear_in_disorder(&replica, &told, &mut dice).await;
        assert_eq!(state(&replica).await, expected, "{node}");
    }
}

#[apply(on_each_database!)]
fn any_order_duplication_and_batching_gives_equal_cells_and_equal_rows(kind: Kind) {
    let steps = prop::collection::vec((0..3usize, 0..2usize, 0..9u8, step()), 1..25);
    for_all(kind, &(steps, any::<u64>()), 60, |(steps, seed)| check(steps, seed));
}
