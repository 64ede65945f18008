//! PostgreSQL's prepared statements, which sqlx keeps by their text: what a replica sends and what the application sends may be the
//! same but for the types of the values.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use grove_crdt::{Counter, Replica};
use grove_crdt_tests::{TestDatabase, apply, assert_agrees, builder, create_table, on_postgres};
use sea_orm::{
    ActiveModelTrait as _,
    ActiveValue::Set,
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, EntityTrait, ExprTrait as _, IntoActiveModel,
    QueryFilter, Statement, TransactionSession, TransactionTrait, Value,
    sea_query::{Expr, OnConflict},
};

mod gauge {
    use grove_crdt::{Counter, Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, serde::Serialize, Crdt)]
    #[sea_orm(table_name = "gauges")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[crdt(counter)]
        pub steps: Counter,
        #[crdt(counter)]
        pub small: i16,
        #[crdt(lww)]
        pub level: Option<i32>,
        #[sea_orm(unique)]
        #[crdt(lww)]
        pub mark: Option<Uuid>,
        #[crdt(set)]
        pub tags: OrSet<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// A database of one connection, so that all statements meet.
async fn one_connection(database: &TestDatabase) -> DatabaseConnection {
    let mut options = ConnectOptions::new(database.url());
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.unwrap()
}

async fn replica_on(db: DatabaseConnection, node: &str) -> Replica {
    create_table(&db, gauge::Entity).await.unwrap();
    builder(node).0.entity::<gauge::Entity>().open(db).await.unwrap()
}

fn draft(id: i64) -> gauge::ActiveModel {
    gauge::ActiveModel {
        id: Set(id),
        steps: Set(Counter::new(10)),
        small: Set(1),
        level: Set(None),
        mark: Set(None),
        tags: Set(["a".to_owned()].into_iter().collect()),
    }
}

/// Whichever came second failed, and went on failing.
#[apply(on_postgres!)]
async fn an_increment_and_the_same_statement_of_the_application() {
    for is_first in [false, true] {
        let database = TestDatabase::new().await;
        let replica = replica_on(one_connection(&database).await, "node-1").await;
        draft(1).insert(&replica).await.unwrap();
        for turn in [is_first, !is_first, is_first] {
            if turn {
                gauge::ActiveModel::increment_steps(&replica, 1, 5).await.unwrap();
                gauge::ActiveModel::increment_small(&replica, 1, 5).await.unwrap();
            } else {
                for column in [gauge::Column::Steps, gauge::Column::Small] {
                    gauge::Entity::update_many()
                        .col_expr(column, Expr::col(column).add(5_i32))
                        .filter(sea_orm::ColumnTrait::eq(&gauge::Column::Id, 1))
                        .exec(&replica)
                        .await
                        .unwrap();
                }
            }
        }
        assert_agrees::<gauge::Entity, _>(&replica).await;
        let row = gauge::Entity::find_by_id(1).one(&replica).await.unwrap().unwrap();
        assert_eq!((row.steps.get(), row.small), (25, 16));
    }
}

