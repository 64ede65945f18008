//! How many statements a merge takes, and that one which changes nothing writes nothing.

use grove_crdt::{OrSet, Replica};
use grove_crdt_tests::{
    Statements, backend, builder, cells, create_table, entities::document, number, replica_of, rows, run_all, written,
};
use sea_orm::{ActiveValue::Set, DbBackend, EntityTrait, ExprTrait as _, sea_query::Expr};

use super::support::{changes_of, push};

const TABLE: &[&str] = &["documents"];

/// A replica whose statements are counted.
async fn counted(node: &str) -> (Replica, Statements) {
    let (db, statements) = Statements::of_new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let replica = builder(node).0.entity::<document::Entity>().open(db).await.unwrap();
    (replica, statements)
}

async fn statements_of(all: &Statements, work: impl Future<Output = grove_crdt::sync::PushResponse>) -> usize {
    all.take();
    let response = work.await;
    assert_eq!(response.rejected, []);
    all.take().len()
}

/// A replica with 500 documents.
async fn origin(rows: usize) -> Replica {
    let origin = replica_of::<document::Entity>("origin").await;
    let models = (0..rows).map(|n| document::ActiveModel {
        id: Set(format!("doc-{n}")),
        title: Set(format!("title {n}")),
        view_count: Set(1),
        tags: Set(OrSet::from([format!("tag {n}")])),
        author: Set(None),
    });
    document::Entity::insert_many(models).exec(&origin).await.unwrap();
    origin
}

/// Gives every document a new title and more views: two changes a row.
async fn change_all(origin: &Replica) {
    document::Entity::update_many()
        .col_expr(document::Column::Title, Expr::val("changed"))
        .col_expr(
            document::Column::ViewCount,
            Expr::col(document::Column::ViewCount).add(2),
        )
        .exec(origin)
        .await
        .unwrap();
}

async fn page_statements(rows: usize) -> [usize; 4] {
    let origin = origin(rows).await;
    let births = changes_of(&origin, TABLE).await;
    assert_eq!(births.len(), rows);
    let (replica, statements) = counted("replica").await;
    // Admits the sender, once and for all.
    push(&origin, &replica, &[]).await;
    let new_rows = statements_of(&statements, push(&origin, &replica, &births)).await;
    change_all(&origin).await;
    let changed: Vec<_> = changes_of(&origin, TABLE)
        .await
        .into_iter()
        .filter(|c| c["crdt_type"] != "record")
        .collect();
    assert_eq!(changed.len(), 2 * rows);
    let changes = statements_of(&statements, push(&origin, &replica, &changed)).await;
    assert_eq!(shown(&replica).await, shown(&origin).await);
    let again = statements_of(&statements, push(&origin, &replica, &changed)).await;
    document::Entity::delete_many().exec(&origin).await.unwrap();
    let deaths = changes_of(&origin, TABLE).await;
    assert_eq!(deaths.len(), rows);
    let deletes = statements_of(&statements, push(&origin, &replica, &deaths)).await;
    assert!(shown(&replica).await.is_empty());
    [new_rows, changes, again, deletes]
}

async fn shown(replica: &Replica) -> Vec<String> {
    rows::<document::Entity, _>(replica).await
}

#[apply(on_each_database!)]
async fn a_page_takes_the_same_number_of_statements_however_large_it_is() {
    // Besides those below, each push asks once who the sender is.
    // New rows: read the cells, write the cells, read the rows, write the rows.
    // Changed rows: the same. Known changes: read the cells. Deaths: cells removed and written, rows read and deleted.
    let [few, many] = [page_statements(1).await, page_statements(500).await];
    assert_eq!(few, many);
    if backend() == DbBackend::Sqlite {
        assert_eq!(few, [5, 5, 2, 6]);
    }
}

