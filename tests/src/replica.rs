//! Replicas to test with.

use std::time::Duration;

use grove_crdt::{CrdtEntity, Error, FakeClock, Replica, ReplicaBuilder};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, Schema};

use crate::new_database;

/// Where fake time starts: 2023-11-14T22:13:20Z.
pub const START: i64 = 1_700_000_000_000_000;

/// Creates an entity's table.
pub async fn create_table<E: EntityTrait>(db: &DatabaseConnection, entity: E) -> Result<(), DbErr> {
    let schema = Schema::new(db.get_database_backend());
    db.execute(&schema.create_table_from_entity(entity)).await.map(drop)
}

/// A builder whose clock stands at [`START`] until it is moved.
pub fn builder(node: &str) -> (ReplicaBuilder, FakeClock) {
    let clock = FakeClock::at(START);
    (Replica::builder(node).clock(clock.clone()), clock)
}

/// Opens a replica as soon as its node id is free. That of a process which was killed may stay its own for a while.
pub async fn open_when_free(builder: impl Fn() -> ReplicaBuilder, db: &DatabaseConnection) -> Replica {
    let begun = std::time::Instant::now();
    loop {
        match builder().open(db.clone()).await {
            Err(Error::NodeInUse { .. }) if begun.elapsed() < Duration::from_mins(1) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            opened => return opened.expect("a replica"),
        }
    }
}

/// A replica of one entity in a database of its own.
pub async fn replica_of<E: CrdtEntity + Default>(node: &str) -> Replica {
    let db = new_database().await;
    create_table(&db, E::default()).await.expect("the table");
    builder(node).0.entity::<E>().open(db).await.expect("a replica")
}