/// Every kind of statement that a replica makes of a table of the user's.
async fn all_kinds(replica: &Replica) {
    let peer = {
        let database = TestDatabase::new().await;
        replica_on(database.connect().await, "node-2").await
    };
    let read = async |id: i64| gauge::Entity::find_by_id(id).one(replica).await.unwrap().unwrap();
    draft(1).insert(replica).await.unwrap();
    gauge::Entity::insert_many([draft(2), draft(3), draft(4)])
        .exec_without_returning(replica)
        .await
        .unwrap();
    let mut row = read(1).await;
    row.steps += 1;
    row.tags.insert("b".to_owned());
    row.into_active_model().reset_all().update(replica).await.unwrap();
    gauge::ActiveModel::increment_small(replica, 2, 1).await.unwrap();
    // The same rows are asked for twice, with values of two types.
    let updates = [
        (gauge::Column::Level, Value::from(7_i32)),
        (gauge::Column::Small, Value::from(8_i64)),
    ];
    for (column, below) in updates {
        gauge::Entity::update_many()
            .col_expr(column, Expr::col(column).add(1))
            .filter(Expr::col(gauge::Column::Id).lt(below))
            .exec(replica)
            .await
            .unwrap();
    }
    let conflict = OnConflict::column(gauge::Column::Id)
        .update_column(gauge::Column::Level)
        .to_owned();
    gauge::Entity::insert_many([draft(4), draft(5)])
        .on_conflict(conflict)
        .exec_without_returning(replica)
        .await
        .unwrap();
    replica
        .execute_raw(Statement::from_string(
            replica.get_database_backend(),
            "UPDATE gauges SET id = id + 100 WHERE id = 5",
        ))
        .await
        .unwrap();
    replica
        .untracked()
        .execute_unprepared("UPDATE gauges SET small = 9")
        .await
        .unwrap();
    replica.adopt::<gauge::Entity>().await.unwrap();
    draft(20).insert(&peer).await.unwrap();
    let mark = gauge::ActiveModel {
        mark: Set(Some("6f2c24ad-3d62-4b0a-8f53-0a7d9bb3f5a1".parse().unwrap())),
        ..draft(21)
    };
    mark.clone().insert(&peer).await.unwrap();
    let exchange = async || {
        let syncer = grove_crdt::sync::Syncer::builder(replica);
        let syncer = syncer
            .peer(grove_crdt::transport::MemoryTransport::new(&peer))
            .build()
            .unwrap();
        syncer.sync().await.unwrap();
    };
    exchange().await;
    gauge::ActiveModel { id: Set(22), ..mark }
        .insert(replica)
        .await
        .unwrap_err();
    gauge::ActiveModel::increment_steps(&peer, 20, 3).await.unwrap();
    gauge::Entity::delete_by_id(1).exec(&peer).await.unwrap();
    exchange().await;
    gauge::Entity::delete_many()
        .filter(sea_orm::ColumnTrait::is_in(&gauge::Column::Id, [2, 3]))
        .exec(replica)
        .await
        .unwrap();
    draft(4).delete(replica).await.unwrap();
    assert_agrees::<gauge::Entity, _>(replica).await;
}

/// The same statement as an application may send it, with integers of another width.
fn as_of_the_application(statement: &Statement) -> Statement {
    let (text, _) = statement.sql.split_once(" /* grove").unwrap_or((&statement.sql, ""));
    let values = statement.values.iter().flat_map(|values| values.0.clone());
    let values = values.map(|value| match value {
        Value::BigInt(number) => Value::Int(number.and_then(|number| number.try_into().ok())),
        Value::Int(number) => Value::BigInt(number.map(Into::into)),
        Value::SmallInt(number) => Value::BigInt(number.map(Into::into)),
        value => value,
    });
    Statement::from_sql_and_values(statement.db_backend, text, values)
}

/// Sends it and takes it back. What else a database may say is of no interest.
async fn send(replica: &Replica, statement: &Statement) {
    let tx = replica.untracked().begin().await.unwrap();
    if let Err(error) = tx.query_all_raw(as_of_the_application(statement)).await {
        let error = error.to_string();
        let is_of_types = error.contains("insufficient data left") || error.contains("incorrect binary data");
        assert!(!is_of_types, "{}: {error}", statement.sql);
    }
    tx.rollback().await.unwrap();
}

#[apply(on_postgres!)]
async fn whatever_a_replica_sends_the_application_may_send_with_other_types() {
    let database = TestDatabase::new().await;
    let mut db = one_connection(&database).await;
    let sent = Arc::new(Mutex::new(Vec::<Statement>::new()));
    let log = sent.clone();
    db.set_metric_callback(move |info| log.lock().unwrap().push(info.statement.clone()));
    let replica = replica_on(db, "node-1").await;
    all_kinds(&replica).await;
    let mut sent = std::mem::take(&mut *sent.lock().unwrap());
    // Each text once: that the application sends one with two types is its own affair.
    let own = sent.iter().filter(|statement| !statement.sql.contains("/* grove"));
    let mut seen: BTreeSet<_> = own.map(|statement| statement.sql.clone()).collect();
    sent.retain(|statement| statement.sql.contains("\"gauges\"") && statement.sql.contains("/* grove"));
    sent.retain(|statement| seen.insert(as_of_the_application(statement).sql));
    assert!(sent.len() >= 10, "{}", sent.len());
    // The replica was first.
    for statement in &sent {
        send(&replica, statement).await;
    }
    // The application was first.
    let database = TestDatabase::new().await;
    let replica = replica_on(one_connection(&database).await, "node-1").await;
    for statement in &sent {
        send(&replica, statement).await;
    }
    all_kinds(&replica).await;
}
