//! A value that a column can't take keeps its row waiting, and the row as it stands is no edit.

use grove_crdt::{Change, ParkedReason, Replica, sync::Syncer, transport::MemoryTransport};
use grove_crdt_tests::{START, builder, cells, create_table, new_database};
use sea_orm::{ActiveValue::Set, ConnectionTrait as _, IntoActiveModel as _, prelude::*};
use serde_json::json;

mod price {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "prices")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub amount: Decimal,
        #[crdt(lww)]
        pub name: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn replica(node: &str, table: Option<&str>) -> Replica {
    let db = new_database().await;
    match table {
        Some(table) => drop(db.execute_unprepared(table).await.unwrap()),
        None => create_table(&db, price::Entity).await.unwrap(),
    }
    builder(node).0.entity::<price::Entity>().open(db).await.unwrap()
}

async fn pull(here: &Replica, there: &Replica) -> usize {
    let syncer = Syncer::builder(here).peer(MemoryTransport::new(there)).build().unwrap();
    let report = syncer.sync().await.unwrap();
    assert_eq!(report.rejected, 0, "{:?}", here.dead_letters().await);
    report.parked
}

async fn save(replica: &Replica, amount: &str, name: &str) -> price::Model {
    let model = price::Model {
        id: 1,
        amount: amount.parse().unwrap(),
        name: name.into(),
    };
    let there = price::Entity::find_by_id(1).one(replica).await.unwrap().is_some();
    let active = model.into_active_model().reset_all();
    if there {
        active.update(replica).await.unwrap()
    } else {
        active.insert(replica).await.unwrap()
    }
}

async fn row(replica: &Replica) -> price::Model {
    price::Entity::find_by_id(1)
        .one(replica)
        .await
        .unwrap()
        .expect("the row")
}

async fn assert_no_edit(replica: &Replica) {
    let before = cells(replica, "prices").await;
    let found = replica.adopt::<price::Entity>().await.unwrap();
    assert_eq!((found.adopted, found.changed), (0, 0), "{found}");
    row(replica)
        .await
        .into_active_model()
        .reset_all()
        .update(replica)
        .await
        .unwrap();
    assert_eq!(cells(replica, "prices").await, before);
}

/// Stands for a database with other columns: each of its triggers and checks does what a column's type would.
const ROUNDING: &str = "CREATE TABLE prices (id INTEGER PRIMARY KEY, amount REAL NOT NULL, name TEXT NOT NULL CHECK (length(name) <= 5));
    CREATE TRIGGER rounds_new AFTER INSERT ON prices BEGIN UPDATE prices SET amount = round(amount, 1) WHERE id = NEW.id; END;
    CREATE TRIGGER rounds_old AFTER UPDATE OF amount ON prices BEGIN UPDATE prices SET amount = round(NEW.amount, 1) WHERE id = NEW.id; END;";

#[tokio::test]
async fn a_rounded_value_is_no_edit() {
    let (a, b, c) = (
        replica("a", None).await,
        replica("b", Some(ROUNDING)).await,
        replica("c", None).await,
    );
    save(&a, "1.25", "x").await;
    assert_eq!(pull(&b, &a).await, 0);
    assert_eq!(row(&b).await.amount.to_string(), "1.3");
    assert_no_edit(&b).await;
    // An edit of another field takes the amount along as it is shown.
    save(&b, "1.3", "y").await;
    pull(&c, &b).await;
    assert_eq!(
        (row(&c).await.amount.to_string(), row(&c).await.name),
        ("1.25".into(), "y".into())
    );
    // One of the amount is an edit, be it to what another value was shown as.
    save(&b, "2.0", "y").await;
    save(&b, "1.3", "y").await;
    pull(&a, &b).await;
    assert_eq!(row(&a).await.amount.to_string(), "1.3");
    assert_no_edit(&a).await;
    assert_no_edit(&b).await;
}

#[tokio::test]
async fn a_row_that_waits_is_no_edit() {
    let (a, b, c) = (
        replica("a", None).await,
        replica("b", Some(ROUNDING)).await,
        replica("c", None).await,
    );
    save(&a, "1.25", "x").await;
    pull(&b, &a).await;
    save(&a, "1.75", "too long").await;
    assert_eq!(pull(&b, &a).await, 1);
    assert_eq!(row(&b).await.name, "x");
    assert_no_edit(&b).await;
    pull(&c, &b).await;
    assert_eq!(row(&c).await, row(&a).await);
    // What is edited in the row as it stands is an edit of that alone.
    let mut active = row(&b).await.into_active_model().reset_all();
    active.name = Set("short".into());
    active.update(&b).await.unwrap();
    pull(&a, &b).await;
    assert_eq!(
        (row(&a).await.amount.to_string(), row(&a).await.name),
        ("1.75".into(), "short".into())
    );
    assert_no_edit(&b).await;
}

/// SeaORM reads decimals on SQLite from floats, and fails on one that is too large: nobody could read the table any more.
#[tokio::test]
async fn a_value_that_could_not_be_read_back_is_not_written() {
    let (a, b) = (replica("a", None).await, replica("b", None).await);
    save(&a, "1.5", "x").await;
    pull(&b, &a).await;
    let largest = "79228162514264337593543950335";
    let change = json!({
        "table": "prices", "pk": "1", "field": "amount", "crdt_type": "lww", "epoch": 1,
        "hlc": { "ts": START, "c": 9, "node": "elsewhere" }, "node_id": "elsewhere", "value": largest,
    });
    let change: Change = serde_json::from_value(change).unwrap();
    let report = price::Model::merge_remote(&b, &[change]).await.unwrap();
    assert_eq!((report.merged, report.parked), (1, 1), "{report:?}");
    let parked = b.parked().await.unwrap();
    assert_eq!(parked[0].reason, ParkedReason::Value);
    assert!(parked[0].detail.contains("field `amount`"), "{}", parked[0].detail);
    assert_eq!(row(&b).await.amount.to_string(), "1.5");
    assert_no_edit(&b).await;
    let state = b.inspect::<price::Entity>(1).await.unwrap();
    let amount = state.fields.iter().find(|field| field.field == "amount").unwrap();
    assert_eq!(amount.value, json!(largest));
    // What is written next is what the column shows.
    save(&b, "2.5", "x").await;
    assert_eq!(b.parked().await.unwrap(), []);
    assert_no_edit(&b).await;
}