/// SQLite would keep the pages that it changes in a file, which is almost as much to write as the rows.
#[tokio::test]
async fn no_statement_of_many_rows_has_to_be_taken_back() {
    let origin = origin(50).await;
    let births = changes_of(&origin, TABLE).await;
    let (replica, statements) = counted("replica").await;
    let rules = r#"SELECT count(*) FROM pragma_table_info('_documents_crdt') WHERE "notnull""#;
    assert_eq!(number(&replica, rules).await, 0);
    let written = async |changes: &[serde_json::Value]| {
        statements.take();
        push(&origin, &replica, changes).await;
        let mut all = statements.take();
        all.retain(|sql| sql.contains("\"documents\"") && !sql.starts_with("SELECT"));
        all
    };
    let inserts = written(&births).await;
    assert!(
        inserts.len() == 1 && inserts[0].starts_with("INSERT OR FAIL"),
        "{inserts:?}"
    );
    change_all(&origin).await;
    let updates = written(&changes_of(&origin, TABLE).await).await;
    assert!(
        updates.len() == 1 && updates[0].starts_with("UPDATE OR FAIL"),
        "{updates:?}"
    );
    assert_eq!(shown(&replica).await, shown(&origin).await);
}

#[apply(on_each_database!)]
async fn a_merge_that_changes_nothing_writes_nothing_and_takes_no_version() {
    let origin = origin(3).await;
    change_all(&origin).await;
    let replica = replica_of::<document::Entity>("replica").await;
    let changes = changes_of(&origin, TABLE).await;
    push(&origin, &replica, &changes).await;
    let newest = "SELECT max(version) FROM \"_documents_crdt\"";
    let before = (
        written(&replica).await,
        number(&replica, newest).await,
        cells(&replica, "documents").await,
    );
    let response = push(&origin, &replica, &changes).await;
    assert_eq!((response.merged, response.conflicts), (changes.len(), 0));
    let after = (
        written(&replica).await,
        number(&replica, newest).await,
        cells(&replica, "documents").await,
    );
    assert_eq!(after, before);
}

#[apply(on_each_database!)]
async fn a_page_of_children_without_their_parents_is_parked_and_released_set_wise() {
    use super::library::{SHELVES, book, books, library, put_shelf, shelf};
    let (origin, _) = library("origin").await;
    let tx = sea_orm::TransactionTrait::begin(&origin).await.unwrap();
    let shelves = (0..300).map(|n| shelf::ActiveModel {
        id: Set(format!("s{n}")),
        name: Set(format!("shelf {n}")),
        within: Set(None),
    });
    shelf::Entity::insert_many(shelves).exec(&tx).await.unwrap();
    let rows = (0..300).map(|n| book::ActiveModel {
        id: Set(format!("b{n}")),
        shelf: Set(Some(format!("s{n}"))),
        title: Set(None),
        copies: Set(1),
        pages: Set(1),
        note: Set(None),
    });
    book::Entity::insert_many(rows).exec(&tx).await.unwrap();
    sea_orm::TransactionSession::commit(tx).await.unwrap();
    let (db, statements) = Statements::of_new_database().await;
    run_all(&db, &[SHELVES, &books("")]).await;
    let builder = builder("replica").0.entity::<shelf::Entity>().entity::<book::Entity>();
    let replica = builder.open(db).await.unwrap();
    push(&origin, &replica, &[]).await;
    let children = changes_of(&origin, &["books"]).await;
    let parking = statements_of(&statements, push(&origin, &replica, &children)).await;
    assert_eq!(replica.parked().await.unwrap().len(), 300);
    // Something else comes: they are tried, and go on waiting.
    put_shelf(&origin, "other", "other").await;
    let other = changes_of(&origin, &["shelves"]).await;
    let waiting = statements_of(&statements, push(&origin, &replica, &other[300..])).await;
    let releasing = statements_of(&statements, push(&origin, &replica, &other)).await;
    assert_eq!(replica.parked().await.unwrap(), []);
    assert_eq!(number(&replica, "SELECT count(*) FROM books").await, 300);
    // Three hundred rows take as many as one would.
    if backend() == DbBackend::Sqlite {
        assert_eq!([parking, waiting, releasing], [10, 14, 14]);
    }
}
