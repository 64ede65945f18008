//! Shadow tables made by a migration.

use grove_crdt::{Replica, migration::Migration, prelude::*};
use grove_crdt_tests::{Statements, TestDatabase, assert_agrees, create_table, entities::document, number, sql};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait};
use sea_orm_migration::{MigrationName, MigrationTrait, MigratorTrait, SchemaManager};

mod note {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub text: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

struct UserTables;

impl MigrationName for UserTables {
    fn name(&self) -> &'static str {
        "m20260101_000001_tables"
    }
}

#[async_trait::async_trait]
impl MigrationTrait for UserTables {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let schema = sea_orm::Schema::new(manager.get_database_backend());
        manager
            .create_table(schema.create_table_from_entity(document::Entity))
            .await?;
        manager
            .create_table(schema.create_table_from_entity(note::Entity))
            .await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for table in ["documents", "notes"] {
            manager
                .drop_table(sea_orm::sea_query::Table::drop().table(table).take())
                .await?;
        }
        Ok(())
    }
}

struct Migrator;

impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(UserTables),
            Box::new(Migration::new("m20260101_000002_documents").entity::<document::Entity>()),
            Box::new(Migration::new("m20260101_000003_notes").entity::<note::Entity>()),
        ]
    }
}

async fn open(db: DatabaseConnection) -> Replica {
    let builder = Replica::builder("node-1").entity::<document::Entity>();
    builder.entity::<note::Entity>().open(db).await.unwrap()
}

fn draft(id: &str) -> document::ActiveModel {
    document::ActiveModel {
        id: Set(id.into()),
        title: Set(format!("title of {id}")),
        view_count: Set(1),
        tags: Set(OrSet::from(["a".to_owned()])),
        author: Set(None),
    }
}

async fn there(db: &DatabaseConnection, table: &str) -> bool {
    let count = sql(&format!("SELECT count(*) FROM \"{table}\""), []);
    db.query_one_raw(count).await.is_ok()
}

#[apply(on_each_database!)]
async fn opening_finds_nothing_to_do_after_the_migration() {
    let database = TestDatabase::new().await;
    let mut db = database.connect().await;
    Migrator::up(&db, None).await.unwrap();
    let statements = Statements::of(&mut db);
    let replica = open(db).await;
    let ddl: Vec<_> = statements
        .take()
        .into_iter()
        .filter(|sql| {
            ["CREATE", "ALTER", "DROP"]
                .iter()
                .any(|word| sql.trim_start().starts_with(word))
        })
        .collect();
    assert_eq!(ddl, Vec::<String>::new());
    draft("a").insert(&replica).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

/// And the other way round: the migration finds nothing to do, and loses nothing.
#[apply(on_each_database!)]
async fn the_migration_comes_after_the_first_opening() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    create_table(&db, document::Entity).await.unwrap();
    create_table(&db, note::Entity).await.unwrap();
    let replica = open(db.clone()).await;
    draft("a").insert(&replica).await.unwrap();
    let manager = SchemaManager::new(&db);
    let migration = Migration::new("m")
        .entity::<document::Entity>()
        .entity::<note::Entity>();
    migration.up(&manager).await.unwrap();
    assert_agrees::<document::Entity, _>(&replica).await;
}

#[apply(on_each_database!)]
async fn going_down_forgets_one_table_after_the_other() {
    let database = TestDatabase::new().await;
    let db = database.connect().await;
    Migrator::up(&db, None).await.unwrap();
    let replica = open(db.clone()).await;
    draft("a").insert(&replica).await.unwrap();
    drop(replica);
    Migrator::down(&db, Some(1)).await.unwrap();
    assert!(!there(&db, "_notes_crdt").await);
    assert!(there(&db, "_documents_crdt").await && there(&db, "_grove_replica").await);
    let remembered = "SELECT count(*) FROM _grove_fields WHERE table_name = 'notes'";
    assert_eq!(number(&db, remembered).await, 0);
    Migrator::down(&db, Some(1)).await.unwrap();
    for table in ["_documents_crdt", "_grove_replica", "_grove_fields", "_grove_leases"] {
        assert!(!there(&db, table).await, "{table}");
    }
    // The user's rows are left, and join a new history.
    assert_eq!(document::Entity::find().all(&db).await.unwrap().len(), 1);
    Migrator::up(&db, None).await.unwrap();
    let replica = open(db).await;
    assert_eq!(replica.adopt::<document::Entity>().await.unwrap().adopted, 1);
    assert_agrees::<document::Entity, _>(&replica).await;
}
