//! Values that the database makes or converts are recorded as it stored them.

use grove_crdt::Replica;
use grove_crdt_tests::{assert_agrees, backend, builder, new_database};
use sea_orm::{ActiveValue::Set, ActiveValue::Unchanged, DbBackend, EntityTrait, TransactionSession, TransactionTrait};

use super::{execute, run_all};

mod article {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "articles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub state: String,
        #[crdt(counter)]
        pub stock: i64,
        #[crdt(set)]
        pub tags: OrSet<String>,
        #[crdt(lww)]
        pub price: f64,
        #[crdt(lww)]
        pub twice: i64,
        #[crdt(lww)]
        pub upper: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// With a column that is computed when it is read, where there is such a thing.
fn table() -> String {
    let (price, twice) = match backend() {
        DbBackend::Postgres => ("DOUBLE PRECISION", "STORED"),
        DbBackend::MySql => ("DOUBLE", "VIRTUAL"),
        _ => ("NUMERIC", "VIRTUAL"),
    };
    format!(
        "CREATE TABLE articles (
            id TEXT PRIMARY KEY NOT NULL,
            state TEXT NOT NULL DEFAULT 'new',
            stock BIGINT NOT NULL DEFAULT 7,
            tags JSON_TEXT NOT NULL DEFAULT ('[\"t\"]'),
            price {price} NOT NULL DEFAULT 1.5,
            twice BIGINT GENERATED ALWAYS AS (stock * 2) {twice},
            upper TEXT GENERATED ALWAYS AS (upper(state)) STORED
        )"
    )
}

/// Triggers that write to a row after it was inserted, and after its stock was changed. MySQL has none that write to the
/// table they are on; there they change the row before.
fn triggers() -> [&'static str; 2] {
    match backend() {
        DbBackend::Postgres => [
            "CREATE FUNCTION articles_inserted() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE articles SET state = new.state || '!' WHERE id = new.id; RETURN NULL; END $$;
             CREATE TRIGGER articles_inserted AFTER INSERT ON Articles
                FOR EACH ROW EXECUTE FUNCTION articles_inserted()",
            "CREATE FUNCTION articles_updated() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                UPDATE articles SET state = state || '+', price = price + 0.1 WHERE id = new.id; RETURN NULL; END $$;
             CREATE TRIGGER articles_updated AFTER UPDATE OF stock ON articles
                FOR EACH ROW EXECUTE FUNCTION articles_updated()",
        ],
        DbBackend::MySql => [
            "CREATE TRIGGER articles_inserted BEFORE INSERT ON articles FOR EACH ROW
                SET NEW.state = concat(NEW.state, '!')",
            "CREATE TRIGGER articles_updated BEFORE UPDATE ON articles FOR EACH ROW
                IF NEW.stock <> OLD.stock THEN
                    SET NEW.state = concat(OLD.state, '+'), NEW.price = OLD.price + 0.1;
                END IF",
        ],
        _ => [
            "CREATE TRIGGER articles_inserted AFTER INSERT ON Articles BEGIN
                UPDATE articles SET state = new.state || '!' WHERE id = new.id; END",
            "CREATE TRIGGER articles_updated AFTER UPDATE OF stock ON articles BEGIN
                UPDATE articles SET state = state || '+', price = price + 0.1 WHERE id = new.id; END",
        ],
    }
}

async fn articles() -> Replica {
    let db = new_database().await;
    run_all(&db, &[&table()]).await;
    builder("node-1").0.entity::<article::Entity>().open(db).await.unwrap()
}

async fn stored(replica: &Replica, id: &str) -> article::Model {
    assert_agrees::<article::Entity, _>(replica).await;
    article::Entity::find_by_id(id).one(replica).await.unwrap().unwrap()
}

#[apply(on_each_database!)]
async fn defaults_and_generated_columns_are_part_of_the_birth() {
    let replica = articles().await;
    article::ActiveModel {
        id: Set("a".into()),
        ..Default::default()
    }
    .insert(&replica)
    .await
    .unwrap();
    let row = stored(&replica, "a").await;
    assert_eq!(
        (row.state.as_str(), row.stock, row.twice, row.upper.as_deref()),
        ("new", 7, 14, Some("NEW"))
    );
    execute(&replica, "INSERT INTO articles (id) VALUES ('b')", []).await;
    stored(&replica, "b").await;
    let rows = ["c", "d"].map(|id| article::ActiveModel {
        id: Set(id.into()),
        ..Default::default()
    });
    article::Entity::insert_many(rows).exec(&replica).await.unwrap();
    stored(&replica, "d").await;
}

