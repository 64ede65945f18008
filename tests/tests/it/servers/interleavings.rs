//! A push and a local transaction meet at one record that has no row, so that there is no row whose lock could keep them
//! apart: it was never seen, is dead, or waits for its parent.
//!
//! Here the local transaction has begun when the push comes; in [`paused_merges`](super::paused_merges) it is the other
//! way round.

use std::time::Duration;

use grove_crdt::Replica;
use grove_crdt_tests::{TestDatabase, assert_agrees, backend, sql};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait as _, DbBackend, DbErr, EntityTrait as _, IsolationLevel,
    TransactionSession as _, TransactionTrait as _,
};
use serde_json::Value as Json;

use super::tables::{self, TABLES, file, folder, is_overtaken, is_passing};
use crate::merge::support::{changes_of, pull, push};

/// What is known of the record here.
#[derive(Clone, Copy, Debug)]
pub(super) enum Known {
    Nothing,
    Death,
    /// Its birth, in a folder that is not here: the row waits.
    Birth,
}

/// What a peer tells of it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    Death,
    /// A change of a field alone.
    Title,
    Size,
    Rebirth,
    /// One in a folder that is not here.
    RebirthElsewhere,
}

pub(super) const KNOWN: [Known; 3] = [Known::Nothing, Known::Death, Known::Birth];
pub(super) const TOLD: [Told; 5] = [
    Told::Death,
    Told::Title,
    Told::Size,
    Told::Rebirth,
    Told::RebirthElsewhere,
];

/// How the local transaction goes on after its insert.
#[derive(Clone, Copy, Debug)]
enum End {
    Commit,
    RollBack,
    /// The row goes again before the commit.
    Delete,
}

/// Where the two meet.
pub(super) struct Scene {
    pub hub: Replica,
    pub author: Replica,
    /// Until where the author's changes have been looked at.
    looked_at: tokio::sync::Mutex<Option<String>>,
    /// A file goes when this is dropped.
    _database: TestDatabase,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let database = TestDatabase::new().await;
        let hub = tables::replica(&database, "hub", 8).await;
        let author = tables::on_sqlite("author").await;
        tables::folder("home").insert(&hub).await.unwrap();
        tables::folder("home").insert(&author).await.unwrap();
        tables::folder("nowhere").insert(&author).await.unwrap();
        Self {
            hub,
            author,
            looked_at: tokio::sync::Mutex::default(),
            _database: database,
        }
    }

    /// The author's changes of a file since they were last looked at, as far as they concern `field`.
    pub(super) async fn changes(&self, id: &str, field: &str) -> Vec<Json> {
        let mut cursor = self.looked_at.lock().await;
        let page = pull(&self.hub, &self.author, &["files"], cursor.as_deref(), 1_000).await;
        *cursor = Some(page.cursor);
        let changes = page
            .changes
            .iter()
            .filter(|change| change.pk == id && change.field == field);
        changes.map(|change| serde_json::to_value(change).unwrap()).collect()
    }

    /// Brings about what is known of a record, and gives what is going to be told.
    pub(super) async fn set_up(&self, id: &str, known: Known, told: Told) -> Vec<Json> {
        let born = tables::file(id, "nowhere", "by the author");
        born.insert(&self.author).await.unwrap();
        match known {
            Known::Nothing => {}
            Known::Death => {
                tables::file(id, "home", "here").insert(&self.hub).await.unwrap();
                file::Entity::delete_by_id(id).exec(&self.hub).await.unwrap();
            }
            Known::Birth => {
                let birth = self.changes(id, "").await;
                assert_eq!(push(&self.author, &self.hub, &birth).await.rejected, []);
            }
        }
        let retitled = file::ActiveModel {
            id: Set(id.to_owned()),
            title: Set("again by the author".to_owned()),
            ..Default::default()
        };
        match told {
            Told::Title => {
                retitled.update(&self.author).await.unwrap();
                self.changes(id, "title").await
            }
            Told::Size => {
                file::ActiveModel::increment_size(&self.author, id, 5).await.unwrap();
                self.changes(id, "size").await
            }
            Told::Death => {
                file::Entity::delete_by_id(id).exec(&self.author).await.unwrap();
                self.changes(id, "").await
            }
            Told::Rebirth | Told::RebirthElsewhere => {
                file::Entity::delete_by_id(id).exec(&self.author).await.unwrap();
                let there = if matches!(told, Told::Rebirth) {
                    "home"
                } else {
                    "nowhere"
                };
                tables::file(id, there, "reborn").insert(&self.author).await.unwrap();
                self.changes(id, "").await
            }
        }
    }

    /// What was told is known now, so that to hear it again is to hear nothing new.
    pub(super) async fn has_heard(&self, id: &str, told: &[Json], what: &str) {
        let before = record(&self.hub, id).await;
        let again = push(&self.author, &self.hub, told).await;
        assert_eq!(again.rejected, [], "{what}");
        assert_eq!(record(&self.hub, id).await, before, "{what}");
    }

    /// When nothing has to wait any longer, every row is what its cells say, and whoever hears of them has the same.
    pub(super) async fn agrees(&self) {
        tables::folder("nowhere").insert(&self.hub).await.unwrap();
        assert_eq!(self.hub.parked().await.unwrap(), []);
        assert_agrees::<folder::Entity, _>(&self.hub).await;
        assert_agrees::<file::Entity, _>(&self.hub).await;
        let reader = tables::on_sqlite("reader").await;
        assert_eq!(
            push(&self.hub, &reader, &changes_of(&self.hub, TABLES).await)
                .await
                .rejected,
            []
        );
        tables::assert_same(&self.hub, &reader).await;
    }
}

