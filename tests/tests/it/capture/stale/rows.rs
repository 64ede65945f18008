//! Steps are steps of the row that they were read from. In another row the value is made so.

use grove_crdt::{Counter, OrSet};
use grove_crdt_tests::assert_agrees;
use sea_orm::{
    ActiveModelTrait as _, ActiveValue::Set, ActiveValue::Unchanged, ConnectionTrait as _, EntityTrait,
    FromQueryResult, IntoActiveModel, QuerySelect, TransactionSession, TransactionTrait,
};

use super::{board, boards, draft, others_work, read, recorded, shelved, tags};
use crate::capture::sql;

fn with(id: &str, views: Counter, tags: OrSet<String>) -> board::ActiveModel {
    board::ActiveModel {
        id: Unchanged(id.to_owned()),
        views: Set(views),
        tags: Set(tags),
        ..Default::default()
    }
}

/// It had no steps to make, and was left out without a word.
#[apply(on_each_database!)]
async fn what_was_read_from_another_row_is_made_so() {
    let replica = boards().await;
    let from = read(&replica, "a").await;
    let again = || async {
        draft("b", 3, ["p"]).update(&replica).await.unwrap();
        recorded(&replica, "b", 3, ["p"]).await;
    };
    with("b", from.views, from.tags.clone()).update(&replica).await.unwrap();
    recorded(&replica, "b", 10, ["x", "y"]).await;
    again().await;
    with("b", from.views, from.tags.clone())
        .update_without_returning(&replica)
        .await
        .unwrap();
    recorded(&replica, "b", 10, ["x", "y"]).await;
    again().await;
    with("b", from.views, from.tags.clone()).save(&replica).await.unwrap();
    recorded(&replica, "b", 10, ["x", "y"]).await;
    again().await;
    // The key of the model itself is changed.
    let mut moved = from.clone().into_active_model().reset_all();
    moved.id = Set("b".to_owned());
    moved.update(&replica).await.unwrap();
    recorded(&replica, "b", 10, ["x", "y"]).await;
    again().await;
    // With steps of its own, in a transaction, by the trait's method, and out of a copy that was saved back first.
    let saved = from
        .clone()
        .into_active_model()
        .reset_all()
        .save(&replica)
        .await
        .unwrap();
    let (mut views, mut set) = (saved.views.unwrap(), saved.tags.unwrap());
    views += 5;
    set.remove(&"x".to_owned());
    set.insert("w".to_owned());
    let tx = replica.begin().await.unwrap();
    sea_orm::ActiveModelTrait::update(with("b", views, set), &tx)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    recorded(&replica, "b", 15, ["w", "y"]).await;
    recorded(&replica, "a", 10, ["x", "y"]).await;
}

#[apply(on_each_database!)]
async fn what_was_read_from_another_row_is_born_whole() {
    let replica = boards().await;
    let from = read(&replica, "a").await;
    let mut views = from.views;
    views += 1;
    let copy = |id: &str| board::ActiveModel {
        note: Set(String::new()),
        id: Set(id.to_owned()),
        ..with(id, views, from.tags.clone())
    };
    copy("c").insert(&replica).await.unwrap();
    board::Entity::insert(copy("d")).exec(&replica).await.unwrap();
    board::Entity::insert_many([copy("e"), copy("f")])
        .exec(&replica)
        .await
        .unwrap();
    let tx = replica.begin().await.unwrap();
    copy("g").insert(&tx).await.unwrap();
    tx.commit().await.unwrap();
    for id in ["c", "d", "e", "f", "g"] {
        recorded(&replica, id, 11, ["x", "y"]).await;
    }
}

/// Rows of two tables may have the same key, as where one is for what the other had.
#[apply(on_each_database!)]
async fn what_was_read_from_another_table_is_made_so() {
    let replica = boards().await;
    let copy = shelved::ActiveModel {
        id: Set("a".to_owned()),
        views: Set(Counter::new(1)),
        tags: Set(tags([])),
        note: Set(String::new()),
    };
    let shelved = copy.insert(&replica).await.unwrap();
    let from = read(&replica, "a").await;
    let change = shelved::ActiveModel {
        views: Set(from.views),
        tags: Set(from.tags.clone()),
        ..shelved.into_active_model()
    };
    let shelved = change.update(&replica).await.unwrap();
    assert_agrees::<shelved::Entity, _>(&replica).await;
    assert_eq!((shelved.views, &shelved.tags), (from.views, &from.tags));
    board::ActiveModel::increment_views(&replica, "a", 1).await.unwrap();
    with("a", shelved.views, shelved.tags).update(&replica).await.unwrap();
    recorded(&replica, "a", 10, ["x", "y"]).await;
}

/// However a row was read, its own steps are what is saved.
#[apply(on_each_database!)]
async fn a_stale_read_of_the_same_row_means_its_steps() {
    #[derive(FromQueryResult)]
    struct Part {
        views: Counter,
        tags: OrSet<String>,
    }
    let replica = boards().await;
    let one = read(&replica, "a").await;
    let texts = [
        "SELECT boards.*, 'n' AS extra FROM boards WHERE id = 'a'",
        "SELECT note, tags, views, id FROM boards AS other WHERE id = 'a'",
        "SELECT tags, views FROM boards WHERE id = 'a'",
        "SELECT tags, views, 'b' AS id FROM boards WHERE id = 'a'",
        "SELECT a.*, b.* FROM boards a, boards b WHERE a.id = 'a' AND b.id = 'a'",
    ];
    let mut stale = vec![(one.views, one.tags)];
    for text in texts {
        let row = replica.query_one_raw(sql(text, [])).await.unwrap().unwrap();
        let part = Part::from_query_result(&row, "").unwrap();
        stale.push((part.views, part.tags));
    }
    let joined = "SELECT a.id AS \"A_id\", a.views AS \"A_views\", a.tags AS \"A_tags\", a.note AS \"A_note\", \
                  b.id AS \"B_id\", b.views AS \"B_views\", b.tags AS \"B_tags\", b.note AS \"B_note\" \
                  FROM boards a, boards b WHERE a.id = 'a' AND b.id = 'b'";
    let row = replica.query_one_raw(sql(joined, [])).await.unwrap().unwrap();
    let of_a = board::Model::from_query_result(&row, "A_").unwrap();
    let of_b = board::Model::from_query_result(&row, "B_").unwrap();
    stale.push((of_a.views, of_a.tags));
    let tuple: (OrSet<String>, String, Counter, String) = board::Entity::find()
        .select_only()
        .columns([
            board::Column::Tags,
            board::Column::Id,
            board::Column::Views,
            board::Column::Note,
        ])
        .into_tuple()
        .one(&replica)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(tuple.1, "a");
    stale.push((tuple.2, tuple.0));
    others_work(&replica).await;
    let mut views = 110;
    for (place, (mut counter, mut set)) in stale.into_iter().enumerate() {
        counter += 1;
        views += 1;
        set.remove(&"x".to_owned());
        with("a", counter, set).update(&replica).await.unwrap();
        let row = read(&replica, "a").await;
        assert_eq!((row.views.get(), row.tags), (views, tags(["y", "z"])), "{place}");
    }
    recorded(&replica, "a", views, ["y", "z"]).await;
    with("a", of_b.views, of_b.tags).update(&replica).await.unwrap();
    recorded(&replica, "a", 3, ["p"]).await;
}
