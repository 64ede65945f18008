//! No row stops a page: what the database can't take, or can't show, is put aside, and the rest arrives.

use grove_crdt::{Replica, ReplicaBuilder};
use grove_crdt_tests::{backend, execute};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait as _, DbBackend, EntityTrait as _, IntoActiveModel as _, QueryOrder as _,
    Statement, TransactionSession as _, TransactionTrait as _,
};

use super::support::{carry, changes_of, parked, push, replica_over};

mod task {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "tasks")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        #[crdt(lww)]
        pub title: String,
        #[crdt(lww)]
        pub due: Option<DateTimeUtc>,
    }

    #[derive(Clone, Copy, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

const TABLES: &[&str] = &["tasks"];

/// The definition of the table, with these columns for the key and the title.
fn ddl(id: &str, title: &str) -> String {
    let due = match backend() {
        DbBackend::Postgres => "timestamptz",
        DbBackend::MySql => "datetime(6) NULL",
        _ => "text",
    };
    format!("CREATE TABLE tasks ({id}, {title}, due {due})")
}

fn tasks(builder: ReplicaBuilder) -> ReplicaBuilder {
    builder.entity::<task::Entity>()
}

async fn replica_with(node: &str, ddl: &[&str]) -> Replica {
    replica_over(node, ddl, tasks).await.0
}

async fn replica(node: &str) -> Replica {
    let id = match backend() {
        DbBackend::MySql => "id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY",
        _ => "id text PRIMARY KEY",
    };
    replica_with(node, &[&ddl(id, "title varchar(64) NOT NULL")]).await
}

async fn put(replica: &Replica, id: &str, title: &str) {
    let task = task::ActiveModel {
        id: Set(id.into()),
        title: Set(title.into()),
        due: Set(None),
    };
    task.insert(replica).await.unwrap();
}

async fn retitle(replica: &Replica, id: &str, title: &str) {
    let task = task::Entity::find_by_id(id).one(replica).await.unwrap().unwrap();
    let mut task = task.into_active_model();
    task.title = Set(title.into());
    task.update(replica).await.unwrap();
}

/// The ids and titles, read without the times.
async fn titles(replica: &Replica) -> Vec<String> {
    let select = Statement::from_string(
        replica.get_database_backend(),
        "SELECT id, title FROM tasks ORDER BY id",
    );
    let rows = replica.query_all_raw(select).await.unwrap();
    let text = |row: &sea_orm::QueryResult| {
        let [id, title] = [0, 1].map(|index| row.try_get_by_index::<String>(index).unwrap());
        format!("{id}={title}")
    };
    rows.iter().map(text).collect()
}

/// Texts that a time column holds, though no time can be read from them.
fn unreadable() -> &'static [&'static str] {
    match backend() {
        DbBackend::Postgres => &["'infinity'", "'-infinity'", "'294000-01-01 00:00:00+00'"],
        DbBackend::MySql => &["'2024-00-10 00:00:00'"],
        _ => &["''", "'soon'", "17", "x'00ff'"],
    }
}

async fn spoil(replica: &Replica, id: &str, due: &str) {
    let tx = replica.untracked().begin().await.unwrap();
    if backend() == DbBackend::MySql {
        tx.execute_unprepared("SET SESSION sql_mode = ''").await.unwrap();
    }
    execute(&tx, &format!("UPDATE tasks SET due = {due} WHERE id = '{id}'"), []).await;
    tx.commit().await.unwrap();
}

#[apply(on_each_database!)]
async fn a_value_that_cant_be_read_stops_no_merge_and_can_be_mended() {
    for due in unreadable() {
        let (a, b) = (replica("a").await, replica("b").await);
        put(&a, "t1", "one").await;
        carry(&a, &b, TABLES).await;
        spoil(&b, "t1", due).await;
        retitle(&a, "t1", "first").await;
        put(&a, "t2", "two").await;
        carry(&a, &b, TABLES).await;
        assert_eq!(titles(&b).await, ["t1=first", "t2=two"], "{due}");
        assert_eq!(parked(&b).await, Vec::<String>::new());
        execute(&b, "UPDATE tasks SET due = NULL WHERE id = 't1'", []).await;
        carry(&b, &a, TABLES).await;
        let all = async |replica| {
            task::Entity::find()
                .order_by_asc(task::Column::Id)
                .all(replica)
                .await
                .unwrap()
        };
        assert_eq!(all(&a).await, all(&b).await, "{due}");
    }
}

