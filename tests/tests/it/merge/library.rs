//! Tables with constraints: books stand on shelves.

use grove_crdt::{FakeClock, Replica};

use super::support::replica_over;

pub mod shelf {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "shelves")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Unique.
        #[crdt(lww)]
        pub name: String,
        /// Of which shelf this one is a part.
        #[crdt(lww)]
        pub within: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

pub mod book {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "books")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        /// Refers to a shelf.
        #[crdt(lww)]
        pub shelf: Option<String>,
        /// At most 20 characters.
        #[crdt(lww)]
        pub title: Option<String>,
        #[crdt(counter)]
        pub copies: i64,
        #[crdt(default = 7)]
        pub pages: i64,
        pub note: Option<String>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

/// Child before parent in the alphabet, so that only foreign keys can tell the order.
pub const TABLES: &[&str] = &["books", "shelves"];

pub const SHELVES: &str = "CREATE TABLE shelves (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, \
     within TEXT, FOREIGN KEY (within) REFERENCES shelves (id))";

/// Books whose foreign key does this when its shelf goes.
pub fn books(on_delete: &str) -> String {
    format!(
        "CREATE TABLE books (id TEXT PRIMARY KEY, shelf TEXT, \
         title TEXT CHECK (length(title) <= 20), copies BIGINT NOT NULL DEFAULT 0 CHECK (copies > -100), \
         pages BIGINT NOT NULL, note TEXT, FOREIGN KEY (shelf) REFERENCES shelves (id) {on_delete})"
    )
}

pub async fn library(node: &str) -> (Replica, FakeClock) {
    library_with(node, &books("")).await
}

pub async fn library_with(node: &str, books: &str) -> (Replica, FakeClock) {
    replica_over(node, &[SHELVES, books], |builder| {
        builder.entity::<shelf::Entity>().entity::<book::Entity>()
    })
    .await
}

pub async fn put_shelf(replica: &Replica, id: &str, name: &str) {
    put_shelf_within(replica, id, name, None).await;
}

pub async fn put_shelf_within(replica: &Replica, id: &str, name: &str, within: Option<&str>) {
    use sea_orm::ActiveValue::Set;
    let within = within.map(str::to_owned);
    let shelf = shelf::ActiveModel {
        id: Set(id.into()),
        name: Set(name.into()),
        within: Set(within),
    };
    shelf.insert(replica).await.unwrap();
}

pub async fn put_book(replica: &Replica, id: &str, shelf: Option<&str>) {
    use sea_orm::ActiveValue::Set;
    let book = book::ActiveModel {
        id: Set(id.into()),
        shelf: Set(shelf.map(str::to_owned)),
        title: Set(Some(format!("Title of {id}"))),
        copies: Set(1),
        pages: Set(100),
        note: Set(None),
    };
    book.insert(replica).await.unwrap();
}

pub async fn books_of(replica: &Replica) -> Vec<String> {
    use sea_orm::{EntityTrait, QueryOrder as _};
    let books = book::Entity::find()
        .order_by_asc(book::Column::Id)
        .all(replica)
        .await
        .unwrap();
    books
        .iter()
        .map(|b| format!("{}@{}", b.id, b.shelf.as_deref().unwrap_or("-")))
        .collect()
}

pub async fn shelves_of(replica: &Replica) -> Vec<String> {
    use sea_orm::{EntityTrait, QueryOrder as _};
    let shelves = shelf::Entity::find()
        .order_by_asc(shelf::Column::Id)
        .all(replica)
        .await
        .unwrap();
    shelves.iter().map(|s| format!("{}={}", s.id, s.name)).collect()
}
