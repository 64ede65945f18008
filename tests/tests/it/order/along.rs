//! What foreign keys change behind a write, at the writer and at the receiver.

use grove_crdt::Replica;
use grove_crdt_tests::database::Places;
use sea_orm::{ConnectionTrait as _, TransactionSession as _, TransactionTrait as _};

use super::{
    compare::{settled, stray_rows},
    open,
    program::{Log, parked, sync},
    schema::{Action, Reference, Schema, Table, When},
    tables::{CODE, ID, OWN, UP},
};

/// The table `t2`, with unique codes.
fn coded() -> Table {
    let mut table = Table::plain(1);
    table.unique.push((vec![CODE], When::AtOnce));
    table
}

fn reference(column: usize, parent: usize, to: usize, on_update: Action) -> Reference {
    Reference {
        column,
        parent,
        to,
        on_delete: Action::NoAction,
        on_update,
        when: When::AtOnce,
    }
}

/// Runs statements in one transaction.
async fn together(replica: &Replica, statements: &[&str]) {
    let tx = replica.begin().await.unwrap();
    for statement in statements {
        tx.execute_unprepared(statement).await.unwrap();
    }
    tx.commit().await.unwrap();
}

async fn two(schema: &Schema, places: &Places, log: &Log) -> (Replica, Replica) {
    let a = open("a", schema, places.fresh(0).await, log).await.unwrap();
    (a, open("b", schema, places.fresh(1).await, log).await.unwrap())
}

#[apply(on_sqlite_and_postgres!)]
async fn an_update_that_cascades_within_its_own_table_is_captured_as_it_was() {
    let mut table = coded();
    table.references.push(reference(UP, 1, CODE, Action::Cascade));
    let (schema, places, log) = (Schema(vec![table]), Places::default(), Log::default());
    let (a, b) = two(&schema, &places, &log).await;
    a.execute_unprepared("INSERT INTO t2 (id, code, up_id) VALUES (1, 'k0', NULL), (2, 'k1', 'k0'), (3, 'k2', 'k1')")
        .await
        .unwrap();
    sync(&b, &a, 100, &log).await.unwrap();
    a.execute_unprepared("UPDATE t2 SET code = 'k9' WHERE id = 1")
        .await
        .unwrap();
    assert_eq!(stray_rows(&a, &schema).await, Vec::<String>::new());
    sync(&b, &a, 100, &log).await.unwrap();
    settled(&a, &b, &schema, &log).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_row_follows_no_update_that_its_record_does_not_tell_of() {
    let mut child = Table::plain(0);
    child.references.push(reference(UP, 1, CODE, Action::Cascade));
    let (schema, places, log) = (Schema(vec![child, coded()]), Places::default(), Log::default());
    let (a, b) = two(&schema, &places, &log).await;
    a.execute_unprepared("INSERT INTO t2 (id, code) VALUES (1, 'k0')")
        .await
        .unwrap();
    sync(&b, &a, 100, &log).await.unwrap();
    a.execute_unprepared("UPDATE t2 SET code = 'k1' WHERE id = 1")
        .await
        .unwrap();
    b.execute_unprepared("INSERT INTO t1 (id, up_id) VALUES ('a', 'k0')")
        .await
        .unwrap();
    sync(&a, &b, 100, &log).await.unwrap();
    for replica in [&a, &b] {
        let waiting = parked(replica).await;
        assert!(
            waiting.starts_with("    t1 a ForeignKey") && waiting.lines().count() == 1,
            "{waiting}"
        );
    }
    // Another row has the code that it refers to.
    a.execute_unprepared("INSERT INTO t2 (id, code) VALUES (2, 'k0')")
        .await
        .unwrap();
    sync(&a, &b, 100, &log).await.unwrap();
    settled(&a, &b, &schema, &log).await.unwrap();
    assert_eq!(parked(&a).await, "");
}

#[apply(on_sqlite_and_postgres!)]
async fn a_row_that_comes_before_another_takes_over_what_it_refers_to_keeps_its_reference() {
    let mut table = coded();
    table.references.push(reference(UP, 1, CODE, Action::Cascade));
    let (schema, places, log) = (Schema(vec![table]), Places::default(), Log::default());
    let (a, b) = two(&schema, &places, &log).await;
    a.execute_unprepared("INSERT INTO t2 (id, code, up_id) VALUES (1, 'k0', NULL), (2, 'k5', 'k0')")
        .await
        .unwrap();
    sync(&b, &a, 100, &log).await.unwrap();
    let statements = [
        "UPDATE t2 SET id = 4 WHERE id = 1",
        "INSERT INTO t2 (id, code, up_id) VALUES (1, 'k1', 'k5'), (6, 'k3', 'k0')",
    ];
    together(&a, &statements).await;
    sync(&b, &a, 100, &log).await.unwrap();
    settled(&a, &b, &schema, &log).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_row_that_refers_to_itself_goes_with_its_record() {
    for must_have in [false, true] {
        let mut table = Table::plain(0);
        table.references.push(reference(OWN, 0, ID, Action::NoAction));
        if must_have {
            table.not_null.push(OWN);
        }
        let (schema, places, log) = (Schema(vec![table]), Places::default(), Log::default());
        let (a, b) = two(&schema, &places, &log).await;
        a.execute_unprepared("INSERT INTO t1 (id, self_id) VALUES ('a', 'a'), ('b', 'b')")
            .await
            .unwrap();
        sync(&b, &a, 100, &log).await.unwrap();
        // MySQL and MariaDB let no row go that refers to itself.
        together(
            &a,
            &[
                "UPDATE t1 SET self_id = 'b' WHERE id = 'a'",
                "DELETE FROM t1 WHERE id = 'a'",
            ],
        )
        .await;
        sync(&b, &a, 100, &log).await.unwrap();
        settled(&a, &b, &schema, &log).await.unwrap();
    }
}

#[apply(on_each_database!)]
async fn a_row_that_refers_to_one_that_is_gone_waits_where_updates_make_references_null() {
    let mut table = coded();
    table.references.push(reference(UP, 1, CODE, Action::SetNull));
    let (schema, places, log) = (Schema(vec![table]), Places::default(), Log::default());
    let (a, b) = two(&schema, &places, &log).await;
    a.execute_unprepared("INSERT INTO t2 (id, code, up_id) VALUES (1, 'k0', NULL), (3, 'k1', 'k0')")
        .await
        .unwrap();
    sync(&b, &a, 100, &log).await.unwrap();
    b.execute_unprepared("INSERT INTO t2 (id, code, up_id) VALUES (2, 'k2', 'k0'), (4, 'k3', 'k1')")
        .await
        .unwrap();
    a.execute_unprepared("DELETE FROM t2 WHERE id = 3").await.unwrap();
    sync(&a, &b, 100, &log).await.unwrap();
    let waiting = parked(&a).await;
    assert!(
        waiting.starts_with("    t2 4 ForeignKey") && waiting.lines().count() == 1,
        "{waiting}"
    );
}