#[apply(on_each_database!)]
async fn a_row_with_a_value_that_cant_be_read_is_adopted() {
    for due in unreadable() {
        let (a, b) = (replica("a").await, replica("b").await);
        execute(
            &a.untracked(),
            "INSERT INTO tasks (id, title) VALUES ('t1', 'one'), ('t2', 'two')",
            [],
        )
        .await;
        spoil(&a, "t1", due).await;
        let report = a.adopt::<task::Entity>().await.unwrap();
        assert_eq!((report.rows, report.adopted), (2, 2), "{due}");
        carry(&a, &b, TABLES).await;
        assert_eq!(titles(&b).await, ["t1=one", "t2=two"], "{due}");
        // The field is known once somebody has written it.
        execute(&a, "UPDATE tasks SET due = NULL WHERE id = 't1'", []).await;
        assert_eq!(a.adopt::<task::Entity>().await.unwrap().changed, 0, "{due}");
    }
}

/// A page of three tasks of which the database refuses the second, by a definition or a trigger of the receiver's.
async fn refused_second(ddl: &[&str]) {
    let origin = replica("origin").await;
    for (id, title) in [("t1", "one"), ("t2", "no"), ("t3", "three")] {
        put(&origin, id, title).await;
    }
    let receiver = replica_with("receiver", ddl).await;
    carry(&origin, &receiver, TABLES).await;
    assert_eq!(titles(&receiver).await, ["t1=one", "t3=three"], "{ddl:?}");
    assert_eq!(parked(&receiver).await.len(), 1, "{ddl:?}");
    retitle(&origin, "t2", "two").await;
    carry(&origin, &receiver, TABLES).await;
    assert_eq!(titles(&receiver).await, ["t1=one", "t2=two", "t3=three"], "{ddl:?}");
    assert_eq!(parked(&receiver).await, Vec::<String>::new(), "{ddl:?}");
}

#[apply(on_postgres!)]
async fn a_rule_that_is_checked_at_commit_parks_one_row() {
    let table = ddl("id text PRIMARY KEY", "title text NOT NULL");
    let raises = |state: &str| {
        format!(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             IF NEW.title = 'no' THEN RAISE EXCEPTION 'not this one' USING ERRCODE = '{state}'; END IF; RETURN NEW; END $$"
        )
    };
    let at_commit = "CREATE CONSTRAINT TRIGGER refuses AFTER INSERT OR UPDATE ON tasks \
                     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()";
    refused_second(&[&table, &raises("P0001"), at_commit]).await;
    let at_once = "CREATE TRIGGER refuses BEFORE INSERT OR UPDATE ON tasks FOR EACH ROW EXECUTE FUNCTION refuse()";
    refused_second(&[&table, &raises("U0001"), at_once]).await;
    let holder = "INSERT INTO tasks VALUES ('t0', 'no', NULL)";
    for unique in [
        "ALTER TABLE tasks ADD CONSTRAINT titles UNIQUE (title) DEFERRABLE INITIALLY DEFERRED",
        "ALTER TABLE tasks ADD CONSTRAINT titles EXCLUDE (title WITH =) DEFERRABLE INITIALLY DEFERRED",
    ] {
        let origin = replica("origin").await;
        for (id, title) in [("t1", "one"), ("t2", "no"), ("t3", "three")] {
            put(&origin, id, title).await;
        }
        let receiver = replica_with("receiver", &[&table, unique, holder]).await;
        carry(&origin, &receiver, TABLES).await;
        assert_eq!(titles(&receiver).await, ["t0=no", "t1=one", "t3=three"], "{unique}");
        assert_eq!(parked(&receiver).await.len(), 1, "{unique}");
    }
}

