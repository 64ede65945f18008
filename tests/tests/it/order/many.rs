//! Many children that come before their parents, and go with them: the work grows with their number, and no faster.

use grove_crdt::Replica;
use grove_crdt_tests::{Statements, backend, builder, new_database};
use sea_orm::{ConnectionTrait as _, TransactionSession as _, TransactionTrait as _};

use super::{
    program::{Log, sync},
    schema::{Action, Reference, Schema, Table, When},
    tables::{ID, UP, register},
};

/// Children in `t1`, so that in a transaction they come before their parents in `t4`.
fn families() -> Schema {
    let mut children = Table::plain(0);
    children.references.push(Reference {
        column: UP,
        parent: 3,
        to: ID,
        on_delete: Action::Cascade,
        on_update: Action::NoAction,
        when: When::AtOnce,
    });
    Schema(vec![children, Table::plain(3)])
}

async fn open(node: &str, schema: &Schema) -> (Replica, Statements) {
    let mut db = new_database().await;
    for statement in schema.ddl(backend()) {
        db.execute_unprepared(&statement).await.unwrap();
    }
    let statements = Statements::of(&mut db);
    let replica = register(builder(node).0, schema.numbers()).open(db).await.unwrap();
    (replica, statements)
}

/// How many statements it takes to pull so many children before their parents, and to pull the deletes of the parents.
async fn statements_for(count: usize) -> [usize; 2] {
    let schema = families();
    let (sender, _) = open("sender", &schema).await;
    let (receiver, statements) = open("receiver", &schema).await;
    let parents: Vec<_> = (0..count).map(|n| format!("('p{n:05}')")).collect();
    let children: Vec<_> = (0..count).map(|n| format!("('c{n:05}', 'p{n:05}')")).collect();
    let tx = sender.begin().await.unwrap();
    let insert = format!("INSERT INTO t4 (id) VALUES {}", parents.join(", "));
    tx.execute_unprepared(&insert).await.unwrap();
    let insert = format!("INSERT INTO t1 (id, up_id) VALUES {}", children.join(", "));
    tx.execute_unprepared(&insert).await.unwrap();
    tx.commit().await.unwrap();
    let log = Log::default();
    statements.take();
    sync(&receiver, &sender, 50, &log).await.unwrap();
    let coming = statements.take().len();
    assert_eq!(receiver.parked().await.unwrap(), []);
    sender.execute_unprepared("DELETE FROM t4").await.unwrap();
    statements.take();
    sync(&receiver, &sender, 50, &log).await.unwrap();
    let going = statements.take().len();
    assert_eq!(receiver.parked().await.unwrap(), []);
    [coming, going]
}

#[apply(on_each_database!)]
async fn twice_as_many_children_take_twice_as_many_statements() {
    let (few, many) = (statements_for(100).await, statements_for(400).await);
    for (few, many) in few.into_iter().zip(many) {
        // Four times as many pages, and a little more for what waits.
        assert!(many <= 5 * few, "{few} for 100 children, {many} for 400");
    }
}
