//! How many statements each write takes: BEGIN and COMMIT not counted, the user's own counted.
//!
//! Which they are is told for SQLite; that their number does not grow with the rows holds everywhere.

use grove_crdt::Replica;
use grove_crdt_tests::{Statements, backend, builder, create_table, entities::document};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ActiveValue::Unchanged,
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, ExprTrait as _, IntoActiveModel, ModelTrait, QueryFilter,
    QueryOrder, TransactionSession, TransactionTrait,
    sea_query::{Expr, OnConflict},
};

use crate::capture::{draft, execute};

async fn counted() -> (Replica, Statements) {
    let (db, statements) = Statements::of_new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let replica = builder("node-1").0.entity::<document::Entity>().open(db).await.unwrap();
    statements.take();
    (replica, statements)
}

/// The statements as words: what each does, and to which table; of those that are sent as one, all.
fn summary(statements: &Statements) -> Vec<String> {
    let table = |sql: &str| {
        if sql.contains("_documents_crdt") {
            "shadow"
        } else {
            "documents"
        }
    };
    let words = |sql: &str| format!("{} {}", sql.split(' ').next().unwrap(), table(sql));
    let all = statements.take();
    all.iter()
        .map(|sql| sql.split("; ").map(words).collect::<Vec<_>>().join("; "))
        .collect()
}

const WRITE_OUT: [&str; 2] = ["SELECT shadow", "INSERT shadow"];

