//! Counters whose sum leaves the range, though no node's part does.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{cells, entities::document, replica_of, rows};
use sea_orm::{ActiveModelTrait as _, ActiveValue::Set, EntityTrait, IntoActiveModel};

use super::support::{carry, meet, parked};

mod narrow {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "narrow")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(counter)]
        pub middle: i32,
        #[crdt(counter)]
        pub small: i16,
        #[crdt(counter)]
        pub large: i64,
        #[crdt(lww)]
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const TABLE: &[&str] = &["documents"];

async fn views(replica: &Replica) -> i64 {
    document::Entity::find_by_id("doc-1")
        .one(replica)
        .await
        .unwrap()
        .unwrap()
        .view_count
}

/// Both have counted the last step to the top, each for itself.
async fn beyond() -> (Replica, Replica) {
    let a = replica_of::<document::Entity>("a").await;
    let b = replica_of::<document::Entity>("b").await;
    let doc = document::ActiveModel {
        id: Set("doc-1".into()),
        title: Set("t".into()),
        view_count: Set(i64::MAX - 1),
        tags: Set(OrSet::new()),
        author: Set(None),
    };
    doc.insert(&a).await.unwrap();
    carry(&a, &b, TABLE).await;
    document::ActiveModel::increment_view_count(&a, "doc-1", 1)
        .await
        .unwrap();
    document::ActiveModel::increment_view_count(&b, "doc-1", 1)
        .await
        .unwrap();
    meet(&a, &b, TABLE).await;
    for replica in [&a, &b] {
        assert_eq!(
            parked(replica).await,
            ["documents doc-1 Value"],
            "{}",
            replica.node_id()
        );
        assert_eq!(views(replica).await, i64::MAX);
        let detail = &replica.parked().await.unwrap()[0].detail;
        assert!(detail.contains("view_count"), "{detail}");
    }
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
    (a, b)
}

#[apply(on_each_database!)]
async fn a_sum_beyond_i64_parks_on_both_sides_and_a_step_back_releases() {
    let (a, b) = beyond().await;
    document::ActiveModel::increment_view_count(&b, "doc-1", -3)
        .await
        .unwrap();
    assert_eq!(views(&b).await, i64::MAX - 2);
    assert_eq!(parked(&b).await, Vec::<String>::new());
    meet(&a, &b, TABLE).await;
    assert_eq!(parked(&a).await, Vec::<String>::new());
    assert_eq!(
        rows::<document::Entity, _>(&a).await,
        rows::<document::Entity, _>(&b).await
    );
    assert_eq!(cells(&a, "documents").await, cells(&b, "documents").await);
}

#[apply(on_each_database!)]
async fn other_fields_of_the_row_can_be_written_meanwhile() {
    let (a, b) = beyond().await;
    let mut doc = document::Entity::find_by_id("doc-1")
        .one(&a)
        .await
        .unwrap()
        .unwrap()
        .into_active_model();
    doc.title = Set("written".into());
    doc.update(&a).await.unwrap();
    meet(&a, &b, TABLE).await;
    document::ActiveModel::increment_view_count(&a, "doc-1", -9)
        .await
        .unwrap();
    meet(&a, &b, TABLE).await;
    for replica in [&a, &b] {
        let doc = document::Entity::find_by_id("doc-1")
            .one(replica)
            .await
            .unwrap()
            .unwrap();
        assert_eq!((doc.title.as_str(), doc.view_count), ("written", i64::MAX - 8));
        assert_eq!(parked(replica).await, Vec::<String>::new());
    }
}

/// A step of a counter, by the name of its column.
async fn step(replica: &Replica, column: &str, by: i64) -> Result<(), sea_orm::DbErr> {
    let (middle, small, large) = match column {
        "middle" => (Some(by), None, None),
        "small" => (None, Some(by), None),
        _ => (None, None, Some(by)),
    };
    if let Some(by) = middle {
        narrow::ActiveModel::increment_middle(replica, "n", by).await?;
    }
    if let Some(by) = small {
        narrow::ActiveModel::increment_small(replica, "n", by).await?;
    }
    if let Some(by) = large {
        narrow::ActiveModel::increment_large(replica, "n", by).await?;
    }
    Ok(())
}

/// Every step was refused for as long as the sum was out of the range, so that it could never come back.
#[apply(on_each_database!)]
async fn steps_towards_its_range_bring_a_counter_back() {
    for (column, most) in [
        ("middle", i64::from(i32::MAX)),
        ("small", i64::from(i16::MAX)),
        ("large", i64::MAX),
    ] {
        for sign in [1, -1] {
            let [a, b] = [
                replica_of::<narrow::Entity>("a").await,
                replica_of::<narrow::Entity>("b").await,
            ];
            let tables = &["narrow"];
            let row = narrow::ActiveModel {
                id: Set("n".into()),
                middle: Set(0),
                small: Set(0),
                large: Set(0),
                note: Set(String::new()),
            };
            row.insert(&a).await.unwrap();
            carry(&a, &b, tables).await;
            for replica in [&a, &b] {
                step(replica, column, sign * (most - 3)).await.unwrap();
            }
            meet(&a, &b, tables).await;
            for replica in [&a, &b] {
                assert_eq!(parked(replica).await, ["narrow n Value"], "{column}");
            }

            // Towards the range, and not yet there.
            step(&a, column, -sign * 5).await.unwrap();
            assert_eq!(parked(&a).await, ["narrow n Value"], "{column}");
            let error = step(&a, column, sign * 2).await.unwrap_err().to_string();
            assert!(
                error.contains(column) && error.contains("only steps towards the range"),
                "{error}"
            );
            // What is read back and saved again moves nothing.
            let model = narrow::Entity::find_by_id("n").one(&a).await.unwrap().unwrap();
            let mut again = model.into_active_model().reset_all();
            again.note = Set(format!("of {column}"));
            again.update(&a).await.unwrap();
            meet(&a, &b, tables).await;
            assert_eq!(parked(&b).await, ["narrow n Value"], "{column}");

            step(&b, column, -sign * (most - 3)).await.unwrap();
            assert_eq!(parked(&b).await, Vec::<String>::new(), "{column}");
            meet(&a, &b, tables).await;
            for replica in [&a, &b] {
                assert_eq!(parked(replica).await, Vec::<String>::new(), "{column}");
                let row = narrow::Entity::find_by_id("n").one(replica).await.unwrap().unwrap();
                let [middle, small] = [row.middle.into(), i64::from(row.small)];
                let value = [middle, small, row.large].into_iter().find(|value| *value != 0);
                assert_eq!(value, Some(sign * (most - 8)), "{column}");
                assert_eq!(row.note, format!("of {column}"));
            }
            assert_eq!(cells(&a, "narrow").await, cells(&b, "narrow").await);
        }
    }
}

/// A row that is not there, because its counter is out of range, is inserted with a value that the counter is to have.
#[apply(on_each_database!)]
async fn a_row_that_waits_for_its_counter_can_be_inserted() {
    let (a, b) = beyond().await;
    let c = replica_of::<document::Entity>("c").await;
    carry(&a, &c, TABLE).await;
    assert_eq!(parked(&c).await, ["documents doc-1 Value"]);
    let doc = document::ActiveModel {
        view_count: Set(5),
        ..crate::capture::draft("doc-1")
    };
    doc.insert(&c).await.unwrap();
    meet(&c, &a, TABLE).await;
    meet(&c, &b, TABLE).await;
    for replica in [&a, &b, &c] {
        assert_eq!(parked(replica).await, Vec::<String>::new(), "{}", replica.node_id());
        assert_eq!(views(replica).await, 5);
    }
}
