//! A table of notes, and replicas of it.

use grove_crdt::{Crdt, FakeClock, Replica, ReplicaBuilder};
use grove_crdt_tests::{TestDatabase, new_database};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseConnection, Schema, entity::prelude::*};

/// A note.
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
#[sea_orm(table_name = "notes")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: String,
    /// As long as it may get, on MySQL too.
    #[crdt(lww)]
    #[sea_orm(column_type = "Text")]
    pub title: String,
}

#[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

/// Another table of the same form.
pub mod draft {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    /// A draft.
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "drafts")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// Creates the tables that are not there yet.
async fn prepared(db: DatabaseConnection) -> DatabaseConnection {
    let schema = Schema::new(db.get_database_backend());
    for mut table in [
        schema.create_table_from_entity(Entity),
        schema.create_table_from_entity(draft::Entity),
    ] {
        db.execute(table.if_not_exists()).await.unwrap();
    }
    db
}

fn builder(node: &str) -> ReplicaBuilder {
    Replica::builder(node).entity::<Entity>().entity::<draft::Entity>()
}

/// A replica of notes and drafts on a new database.
pub async fn replica(node: &str) -> Replica {
    builder(node).open(prepared(new_database().await).await).await.unwrap()
}

/// The same, set up as the test likes.
pub async fn replica_with(node: &str, set_up: impl FnOnce(ReplicaBuilder) -> ReplicaBuilder) -> Replica {
    let db = prepared(new_database().await).await;
    set_up(builder(node)).open(db).await.unwrap()
}

/// The same, on this connection.
pub async fn replica_on(db: DatabaseConnection, node: &str) -> Replica {
    builder(node).open(prepared(db).await).await.unwrap()
}

/// The same, on this database, which has been written to or not.
pub async fn replica_in(database: &TestDatabase, node: &str) -> Replica {
    let db = database.connect().await;
    builder(node).open(prepared(db).await).await.unwrap()
}

/// One on this database, set up by the test.
pub async fn replica_in_with(
    database: &TestDatabase,
    node: &str,
    set_up: impl Fn(ReplicaBuilder) -> ReplicaBuilder,
) -> Replica {
    let db = prepared(database.connect().await).await;
    set_up(builder(node)).open(db).await.unwrap()
}

/// The same, on a new database, with a clock to set.
pub async fn replica_at(node: &str, clock: &FakeClock) -> Replica {
    builder(node)
        .clock(clock.clone())
        .open(prepared(new_database().await).await)
        .await
        .unwrap()
}

/// Writes a new note.
pub async fn write(replica: &Replica, id: &str, title: &str) {
    let note = ActiveModel {
        id: Set(id.to_owned()),
        title: Set(title.to_owned()),
    };
    note.insert(replica).await.unwrap();
}

/// A note's title.
pub async fn title(replica: &Replica, id: &str) -> Option<String> {
    let note = Entity::find_by_id(id).one(replica).await.unwrap();
    note.map(|note| note.title)
}