/// A record's cells.
pub(super) async fn record(replica: &Replica, id: &str) -> Vec<String> {
    let text = "SELECT concat(field, ' ', cell, ' ', epoch, ' ', hlc_ts, '.', hlc_counter, ' ', node_id, ' ', state) \
                FROM _files_crdt WHERE pk = ? AND epoch > 0";
    let rows = replica.query_all_raw(sql(text, [id.into()])).await.unwrap();
    let mut cells: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    cells.sort();
    cells
}

/// How long one is given to come as far as it can while the other waits.
pub(super) fn pause() -> Duration {
    Duration::from_millis(if backend() == DbBackend::Sqlite { 5 } else { 25 })
}

#[apply(on_each_database_with_threads!)]
async fn a_push_meets_a_read_committed_insert() {
    meet(IsolationLevel::ReadCommitted).await;
}

#[apply(on_each_database_with_threads!)]
async fn a_push_meets_a_repeatable_read_insert() {
    meet(IsolationLevel::RepeatableRead).await;
}

#[apply(on_each_database_with_threads!)]
async fn a_push_meets_a_serializable_insert() {
    meet(IsolationLevel::Serializable).await;
}

async fn meet(level: IsolationLevel) {
    let scene = Scene::new().await;
    for known in KNOWN {
        for told in TOLD {
            for end in [End::Commit, End::RollBack, End::Delete] {
                for looked_at in [false, true] {
                    meet_once(&scene, level, (known, told, end, looked_at)).await;
                }
            }
        }
    }
    scene.agrees().await;
}

async fn meet_once(scene: &Scene, level: IsolationLevel, (known, told, end, looked_at): (Known, Told, End, bool)) {
    let what = format!("{known:?}, told {told:?}, {end:?}, looked at {looked_at}");
    let id = format!("{known:?}-{told:?}-{end:?}-{looked_at}");
    let changes = scene.set_up(&id, known, told).await;
    let tx = scene.hub.begin_with_config(Some(level), None).await.unwrap();
    tables::file(&id, "home", "inserted").insert(&tx).await.unwrap();
    if matches!(end, End::Delete) {
        file::Entity::delete_by_id(&id).exec(&tx).await.unwrap();
    }
    if looked_at {
        tx.inspect::<file::Entity>(id.as_str()).await.unwrap();
    }
    let mut pushing = tokio::spawn({
        let (author, hub, changes) = (scene.author.clone(), scene.hub.clone(), changes.clone());
        async move { push(&author, &hub, &changes).await }
    });
    let finished = tokio::time::timeout(pause(), &mut pushing).await;
    let mut inserted = true;
    if matches!(end, End::RollBack) {
        tx.rollback().await.unwrap();
    } else if let Err(error) = tx.commit().await {
        assert!(is_passing(&error), "{what}: {error}");
        inserted = insert_again(&scene.hub, &id, level, end).await;
    }
    let answer = match finished {
        Ok(answer) => answer,
        Err(_) => pushing.await,
    };
    assert_eq!(answer.unwrap().rejected, [], "{what}");
    scene.has_heard(&id, &changes, &what).await;
    let row = file::Entity::find_by_id(&id).one(&scene.hub).await.unwrap();
    let stays = matches!(end, End::Commit) && inserted && matches!(told, Told::Title | Told::Size);
    assert!(!stays || row.is_some(), "{what}: the row that was inserted");
    if let (true, Known::Nothing, Told::Size, Some(row)) = (stays, known, told, row) {
        // The author's share is all that it knows of: the 3 of the birth, and 5. A later insert begins a life of its own.
        assert!([3, 3 + 8].contains(&row.size), "{what}: {}", row.size);
    }
}

/// What whoever began a transaction does when it was in the way of another. Returns whether there was room for the row.
async fn insert_again(hub: &Replica, id: &str, level: IsolationLevel, end: End) -> bool {
    for _ in 0..20 {
        let again: Result<(), DbErr> = async {
            let tx = hub.begin_with_config(Some(level), None).await?;
            tables::file(id, "home", "inserted").insert(&tx).await?;
            if matches!(end, End::Delete) {
                file::Entity::delete_by_id(id).exec(&tx).await?;
            }
            tx.commit().await
        }
        .await;
        match again {
            Ok(()) => return true,
            Err(error) if is_overtaken(&error) => return false,
            Err(error) => assert!(is_passing(&error), "{error}"),
        }
    }
    panic!("the insert of {id} never gets through");
}
