//! A parent goes, and another takes over its children and its unique value.

use grove_crdt::{Replica, prelude::*};
use grove_crdt_tests::{builder, execute, new_database, rows, run_all};

use super::program::{Log, parked, sync};

mod user {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub email: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod article {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "articles")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub author_id: String,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn open(node: &str, actions: &str) -> Replica {
    let db = new_database().await;
    let articles = format!(
        "CREATE TABLE articles (id TEXT PRIMARY KEY NOT NULL, author_id TEXT NOT NULL,
            FOREIGN KEY (author_id) REFERENCES users (id) {actions})"
    );
    let users = "CREATE TABLE users (id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL UNIQUE)";
    run_all(&db, &[users, &articles]).await;
    let builder = builder(node).0.entity::<user::Entity>().entity::<article::Entity>();
    builder.open(db).await.unwrap()
}

/// A sender and a receiver that have the same user and articles, and then changes that the sender commits one by one.
async fn arrive(actions: &str, articles: usize, changes: &[&str]) {
    let (sender, receiver) = (open("sender", actions).await, open("receiver", actions).await);
    execute(&sender, "INSERT INTO users (id, email) VALUES ('u', 'one@x')", []).await;
    for n in 0..articles {
        let id = format!("a{n}");
        execute(
            &sender,
            "INSERT INTO articles (id, author_id) VALUES (?, 'u')",
            [id.into()],
        )
        .await;
    }
    let log = Log::default();
    sync(&receiver, &sender, 1_000, &log).await.unwrap();
    for change in changes {
        execute(&sender, change, []).await;
    }
    sync(&receiver, &sender, 1_000, &log).await.unwrap();
    let waiting = parked(&receiver).await;
    assert_eq!(
        rows::<user::Entity, _>(&receiver).await,
        rows::<user::Entity, _>(&sender).await,
        "parked:\n{waiting}"
    );
    assert_eq!(
        rows::<article::Entity, _>(&receiver).await,
        rows::<article::Entity, _>(&sender).await,
        "parked:\n{waiting}"
    );
    assert_eq!(waiting, "");
    assert_eq!(receiver.dead_letters().await.unwrap(), []);
    let again = sync(&receiver, &sender, 1_000, &log).await.unwrap();
    assert_eq!(again, SyncReport::default());
}

const TAKES_OVER: [&str; 4] = [
    "INSERT INTO users (id, email) VALUES ('v', 'two@x')",
    "UPDATE articles SET author_id = 'v' WHERE author_id = 'u'",
    "DELETE FROM users WHERE id = 'u'",
    "UPDATE users SET email = 'one@x' WHERE id = 'v'",
];

#[apply(on_each_database!)]
async fn an_article_goes_to_a_new_user_who_then_takes_the_email_of_the_old_one_where_deletes_cascade() {
    arrive("ON DELETE CASCADE", 1, &TAKES_OVER).await;
}

#[apply(on_each_database!)]
async fn an_article_goes_to_a_new_user_who_then_takes_the_email_of_the_old_one_where_deletes_are_restricted() {
    arrive("ON DELETE RESTRICT", 1, &TAKES_OVER).await;
}

#[apply(on_each_database!)]
async fn three_articles_go_to_a_new_user_who_then_takes_the_email_of_the_old_one() {
    for actions in ["ON DELETE CASCADE", "ON DELETE RESTRICT", ""] {
        arrive(actions, 3, &TAKES_OVER).await;
    }
}

#[apply(on_each_database!)]
async fn a_users_key_changes_and_articles_follow() {
    for actions in [
        "ON UPDATE CASCADE ON DELETE CASCADE",
        "ON UPDATE CASCADE ON DELETE RESTRICT",
    ] {
        arrive(actions, 3, &["UPDATE users SET id = 'v' WHERE id = 'u'"]).await;
    }
}

#[apply(on_each_database!)]
async fn a_users_key_changes_to_one_that_comes_before_and_articles_follow() {
    for actions in [
        "ON UPDATE CASCADE ON DELETE CASCADE",
        "ON UPDATE CASCADE ON DELETE RESTRICT",
    ] {
        arrive(actions, 3, &["UPDATE users SET id = 'a' WHERE id = 'u'"]).await;
    }
}

#[apply(on_each_database!)]
async fn a_user_is_replaced_by_one_with_the_same_email_and_the_same_articles() {
    let changes = [
        "UPDATE users SET email = 'gone@x' WHERE id = 'u'",
        "INSERT INTO users (id, email) VALUES ('b', 'one@x')",
        "UPDATE articles SET author_id = 'b' WHERE author_id = 'u'",
        "DELETE FROM users WHERE id = 'u'",
    ];
    for actions in ["ON DELETE CASCADE", "ON DELETE RESTRICT", ""] {
        arrive(actions, 3, &changes).await;
    }
}
