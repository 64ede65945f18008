//! Rows that wait for rows which wait themselves.

use grove_crdt::Replica;
use sea_orm::{ActiveValue::Set, EntityTrait};

use super::{
    library::{SHELVES, book, books, books_of, put_book, put_shelf, shelf},
    support::{changes_of, parked, push, replica_over},
};

mod chapter {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "chapters")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub book: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const CHAPTERS: &str =
    "CREATE TABLE chapters (id TEXT PRIMARY KEY, book TEXT NOT NULL, FOREIGN KEY (book) REFERENCES books (id))";

async fn three_tables(node: &str) -> Replica {
    let ddl = [SHELVES, &books(""), CHAPTERS];
    let entities = |builder: grove_crdt::ReplicaBuilder| {
        builder
            .entity::<shelf::Entity>()
            .entity::<book::Entity>()
            .entity::<chapter::Entity>()
    };
    replica_over(node, &ddl, entities).await.0
}

async fn chapters_of(replica: &Replica) -> usize {
    chapter::Entity::find().all(replica).await.unwrap().len()
}

async fn origin() -> Replica {
    let origin = three_tables("origin").await;
    put_shelf(&origin, "s1", "one").await;
    put_book(&origin, "b1", Some("s1")).await;
    let chapter = chapter::ActiveModel {
        id: Set("c1".into()),
        book: Set("b1".into()),
    };
    chapter.insert(&origin).await.unwrap();
    origin
}

#[apply(on_each_database!)]
async fn what_is_released_releases_what_waits_for_it_in_other_tables() {
    let origin = origin().await;
    let replica = three_tables("replica").await;
    push(&origin, &replica, &changes_of(&origin, &["chapters"]).await).await;
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    assert_eq!(
        parked(&replica).await,
        ["books b1 ForeignKey", "chapters c1 ForeignKey"]
    );
    // By a merge, and by a local write.
    let other = three_tables("other").await;
    push(&origin, &other, &changes_of(&origin, &["chapters", "books"]).await).await;
    put_shelf(&other, "s1", "made here").await;
    push(&origin, &replica, &changes_of(&origin, &["shelves"]).await).await;
    for replica in [&replica, &other] {
        assert_eq!(parked(replica).await, Vec::<String>::new(), "{}", replica.node_id());
        assert_eq!(books_of(replica).await, ["b1@s1"]);
        assert_eq!(chapters_of(replica).await, 1);
    }
}

#[apply(on_each_database!)]
async fn dead_rows_go_one_after_the_other_when_the_last_child_has_gone() {
    let origin = origin().await;
    let replica = three_tables("replica").await;
    push(
        &origin,
        &replica,
        &changes_of(&origin, &["shelves", "books", "chapters"]).await,
    )
    .await;
    chapter::Entity::delete_by_id("c1").exec(&origin).await.unwrap();
    book::Entity::delete_by_id("b1").exec(&origin).await.unwrap();
    shelf::Entity::delete_by_id("s1").exec(&origin).await.unwrap();
    push(&origin, &replica, &changes_of(&origin, &["shelves"]).await).await;
    push(&origin, &replica, &changes_of(&origin, &["books"]).await).await;
    assert_eq!(parked(&replica).await, ["books b1 ForeignKey", "shelves s1 ForeignKey"]);
    push(&origin, &replica, &changes_of(&origin, &["chapters"]).await).await;
    assert_eq!(parked(&replica).await, Vec::<String>::new());
    assert_eq!((books_of(&replica).await.len(), chapters_of(&replica).await), (0, 0));
    assert_eq!(super::library::shelves_of(&replica).await, Vec::<String>::new());
}
