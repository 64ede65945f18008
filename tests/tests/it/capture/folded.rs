//! What is recorded of a transaction is what all that it did comes to, whenever somebody looks and however much it is.

use grove_crdt::{Replica, ReplicaTransaction};
use grove_crdt_tests::{assert_agrees, cells, entities::document, replica_of};
use sea_orm::{ActiveValue::Set, TransactionSession, TransactionTrait};
use serde_json::json;

use super::{documents, draft, epochs, execute};

mod paper {
    use grove_crdt::{Crdt, hooks};
    use sea_orm::{ActiveValue::Set, entity::prelude::*};

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "papers")]
    #[crdt(behavior = "manual")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    #[async_trait::async_trait]
    impl ActiveModelBehavior for ActiveModel {
        async fn before_save<C: ConnectionTrait>(self, db: &C, insert: bool) -> Result<Self, DbErr> {
            if matches!(&self.id, Set(id) if id == "several") {
                let notes = "INSERT INTO papers (id, title) VALUES ('n1', 't'), ('n2', 't'), ('n3', 't')";
                db.execute_unprepared(notes).await?;
            }
            hooks::before_save(self, db, insert).await
        }

        async fn after_save<C: ConnectionTrait>(model: Model, db: &C, insert: bool) -> Result<Model, DbErr> {
            let more: &[&str] = match model.id.as_str() {
                "gone" => &["DELETE FROM papers WHERE id = 'gone'"],
                "several" => &[
                    "DELETE FROM papers WHERE id = 'n1'",
                    "UPDATE papers SET title = 'of the hook' WHERE id = 'n2'",
                ],
                _ => &["UPDATE papers SET title = 'of the hook' WHERE id = 'kept'"],
            };
            for text in more {
                db.execute_unprepared(text).await?;
            }
            hooks::after_save::<Self, C>(model, db, insert).await
        }

        async fn before_delete<C: ConnectionTrait>(self, db: &C) -> Result<Self, DbErr> {
            hooks::before_delete(self, db).await
        }
    }
}

/// What is recorded together with a row's own statement is not all that its transaction does.
#[apply(on_each_database!)]
async fn what_the_users_hooks_do_to_a_new_row_is_a_part_of_its_birth() {
    let replica = replica_of::<paper::Entity>("node-1").await;
    for id in ["kept", "gone", "several"] {
        let paper = paper::ActiveModel {
            id: Set(id.into()),
            title: Set("t".into()),
        };
        paper.insert(&replica).await.unwrap();
    }
    assert_agrees::<paper::Entity, _>(&replica).await;
    let cells = cells(&replica, "papers").await;
    let keys: Vec<_> = cells.iter().map(|cell| cell.split(' ').next().unwrap()).collect();
    assert_eq!(keys, ["kept", "n2", "n3", "several"], "{cells:?}");
    let state = replica.inspect::<paper::Entity>("n2").await.unwrap();
    assert_eq!((state.epoch, &state.fields[0].value), (1, &json!("of the hook")));
}

const VIEW: &str = "UPDATE documents SET view_count = view_count + 1";
const UNVIEW: &str = "UPDATE documents SET view_count = view_count - 1";
const BIRTH: &str = "INSERT INTO documents VALUES ('new', 't', 1, '[]', NULL)";
const DEATH: &str = "DELETE FROM documents WHERE id = 'new'";

/// How a transaction is looked at, and where its steps are.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    Looks,
    /// In a savepoint each, that is released.
    Savepoints,
    /// After others that were rolled back.
    RolledBack,
}

async fn look(tx: &ReplicaTransaction) {
    for id in ["a", "new", "none"] {
        tx.inspect::<document::Entity>(id).await.unwrap();
    }
}