#[tokio::test]
async fn an_announced_write_is_sent_with_what_records_it() {
    let (replica, statements) = counted().await;
    let doc = draft("a").insert(&replica).await.unwrap();
    assert_eq!(summary(&statements), ["INSERT documents; INSERT shadow"]);
    let change = || document::ActiveModel {
        id: Unchanged("a".into()),
        ..Default::default()
    };
    document::ActiveModel {
        title: Set("x".into()),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(summary(&statements), ["UPDATE documents; INSERT shadow"]);
    document::ActiveModel::increment_view_count(&replica, "a", 1)
        .await
        .unwrap();
    assert_eq!(summary(&statements), ["UPDATE documents; INSERT shadow"]);
    // A counter or set is brought up to date with the row first.
    document::ActiveModel {
        view_count: Set(1),
        ..doc.clone().into_active_model()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(
        summary(&statements),
        ["SELECT documents", "UPDATE documents", WRITE_OUT[0], WRITE_OUT[1]],
    );
    document::ActiveModel {
        author: Set(None),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    assert_eq!(summary(&statements), ["UPDATE documents"]);
    document::ActiveModel {
        title: Set("x".into()),
        ..change()
    }
    .update(&replica)
    .await
    .unwrap();
    // Nothing was written, so it is looked at why.
    assert_eq!(summary(&statements), ["UPDATE documents; INSERT shadow", WRITE_OUT[0]]);
    doc.into_active_model().delete(&replica).await.unwrap();
    // Of a deleted record only its head stays.
    assert_eq!(summary(&statements), ["DELETE documents; INSERT shadow; DELETE shadow"]);
    // It is begun anew from what it was.
    draft("a").insert(&replica).await.unwrap();
    assert_eq!(
        summary(&statements),
        ["INSERT documents; INSERT shadow", WRITE_OUT[0], WRITE_OUT[1]]
    );
}

#[tokio::test]
async fn a_transaction_is_written_out_once() {
    let (replica, statements) = counted().await;
    let tx = replica.begin().await.unwrap();
    for n in 0..50 {
        draft(&n.to_string()).insert(&tx).await.unwrap();
        document::ActiveModel::increment_view_count(&tx, n.to_string(), 1)
            .await
            .unwrap();
    }
    assert_eq!(statements.take().len(), 100);
    tx.commit().await.unwrap();
    // The rows' last statements did not give them back, so they are read, all at once.
    assert_eq!(summary(&statements), ["SELECT documents", "INSERT shadow"]);
}

#[apply(on_each_database!)]
async fn reads_and_writes_of_other_tables_cost_nothing_extra() {
    let (replica, statements) = counted().await;
    draft("a").insert(&replica).await.unwrap();
    replica
        .execute_unprepared("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        .await
        .unwrap();
    replica.execute_unprepared("DELETE FROM notes").await.unwrap();
    statements.take();
    document::Entity::find().all(&replica).await.unwrap();
    assert_eq!(statements.take().len(), 1);
    execute(&replica, "INSERT INTO notes VALUES (1)", []).await;
    assert_eq!(statements.take().len(), 1);
    let tx = replica.begin().await.unwrap();
    document::Entity::find().all(&tx).await.unwrap();
    execute(&tx, "DELETE FROM notes", []).await;
    tx.commit().await.unwrap();
    assert_eq!(statements.take().len(), 2);
}

/// Runs a write over 5 rows and over 500, each in a replica of its own, and gives the statements of both.
async fn of_both_sizes<F>(write: impl Fn(Replica, usize) -> F) -> [Vec<String>; 2]
where
    F: Future<Output = ()>,
{
    let mut both = [Vec::new(), Vec::new()];
    for (found, rows) in both.iter_mut().zip([5, 500]) {
        let (replica, statements) = counted().await;
        document::Entity::insert_many((0..500).map(|n| draft(&n.to_string())))
            .exec_without_returning(&replica)
            .await
            .unwrap();
        statements.take();
        write(replica, rows).await;
        *found = summary(&statements);
    }
    both
}

#[track_caller]
fn assert_on_sqlite(found: &[String], expected: &[&str]) {
    if backend() == DbBackend::Sqlite {
        assert_eq!(found, expected);
    }
}

fn fresh(rows: usize) -> impl Iterator<Item = document::ActiveModel> {
    (0..rows).map(|n| draft(&format!("new-{n}")))
}

#[apply(on_each_database!)]
async fn insert_many_takes_as_many_statements_however_many_rows() {
    let write = async |replica: Replica, rows| {
        document::Entity::insert_many(fresh(rows))
            .exec_without_returning(&replica)
            .await
            .unwrap();
    };
    let [few, many] = of_both_sizes(write).await;
    assert_eq!(few, many);
    assert_on_sqlite(&few, &["INSERT documents", "INSERT shadow"]);
    if !backend().support_returning() {
        return;
    }
    let [few, many] = of_both_sizes(async |replica: Replica, rows| {
        document::Entity::insert_many(fresh(rows))
            .exec_with_returning(&replica)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(few, many);
}

#[apply(on_each_database!)]
async fn an_upsert_takes_as_many_statements_however_many_rows() {
    let [few, many] = of_both_sizes(async |replica: Replica, rows: usize| {
        let conflict = OnConflict::column(document::Column::Id)
            .update_column(document::Column::Author)
            .to_owned();
        let conflict = conflict
            .clone()
            .value(document::Column::Title, Expr::val("x"))
            .to_owned();
        // Half of them are there.
        let numbers = (500 - rows / 2..).take(rows);
        document::Entity::insert_many(numbers.map(|n| draft(&n.to_string())))
            .on_conflict(conflict)
            .exec_without_returning(&replica)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(few, many);
    assert_on_sqlite(
        &few,
        &[
            "SELECT documents",
            "INSERT documents",
            "SELECT documents",
            WRITE_OUT[0],
            WRITE_OUT[1],
        ],
    );
}

#[apply(on_each_database!)]
async fn update_many_and_delete_many_take_as_many_statements_however_many_rows() {
    let integer = if backend() == DbBackend::MySql {
        "SIGNED"
    } else {
        "INTEGER"
    };
    let up_to = |rows: usize| Expr::cust(format!("CAST(id AS {integer}) < {rows}"));
    let [few, many] = of_both_sizes(async |replica: Replica, rows: usize| {
        document::Entity::update_many()
            .col_expr(
                document::Column::ViewCount,
                Expr::col(document::Column::ViewCount).add(1),
            )
            .filter(up_to(rows))
            .exec(&replica)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(few, many);
    assert_on_sqlite(
        &few,
        &[
            "SELECT documents",
            "UPDATE documents",
            "SELECT documents",
            "INSERT shadow",
        ],
    );
    // What a column is given, it need not be asked for.
    let [few, many] = of_both_sizes(async |replica: Replica, rows: usize| {
        document::Entity::update_many()
            .col_expr(document::Column::Title, Expr::value("x"))
            .filter(up_to(rows))
            .exec(&replica)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(few, many);
    assert_on_sqlite(&few, &["SELECT documents", "UPDATE documents", "INSERT shadow"]);
    let [few, many] = of_both_sizes(async |replica: Replica, rows: usize| {
        document::Entity::delete_many()
            .filter(up_to(rows))
            .exec(&replica)
            .await
            .unwrap();
    })
    .await;
    assert_eq!(few, many);
    assert_on_sqlite(
        &few,
        &[
            "SELECT documents",
            "DELETE documents",
            "SELECT documents",
            "INSERT shadow",
        ],
    );
}

/// Drivers prepare each text that they have not seen, and keep a hundred.
#[apply(on_each_database!)]
async fn lists_of_many_lengths_make_few_texts() {
    let (replica, statements) = counted().await;
    for n in 0..9 {
        draft(&n.to_string()).insert(&replica).await.unwrap();
    }
    let selects = async |up_to: &str| {
        statements.take();
        let step = Expr::col(document::Column::ViewCount).add(1);
        let update = document::Entity::update_many().col_expr(document::Column::ViewCount, step);
        let update = update.filter(document::Column::Id.lt(up_to));
        update.exec(&replica).await.unwrap();
        let mut selects = statements.take();
        selects.retain(|sql| sql.starts_with("SELECT"));
        selects
    };
    let of_five = selects("5").await;
    assert_eq!(of_five, selects("8").await);
    assert_ne!(of_five, selects("9").await);
    let in_order = document::Entity::find().order_by_asc(document::Column::Id);
    let counts = in_order.all(&replica).await.unwrap();
    let counts: Vec<_> = counts.iter().map(|row| row.view_count).collect();
    assert_eq!(counts, [13, 13, 13, 13, 13, 12, 12, 12, 11]);
}

#[tokio::test]
async fn one_row_by_other_ways() {
    let (replica, statements) = counted().await;
    document::Entity::insert(draft("a")).exec(&replica).await.unwrap();
    assert_eq!(summary(&statements), ["INSERT documents", "INSERT shadow"]);
    ActiveModelTrait::insert(draft("b"), &replica).await.unwrap();
    assert_eq!(summary(&statements), ["INSERT documents", "INSERT shadow"]);
    let doc = document::Entity::find()
        .filter(document::Column::Id.eq("a"))
        .one(&replica)
        .await
        .unwrap()
        .unwrap();
    statements.take();
    doc.delete(&replica).await.unwrap();
    let delete = [
        "SELECT documents",
        "DELETE documents",
        "SELECT documents",
        "INSERT shadow",
    ];
    assert_eq!(summary(&statements), delete);
    document::Entity::delete_by_id("b").exec(&replica).await.unwrap();
    assert_eq!(summary(&statements), delete);
    document::Entity::delete_by_id("none").exec(&replica).await.unwrap();
    assert_eq!(summary(&statements), ["SELECT documents", "DELETE documents"]);
}
