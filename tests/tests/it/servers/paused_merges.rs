//! A push has read a record that has no row, and is stopped before it writes; then a local write of the same record
//! comes. See [`interleavings`](super::interleavings).
//!
//! It is stopped by a lock on a cell of another record that it writes too.

use grove_crdt_tests::{backend, sql};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, IsolationLevel,
    TransactionSession as _, TransactionTrait as _,
};
use serde_json::Value as Json;

use super::{
    interleavings::{KNOWN, Known, Scene, TOLD, Told, pause},
    tables::{self, file, is_overtaken, is_passing},
};
use crate::merge::support::push;

#[apply(on_each_server!)]
async fn an_insert_meets_a_push_that_is_stopped_before_it_writes_the_record() {
    meet("zzz").await;
}

#[apply(on_each_server!)]
async fn an_insert_meets_a_push_that_is_stopped_after_it_wrote_the_record() {
    meet("0").await;
}

/// `obstacle` begins the key of the record that the push is stopped at: it is written in the order of keys.
async fn meet(obstacle: &str) {
    let scene = Scene::new().await;
    let levels = [
        None,
        // The one that is not the database's own.
        Some(if backend() == DbBackend::Postgres {
            IsolationLevel::RepeatableRead
        } else {
            IsolationLevel::ReadCommitted
        }),
        Some(IsolationLevel::Serializable),
    ];
    for known in KNOWN {
        for told in TOLD {
            for level in levels {
                meet_once(&scene, obstacle, known, told, level).await;
            }
        }
    }
    scene.agrees().await;
}

async fn meet_once(scene: &Scene, obstacle: &str, known: Known, told: Told, level: Option<IsolationLevel>) {
    let what = format!("{known:?}, told {told:?}, {level:?}");
    let id = format!("{known:?}-{told:?}-{level:?}").replace(['(', ')'], "");
    let mut changes = scene.set_up(&id, known, told).await;
    let heard = changes.clone();
    let obstacle = format!("{obstacle}-{id}");
    changes.extend(retitled(scene, &obstacle).await);

    let blocker = scene.hub.connection().begin().await.unwrap();
    let lock = "SELECT pk FROM _files_crdt WHERE pk = ? AND field = 'title' FOR UPDATE";
    blocker
        .query_all_raw(sql(lock, [obstacle.as_str().into()]))
        .await
        .unwrap();
    let pushing = tokio::spawn({
        let (author, hub, changes) = (scene.author.clone(), scene.hub.clone(), changes.clone());
        async move { push(&author, &hub, &changes).await }
    });
    tokio::time::sleep(pause()).await;
    assert!(!pushing.is_finished(), "{what}: the push is stopped");
    let inserting = tokio::spawn({
        let (hub, id) = (scene.hub.clone(), id.clone());
        async move { insert(&hub, &id, level).await }
    });
    tokio::time::sleep(pause()).await;
    blocker.rollback().await.unwrap();

    assert_eq!(pushing.await.unwrap().rejected, [], "{what}");
    let inserted = inserting.await.unwrap();
    if let Err(error) = &inserted {
        assert!(is_overtaken(error), "{what}: {error}");
    }
    scene.has_heard(&id, &heard, &what).await;

    let row = file::Entity::find_by_id(&id).one(&scene.hub).await.unwrap();
    let stays = inserted.is_ok() && matches!(told, Told::Title | Told::Size);
    assert!(!stays || row.is_some(), "{what}: the row that was inserted");
    if let (true, Known::Nothing, Told::Size, Some(row)) = (stays, known, told, row) {
        // The author's share is all that it knows of: the 3 of the birth, and 5. A later insert begins a life of its own.
        assert!([3, 3 + 8].contains(&row.size), "{what}: {}", row.size);
    }
}

/// The author's change of the title of a file that has been retitled here before.
async fn retitled(scene: &Scene, id: &str) -> Vec<Json> {
    let retitle = |title: &str| file::ActiveModel {
        id: Set(id.to_owned()),
        title: Set(title.to_owned()),
        ..Default::default()
    };
    tables::file(id, "home", "in the way").insert(&scene.hub).await.unwrap();
    retitle("here").update(&scene.hub).await.unwrap();
    tables::file(id, "home", "known there too")
        .insert(&scene.author)
        .await
        .unwrap();
    retitle("there").update(&scene.author).await.unwrap();
    // Of two births the later one wins, and with it the title that is later than both.
    scene.changes(id, "title").await
}

/// Inserts the row by itself, or in a transaction of this level, which is run again when another was in the way.
async fn insert(hub: &grove_crdt::Replica, id: &str, level: Option<IsolationLevel>) -> Result<(), DbErr> {
    let row = tables::file(id, "home", "inserted");
    let Some(level) = level else {
        return row.insert(hub).await.map(drop);
    };
    for _ in 0..20 {
        let tx = hub.begin_with_config(Some(level), None).await?;
        let written = match row.clone().insert(&tx).await {
            Ok(_) => tx.commit().await,
            Err(error) => Err(error),
        };
        match written {
            Err(error) if is_passing(&error) => {}
            written => return written,
        }
    }
    panic!("the insert of {id} never gets through");
}
