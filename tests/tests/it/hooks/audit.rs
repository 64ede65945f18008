//! An audit log: who changed what, from what to what, in a table of the application's own.

use grove_crdt::{
    Change,
    sync::{MergeEvent, Peer, SyncHook},
};
use grove_crdt_tests::{builder, create_table, entities::document, execute, new_database};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use serde_json::Value as Json;

use super::{plain, retitle, sync, syncer, write};

/// Writes down what peers have changed. The database handle is that from before the replica was opened: what is written
/// over it is not replicated.
struct Audit {
    db: DatabaseConnection,
}

impl Audit {
    fn shown(change: Option<&Change>) -> String {
        let title = change.and_then(|change| change.lww("title")).and_then(Json::as_str);
        title.unwrap_or("-").to_owned()
    }
}

#[async_trait::async_trait]
impl SyncHook for Audit {
    async fn after_merge(&self, peer: &Peer, merge: MergeEvent<'_>) {
        // What was known already, or lost, has changed nothing.
        if merge.local == merge.result {
            return;
        }
        let line = format!(
            "{} {} {} -> {}",
            peer.name,
            merge.remote.pk,
            Self::shown(merge.local),
            Self::shown(merge.result)
        );
        execute(&self.db, "INSERT INTO audit (entry) VALUES (?)", [line.into()]).await;
    }
}

async fn log(db: &DatabaseConnection) -> Vec<String> {
    let select = Statement::from_string(db.get_database_backend(), "SELECT entry FROM audit");
    let rows = db.query_all_raw(select).await.unwrap();
    let mut lines: Vec<String> = rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect();
    lines.sort();
    lines
}

#[apply(on_each_database!)]
async fn what_peers_change_is_written_down_once() {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    db.execute_unprepared("CREATE TABLE audit (entry varchar(200) NOT NULL)")
        .await
        .unwrap();
    let hook = Audit { db: db.clone() };
    let (builder, clock) = builder("cloud");
    let cloud = builder
        .entity::<document::Entity>()
        .hook(hook)
        .open(db.clone())
        .await
        .unwrap();
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    sync(&edge, &cloud).await;
    assert_eq!(log(&db).await, ["memory 1 - -> one"]);
    retitle(&edge, "1", "two").await;
    sync(&edge, &cloud).await;
    // What the cloud writes itself is no peer's, and what loses to it changes nothing.
    clock.advance(std::time::Duration::from_secs(1));
    retitle(&cloud, "1", "three").await;
    retitle(&edge, "1", "too late").await;
    assert_eq!(syncer(&edge, &cloud).push_now().await.unwrap().pushed, 1);
    assert_eq!(log(&db).await, ["memory 1 - -> one", "memory 1 one -> two"]);
}
