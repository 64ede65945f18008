//! An entity in a schema other than the main one: on SQLite, an attached database. MySQL has none, but by the name of a
//! whole database.

use grove_crdt::{Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{TestDatabase, backend, builder, cells, execute, new_database, rows, run_all};
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait};

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
    let table = "CREATE TABLE other.notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL, likes BIGINT NOT NULL)";
    let db = if backend() == DbBackend::Sqlite {
        let db = new_database().await;
        run_all(&db, &["ATTACH ':memory:' AS other", table]).await;
        db
    } else {
        let database = TestDatabase::new().await;
        // So that `cells` finds the shadow, wherever it is.
        let search = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, other', current_database()); END $$";
        run_all(&database.connect().await, &["CREATE SCHEMA other", table, search]).await;
        database.connect().await
    };
    builder(node).0.entity::<note::Entity>().open(db).await.unwrap()
}

#[apply(on_sqlite_and_postgres!)]
async fn a_table_of_another_schema_is_captured_and_synced() {
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
    execute(&a, raw, [2.into()]).await;
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
