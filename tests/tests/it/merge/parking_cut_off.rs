//! Commits after which nobody came to try the rows that waited for them: their request was given up, or their process killed.
//!
//! On SQLite, where the attempt has to wait for its turn, so that it can be told when to cut it off.

use grove_crdt::Replica;
use grove_crdt_tests::{TestDatabase, builder, run_all};
use serde_json::Value as Json;

use super::{
    library::{SHELVES, book, books, books_of, library, put_book, put_shelf, shelf},
    support::{changes_of, cut_off_after_commit, parked, push},
};

/// A replica where a book waits for its shelf, with the changes of both, and of whom they are.
struct Waiting {
    database: TestDatabase,
    replica: Replica,
    origin: Replica,
    shelf: Vec<Json>,
    book: Vec<Json>,
}

impl Waiting {
    async fn new() -> Self {
        let (origin, _) = library("origin").await;
        put_shelf(&origin, "s1", "one").await;
        put_book(&origin, "b1", Some("s1")).await;
        let database = TestDatabase::new().await;
        run_all(&database.connect().await, &[SHELVES, &books("")]).await;
        let replica = open(&database).await;
        let book = changes_of(&origin, &["books"]).await;
        push(&origin, &replica, &book).await;
        assert_eq!(parked(&replica).await, ["books b1 ForeignKey"]);
        Self {
            shelf: changes_of(&origin, &["shelves"]).await,
            database,
            replica,
            origin,
            book,
        }
    }

    async fn assert_released(&self) {
        assert_eq!(parked(&self.replica).await, Vec::<String>::new());
        assert_eq!(books_of(&self.replica).await, ["b1@s1"]);
    }
}

async fn open(database: &TestDatabase) -> Replica {
    let builder = builder("replica").0.entity::<shelf::Entity>().entity::<book::Entity>();
    builder.open(database.connect().await).await.unwrap()
}

/// A node was killed while the hub took its push: the row of a comment was parked at the hub for good, though its document
/// had come. When the node pushed the same again, that changed nothing, and so nothing was tried.
#[tokio::test]
async fn what_a_push_that_was_cut_off_made_room_for_is_written_when_it_is_repeated() {
    let waiting = Waiting::new().await;
    let Waiting {
        replica, origin, shelf, ..
    } = &waiting;
    cut_off_after_commit(replica, push(origin, replica, shelf)).await;
    assert_eq!(parked(replica).await, ["books b1 ForeignKey"]);
    push(origin, replica, shelf).await;
    waiting.assert_released().await;
}

/// The same for a local write, which nobody repeats: whatever comes next will do.
#[tokio::test]
async fn what_a_commit_that_was_cut_off_made_room_for_is_written_with_the_next() {
    let waiting = Waiting::new().await;
    let replica = &waiting.replica;
    cut_off_after_commit(replica, put_shelf(replica, "s1", "made here")).await;
    assert_eq!(parked(replica).await, ["books b1 ForeignKey"]);
    // It is known already, and changes nothing.
    push(&waiting.origin, replica, &waiting.book).await;
    waiting.assert_released().await;
}

/// The same for a process that was killed: nobody in it is left to know.
#[tokio::test]
async fn what_a_process_that_was_killed_made_room_for_is_written_when_it_is_opened() {
    let mut waiting = Waiting::new().await;
    cut_off_after_commit(&waiting.replica, put_shelf(&waiting.replica, "s1", "made here")).await;
    assert_eq!(parked(&waiting.replica).await, ["books b1 ForeignKey"]);
    drop(waiting.replica);
    waiting.replica = open(&waiting.database).await;
    waiting.assert_released().await;
}
