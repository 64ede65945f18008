//! Pages of many rows of which the database refuses some.

use grove_crdt::Replica;
use grove_crdt_tests::{backend, cells, number};
use sea_orm::{
    ActiveValue::Set, DbBackend, EntityTrait, IntoActiveModel as _, QueryOrder as _, TransactionSession as _,
    TransactionTrait as _,
};
use serde_json::Value as Json;

use super::{
    library::{SHELVES, TABLES, book, library, library_with, shelf},
    support::{carry, changes_of, parked, push, replica_over},
};

/// Books whose titles must not end in a five.
const FEW_FIVES: &str = "CREATE TABLE books (id TEXT PRIMARY KEY, shelf TEXT, title TEXT CHECK (title NOT LIKE '%5'), \
     copies BIGINT NOT NULL DEFAULT 0, pages BIGINT NOT NULL, note TEXT)";

/// A replica with so many books, in no particular order. Every tenth title ends in a five.
async fn origin(books: usize) -> Replica {
    let (origin, _) = library("origin").await;
    let models = (0..books).map(|n| book::ActiveModel {
        id: Set(format!("b{:02}", (n * 7) % books)),
        shelf: Set(None),
        title: Set(Some(format!("old {:02}", (n * 7) % books))),
        copies: Set(1),
        pages: Set(100),
        note: Set(None),
    });
    book::Entity::insert_many(models).exec(&origin).await.unwrap();
    origin
}

/// The ids and titles of the books that may stand everywhere.
async fn titles(replica: &Replica) -> Vec<(String, String)> {
    let books = book::Entity::find()
        .order_by_asc(book::Column::Id)
        .all(replica)
        .await
        .unwrap();
    let titles = books.into_iter().map(|book| (book.id, book.title.unwrap()));
    titles.filter(|(_, title)| !title.ends_with('5')).collect()
}

#[apply(on_each_database!)]
async fn those_that_are_refused_keep_no_others_away() {
    let origin = origin(60).await;
    let (replica, _) = library_with("replica", FEW_FIVES).await;
    let births = changes_of(&origin, TABLES).await;
    // Some come alone, so that the others meet them: every second one.
    let second = |change: &&Json| change["pk"].as_str().unwrap().ends_with(['0', '2', '4', '6', '8']);
    let some: Vec<_> = births.iter().filter(second).cloned().collect();
    push(&origin, &replica, &some).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    let tx = origin.begin().await.unwrap();
    for book in book::Entity::find().all(&tx).await.unwrap() {
        let title = book.title.clone().unwrap().replace("old", "new");
        let mut book = book.into_active_model();
        book.title = Set(Some(title));
        book.update(&tx).await.unwrap();
    }
    tx.commit().await.unwrap();

    carry(&origin, &replica, TABLES).await;
    let refused: Vec<_> = (0..6).map(|ten| format!("books b{ten}5 Check")).collect();
    assert_eq!(parked(&replica).await, refused);
    assert_eq!(titles(&replica).await.len(), 54);
    assert_eq!(titles(&replica).await, titles(&origin).await);
    assert_eq!(cells(&replica, "books").await, cells(&origin, "books").await);
}

/// Triggers that note each book that is inserted or updated.
fn noting() -> Vec<String> {
    let mut ddl = vec!["CREATE TABLE noted (id TEXT NOT NULL)".to_owned()];
    if backend() == DbBackend::Postgres {
        let function = "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO noted VALUES (new.id); RETURN new; END $$";
        ddl.push(function.to_owned());
    }
    for event in ["INSERT", "UPDATE"] {
        let note = match backend() {
            DbBackend::Postgres => "FOR EACH ROW EXECUTE FUNCTION note()",
            DbBackend::MySql => "FOR EACH ROW INSERT INTO noted VALUES (NEW.id)",
            _ => "BEGIN INSERT INTO noted VALUES (NEW.id); END",
        };
        ddl.push(format!("CREATE TRIGGER note_{event} AFTER {event} ON books {note}"));
    }
    ddl
}

#[apply(on_each_database!)]
async fn a_trigger_sees_each_row_once_though_others_are_refused() {
    let origin = origin(40).await;
    let noting = noting();
    let ddl: Vec<_> = [SHELVES, FEW_FIVES]
        .into_iter()
        .chain(noting.iter().map(String::as_str))
        .collect();
    let (replica, _) = replica_over("replica", &ddl, |builder| {
        builder.entity::<shelf::Entity>().entity::<book::Entity>()
    })
    .await;
    carry(&origin, &replica, TABLES).await;
    assert_eq!(parked(&replica).await.len(), 4);
    assert_eq!(number(replica.connection(), "SELECT count(*) FROM noted").await, 36);
}