/// Runs the statements in a transaction.
async fn run(replica: &Replica, way: Way, statements: &[&str]) {
    let tx = replica.begin().await.unwrap();
    for text in statements {
        match way {
            Way::Plain => drop(execute(&tx, text, []).await),
            Way::Looks => {
                execute(&tx, text, []).await;
                look(&tx).await;
            }
            Way::Savepoints | Way::RolledBack => {
                let inner = tx.begin().await.unwrap();
                if matches!(way, Way::RolledBack) {
                    execute(&inner, VIEW, []).await;
                    execute(&inner, "DELETE FROM documents", []).await;
                    look(&inner).await;
                    inner.rollback().await.unwrap();
                    execute(&tx, text, []).await;
                } else {
                    execute(&inner, text, []).await;
                    look(&inner).await;
                    inner.commit().await.unwrap();
                }
                look(&tx).await;
            }
        }
    }
    tx.commit().await.unwrap();
    assert_agrees::<document::Entity, _>(replica).await;
}

const WAYS: [Way; 4] = [Way::Plain, Way::Looks, Way::Savepoints, Way::RolledBack];

#[apply(on_each_database!)]
async fn what_is_undone_again_is_no_write() {
    let title = |title: &str| format!("UPDATE documents SET title = '{title}'");
    let tags = |tags: &str| format!("UPDATE documents SET tags = '{tags}'");
    let (there, back) = (title("x"), title("title of a"));
    let (add, remove) = (tags(r#"["a","b","c"]"#), tags(r#"["a","b"]"#));
    for way in WAYS {
        let replica = documents().await;
        draft("a").insert(&replica).await.unwrap();
        let before = cells(&replica, "documents").await;
        for statements in [
            [there.as_str(), back.as_str()],
            [add.as_str(), remove.as_str()],
            [VIEW, UNVIEW],
            [BIRTH, DEATH],
        ] {
            run(&replica, way, &statements).await;
            assert_eq!(cells(&replica, "documents").await, before, "{way:?} {statements:?}");
        }
    }
}

#[apply(on_each_database!)]
async fn a_row_that_is_inserted_again_is_born_once() {
    for way in WAYS {
        let replica = documents().await;
        run(&replica, way, &[BIRTH, DEATH, BIRTH, VIEW]).await;
        assert_eq!(epochs(&replica, "documents").await, [("new".to_owned(), 1)], "{way:?}");
        assert_eq!(cells(&replica, "documents").await.len(), 1, "{way:?}");
        run(&replica, way, &[DEATH, BIRTH, VIEW]).await;
        assert_eq!(epochs(&replica, "documents").await, [("new".to_owned(), 3)], "{way:?}");
        run(&replica, way, &[VIEW, DEATH]).await;
        assert_eq!(epochs(&replica, "documents").await, [("new".to_owned(), 4)], "{way:?}");
    }
}

/// The inspected state is that which the commit records, but for clock values.
#[apply(on_each_database!)]
async fn a_look_shows_what_will_be_recorded_and_writes_nothing() {
    let replica = documents().await;
    draft("a").insert(&replica).await.unwrap();
    let before = cells(&replica, "documents").await;
    let tx = replica.begin().await.unwrap();
    for text in [
        VIEW,
        BIRTH,
        "UPDATE documents SET title = 'x'",
        "DELETE FROM documents WHERE id = 'a'",
    ] {
        execute(&tx, text, []).await;
        look(&tx).await;
        assert_eq!(cells(&tx, "documents").await, before);
    }
    let seen = [
        tx.inspect::<document::Entity>("a").await.unwrap(),
        tx.inspect::<document::Entity>("new").await.unwrap(),
    ];
    tx.commit().await.unwrap();
    for seen in seen {
        let recorded = replica.inspect::<document::Entity>(seen.pk.as_str()).await.unwrap();
        let values = |state: &grove_crdt::Inspection| {
            let fields = state
                .fields
                .iter()
                .map(|field| (field.value.clone(), field.parts.clone()));
            (state.epoch, state.state, fields.collect::<Vec<_>>())
        };
        assert_eq!(values(&recorded), values(&seen));
    }
}
