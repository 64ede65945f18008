//! Values drawn at random go from each kind of database to each other and on to a third.

use grove_crdt::Replica;
use grove_crdt_tests::Kind;
use proptest::{
    strategy::{Strategy, ValueTree as _},
    test_runner::{Config, RngAlgorithm, RngSeed, TestRunner},
};
use sea_orm::{IntoActiveModel as _, Iterable as _, prelude::*};

use super::{
    databases::{cells, pull, replica, rows, with_each},
    sample::{self, Choice},
};

const ROWS: i32 = 12;

/// Rows drawn at random, by a seed that is printed. `GROVE_SEED` repeats one.
fn drawn(choice: Choice) -> Vec<sample::Model> {
    let seed = std::env::var("GROVE_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(rand::random);
    println!("GROVE_SEED={seed} ({choice:?})");
    let mut runner = TestRunner::new(Config {
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    });
    let model = sample::model(choice);
    let one = |id| sample::Model {
        id,
        ..model.new_tree(&mut runner).expect("a row").current()
    };
    (0..ROWS).map(one).collect()
}

async fn insert(replica: &Replica, models: &[sample::Model]) {
    for model in models {
        let inserted = model.clone().into_active_model().reset_all().insert(replica).await;
        inserted.unwrap_or_else(|error| panic!("{error}: {model:?}"));
    }
}

/// Adopting, and saving what was read, record nothing.
async fn assert_no_edit(replica: &Replica) {
    let before = cells(replica).await;
    let found = replica.adopt::<sample::Entity>().await.unwrap();
    assert_eq!((found.adopted, found.changed, found.deleted), (0, 0, 0), "{found}");
    for row in rows(replica).await {
        row.into_active_model().reset_all().update(replica).await.unwrap();
    }
    assert_same(&before, &cells(replica).await);
}

/// Tells the columns in which rows differ: all of them would fill the screen.
#[track_caller]
fn assert_equal(some: &[sample::Model], others: &[sample::Model]) {
    for (one, other) in some.iter().zip(others) {
        let different: Vec<_> = sample::Column::iter()
            .filter(|_| one != other)
            .map(|column| (column, one.get(column), other.get(column)))
            .filter(|(_, one, other)| one != other)
            .collect();
        assert!(one == other, "row {}: {different:?}", one.id);
    }
    assert_eq!(some.len(), others.len());
}

#[track_caller]
fn assert_same(one: &[String], other: &[String]) {
    for (one, other) in one.iter().zip(other) {
        assert_eq!(one, other);
    }
    assert_eq!(one.len(), other.len());
}

async fn exact(from: Kind, to: Kind) {
    let (here, there) = (replica(from, "a").await, replica(to, "b").await);
    let models = drawn(Choice::Exact);
    insert(&here, &models).await;
    assert_equal(&rows(&here).await, &models);
    assert_eq!(pull(&there, &here, "samples").await, 0);
    assert_equal(&rows(&there).await, &models);
    assert_same(&cells(&here).await, &cells(&there).await);
    assert_no_edit(&here).await;
    assert_no_edit(&there).await;
}

/// What one database's columns show goes through another's to a third, of the first kind, and is there as it was.
async fn through(from: Kind, by: Kind, choice: Choice) {
    let (here, between) = (replica(from, "a").await, replica(by, "b").await);
    let there = replica(from, "c").await;
    let models = drawn(choice);
    let mut taken = Vec::new();
    for model in models {
        // What a database refuses of its own users is not there to be sent.
        let inserted = model.into_active_model().reset_all().insert(&here).await;
        taken.extend(inserted.ok());
    }
    // A round of changes, so that cells of fields travel as well as births.
    for (row, other) in taken.iter().zip(taken.iter().skip(1)).step_by(2) {
        let other = sample::Model {
            id: row.id,
            ..other.clone()
        };
        let _ = other.into_active_model().reset_all().update(&here).await;
    }
    assert_no_edit(&here).await;
    let parked = pull(&between, &here, "samples").await;
    assert!(choice == Choice::Any || parked == 0, "{:?}", between.parked().await);
    assert_same(&cells(&here).await, &cells(&between).await);
    assert_no_edit(&between).await;
    assert_eq!(pull(&there, &between, "samples").await, 0);
    assert_same(&cells(&here).await, &cells(&there).await);
    assert_equal(&rows(&here).await, &rows(&there).await);
    assert_no_edit(&there).await;
    edit_one_field(&between, &there).await;
}

/// An edit of one field, made by saving a whole row, is an edit of that field alone.
async fn edit_one_field(here: &Replica, there: &Replica) {
    let Some(row) = rows(here).await.into_iter().next() else {
        return;
    };
    let (id, was) = (
        row.id,
        sample::Entity::find_by_id(row.id).one(there).await.unwrap().unwrap(),
    );
    let edited = sample::Model {
        int: was.int.wrapping_add(1),
        ..row
    };
    let edited = edited.into_active_model().reset_all().update(here).await.unwrap();
    pull(there, here, "samples").await;
    let now = sample::Entity::find_by_id(id).one(there).await.unwrap().unwrap();
    assert_eq!(now, sample::Model { int: edited.int, ..was });
}

#[apply(on_each_database!)]
fn exact_values_read_back_equal_everywhere(kind: Kind) {
    with_each(kind, exact);
}

#[apply(on_each_database!)]
fn inexact_values_pass_through_every_database_unharmed(kind: Kind) {
    with_each(kind, |from, by| through(from, by, Choice::Inexact));
}

#[apply(on_each_database!)]
fn values_that_a_database_refuses_pass_through_it_unharmed(kind: Kind) {
    with_each(kind, |from, by| through(from, by, Choice::Any));
}
