//! Counters and sets that were read a while ago, in statements that say too little and in rows that they were not read from.

mod rows;
mod statements;

use grove_crdt::{Counter, OrSet, Replica};
use grove_crdt_tests::{assert_agrees, builder, create_table, new_database};
use sea_orm::{ActiveValue::Set, EntityTrait};

mod board {
    use grove_crdt::{Counter, Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "boards")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(counter)]
        pub views: Counter,
        #[crdt(set)]
        pub tags: OrSet<String>,
        #[crdt(lww)]
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// A table with the same columns.
mod shelved {
    use grove_crdt::{Counter, Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "shelved_boards")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(counter)]
        pub views: Counter,
        #[crdt(set)]
        pub tags: OrSet<String>,
        #[crdt(lww)]
        pub note: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

fn tags<const N: usize>(tags: [&str; N]) -> OrSet<String> {
    tags.into_iter().map(str::to_owned).collect()
}

fn draft<const N: usize>(id: &str, views: i64, elements: [&str; N]) -> board::ActiveModel {
    board::ActiveModel {
        id: Set(id.to_owned()),
        views: Set(Counter::new(views)),
        tags: Set(tags(elements)),
        note: Set(String::new()),
    }
}

/// A replica with two boards.
async fn boards() -> Replica {
    let db = new_database().await;
    create_table(&db, board::Entity).await.unwrap();
    create_table(&db, shelved::Entity).await.unwrap();
    let builder = builder("node-1")
        .0
        .entity::<board::Entity>()
        .entity::<shelved::Entity>();
    let replica = builder.open(db).await.unwrap();
    draft("a", 10, ["x", "y"]).insert(&replica).await.unwrap();
    draft("b", 3, ["p"]).insert(&replica).await.unwrap();
    replica
}

async fn read(replica: &Replica, id: &str) -> board::Model {
    board::Entity::find_by_id(id).one(replica).await.unwrap().unwrap()
}

/// A board as it is, once what was recorded says the same.
async fn recorded<const N: usize>(replica: &Replica, id: &str, views: i64, elements: [&str; N]) {
    assert_agrees::<board::Entity, _>(replica).await;
    let row = read(replica, id).await;
    assert_eq!((row.views.get(), row.tags), (views, tags(elements)));
}

/// What somebody else does to the board `a` meanwhile.
async fn others_work(replica: &Replica) {
    board::ActiveModel::increment_views(replica, "a", 100).await.unwrap();
    let row = read(replica, "a").await;
    let mut tags = row.tags.clone();
    tags.insert("z".to_owned());
    let change = board::ActiveModel {
        tags: Set(tags),
        ..row.into()
    };
    change.update(replica).await.unwrap();
}