#[apply(on_each_database!)]
async fn generated_columns_follow_updates() {
    let replica = articles().await;
    article::ActiveModel {
        id: Set("a".into()),
        ..Default::default()
    }
    .insert(&replica)
    .await
    .unwrap();
    let change = || article::ActiveModel {
        id: Unchanged("a".into()),
        ..Default::default()
    };
    article::ActiveModel {
        state: Set("old".into()),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(stored(&replica, "a").await.upper.as_deref(), Some("OLD"));
    article::ActiveModel {
        stock: Set(10),
        ..change()
    }
    .update_without_returning(&replica)
    .await
    .unwrap();
    assert_eq!(stored(&replica, "a").await.twice, 20);
    execute(&replica, "UPDATE articles SET stock = stock + 1, state = 'mid'", []).await;
    assert_eq!(stored(&replica, "a").await.twice, 22);
}

/// The typed increment recorded the counter, but not the column that the database computes from it.
#[apply(on_each_database!)]
async fn generated_columns_follow_increments() {
    let replica = articles().await;
    article::ActiveModel {
        id: Set("a".into()),
        ..Default::default()
    }
    .insert(&replica)
    .await
    .unwrap();
    article::ActiveModel::increment_stock(&replica, "a", 5).await.unwrap();
    assert_eq!(stored(&replica, "a").await.twice, 24);
    let tx = replica.begin().await.unwrap();
    article::ActiveModel::increment_stock(&tx, "a", 5).await.unwrap();
    assert_agrees::<article::Entity, _>(&tx).await;
    tx.commit().await.unwrap();
    assert_eq!(stored(&replica, "a").await.twice, 34);
}

#[apply(on_each_database!)]
async fn values_are_recorded_as_the_column_converts_them() {
    let replica = articles().await;
    if backend() == DbBackend::Sqlite {
        let insert = "INSERT INTO articles (id, state, stock, price) VALUES (?, ?, ?, ?)";
        execute(&replica, insert, ["a".into(), 12.into(), "41".into(), "7.50".into()]).await;
    } else {
        // A bound value has a type, and has to be of the column's.
        let insert = "INSERT INTO articles (id, state, stock, price) VALUES ('a', 12, '41', '7.50')";
        execute(&replica, insert, []).await;
    }
    let row = stored(&replica, "a").await;
    assert_eq!((row.state.as_str(), row.stock), ("12", 41));
    assert!((row.price - 7.5).abs() < f64::EPSILON);
    execute(&replica, "UPDATE articles SET price = '3.25', stock = '5'", []).await;
    assert_eq!(stored(&replica, "a").await.stock, 5);
    // Text that says the same number is no change.
    let before = grove_crdt_tests::cells(&replica, "articles").await;
    execute(&replica, "UPDATE articles SET price = '3.250', stock = '5'", []).await;
    assert_eq!(grove_crdt_tests::cells(&replica, "articles").await, before);
}

/// A trigger that wrote to the row after it had been written went by unseen: what the statement returns is the row before.
#[apply(on_each_database!)]
async fn what_a_trigger_makes_of_the_row_is_recorded() {
    let db = new_database().await;
    run_all(&db, &[&table()]).await;
    run_all(&db, &triggers()).await;
    let replica = builder("node-1").0.entity::<article::Entity>().open(db).await.unwrap();
    article::ActiveModel {
        id: Set("a".into()),
        ..Default::default()
    }
    .insert(&replica)
    .await
    .unwrap();
    assert_eq!(stored(&replica, "a").await.state, "new!");
    let change = || article::ActiveModel {
        id: Unchanged("a".into()),
        ..Default::default()
    };
    article::ActiveModel {
        stock: Set(8),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(stored(&replica, "a").await.state, "new!+");
    article::ActiveModel::increment_stock(&replica, "a", 1).await.unwrap();
    article::ActiveModel {
        stock: Set(11),
        ..change()
    }
    .update_without_returning(&replica)
    .await
    .unwrap();
    execute(&replica, "UPDATE articles SET stock = stock + 1", []).await;
    let row = stored(&replica, "a").await;
    assert_eq!((row.state.as_str(), row.stock), ("new!++++", 12));
    change().delete(&replica).await.unwrap();
    assert_agrees::<article::Entity, _>(&replica).await;
}
