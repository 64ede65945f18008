//! An entity in a schema other than the main one: on SQLite, an attached database.

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{builder, cells, memory, rows};
use sea_orm::{ActiveValue::Set, ConnectionTrait, EntityTrait, Statement};

mod note {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(schema_name = "other", table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub text: String,
        #[crdt(counter)]
        pub likes: i64,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn open(node: &str) -> Replica {
    let db = memory().await;
    db.execute_unprepared("ATTACH ':memory:' AS other").await.unwrap();
    db.execute_unprepared(
        "CREATE TABLE other.notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, likes BIGINT NOT NULL)",
    )
    .await
    .unwrap();
    builder(node).0.entity::<note::Entity>().open(db).await.unwrap()
}

#[tokio::test]
async fn a_table_of_an_attached_database_is_captured_and_synced() {
    let (a, b) = (open("a").await, open("b").await);
    for id in 1..=3 {
        let note = note::ActiveModel {
            id: Set(id),
            text: Set(format!("note {id}")),
            likes: Set(0),
        };
        note.insert(&a).await.unwrap();
    }
    note::ActiveModel::increment_likes(&a, 1, 5).await.unwrap();
    let raw = "UPDATE other.notes SET text = text || '!' WHERE id >= ?";
    let raw = Statement::from_sql_and_values(ConnectionTrait::get_database_backend(&a), raw, [2.into()]);
    a.execute_raw(raw).await.unwrap();
    note::Entity::delete_by_id(3).exec(&a).await.unwrap();

    let report = Syncer::builder(&b)
        .peer(MemoryTransport::new(&a))
        .build()
        .unwrap()
        .sync()
        .await
        .unwrap();
    assert_eq!(report.rejected + report.parked, 0, "{report}");
    let expected = [
        r#"Model { id: 1, text: "note 1", likes: 5 }"#,
        r#"Model { id: 2, text: "note 2!", likes: 0 }"#,
    ];
    assert_eq!(rows::<note::Entity, _>(&a).await, expected);
    assert_eq!(rows::<note::Entity, _>(&b).await, expected);
    assert_eq!(cells(&a, "notes").await, cells(&b, "notes").await);
}