#[apply(on_postgres!)]
async fn a_key_that_is_checked_at_commit_is_written_all_the_same() {
    let table = ddl(
        "id text PRIMARY KEY DEFERRABLE INITIALLY DEFERRED",
        "title text NOT NULL",
    );
    let (origin, receiver) = (replica("origin").await, replica_with("receiver", &[&table]).await);
    put(&origin, "t1", "one").await;
    carry(&origin, &receiver, TABLES).await;
    retitle(&origin, "t1", "first").await;
    put(&origin, "t2", "two").await;
    carry(&origin, &receiver, TABLES).await;
    assert_eq!(titles(&receiver).await, ["t1=first", "t2=two"]);
}

#[apply(on_mysql!)]
async fn a_key_that_the_character_set_lacks_keeps_only_its_own_record_away() {
    let table = ddl(
        "id varchar(64) CHARACTER SET latin1 COLLATE latin1_bin PRIMARY KEY",
        "title varchar(64) NOT NULL",
    );
    let (origin, receiver) = (replica("origin").await, replica_with("receiver", &[&table]).await);
    for (id, title) in [("t1", "one"), ("日本", "two"), ("t3", "three")] {
        put(&origin, id, title).await;
    }
    let changes = changes_of(&origin, TABLES).await;
    let response = push(&origin, &receiver, &changes).await;
    let codes: Vec<_> = response
        .rejected
        .iter()
        .map(|rejection| rejection.code.as_str())
        .collect();
    let waits = parked(&receiver).await.len();
    assert_eq!(codes.len() + waits, 1, "{codes:?}");
    assert!(codes.iter().all(|code| *code == "unstorable"), "{codes:?}");
    assert_eq!(titles(&receiver).await, ["t1=one", "t3=three"]);
}

/// Columns in which different texts are one key.
fn loose_keys() -> Vec<Vec<String>> {
    let column = |column: &str| vec![ddl(column, "title varchar(64) NOT NULL")];
    match backend() {
        DbBackend::Postgres => {
            let with = |first: &str, key: &str| [vec![first.to_owned()], column(key)].concat();
            vec![
                with("CREATE EXTENSION citext", "id citext PRIMARY KEY"),
                with(
                    "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
                    "id text COLLATE loose PRIMARY KEY",
                ),
            ]
        }
        DbBackend::MySql => vec![column(
            "id varchar(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY",
        )],
        _ => vec![column("id text COLLATE NOCASE PRIMARY KEY")],
    }
}

#[apply(on_each_database!)]
async fn keys_that_the_column_takes_for_equal_overwrite_nobody() {
    for ddl in loose_keys() {
        let ddl: Vec<_> = ddl.iter().map(String::as_str).collect();
        let (a, b) = (replica("a").await, replica("b").await);
        let hub = replica_with("hub", &ddl).await;
        put(&a, "key", "small").await;
        put(&b, "KEY", "large").await;
        carry(&a, &hub, TABLES).await;
        carry(&b, &hub, TABLES).await;
        assert_eq!(titles(&hub).await, ["key=small"], "{ddl:?}");
        assert_eq!(parked(&hub).await, ["tasks KEY Unique"], "{ddl:?}");
        let waiting = hub.parked().await.unwrap();
        assert_eq!(waiting[0].holder.as_deref(), Some("key"), "{ddl:?}");
        assert_eq!(hub.adopt::<task::Entity>().await.unwrap().changed, 0, "{ddl:?}");
        retitle(&b, "KEY", "larger").await;
        carry(&b, &hub, TABLES).await;
        carry(&hub, &a, TABLES).await;
        assert_eq!(titles(&a).await, ["KEY=larger", "key=small"], "{ddl:?}");
        // One gives way.
        task::Entity::delete_by_id("key").exec(&a).await.unwrap();
        carry(&a, &hub, TABLES).await;
        assert_eq!(titles(&hub).await, ["KEY=larger"], "{ddl:?}");
        assert_eq!(parked(&hub).await, Vec::<String>::new(), "{ddl:?}");
    }
}
