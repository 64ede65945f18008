//! Databases on a PostgreSQL, MySQL or MariaDB server: a new one for each that a test asks for.

use std::{
    process::{Command, Stdio},
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, Statement,
    sqlx::{Connection as _, MySqlConnection, PgConnection, query_scalar},
};
use url::Url;

use super::{Kind, each};

/// Begins the name of every database; the number of the process and one of its own follow.
const PREFIX: &str = "grove_test_";

/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// The variable that says where the server is and with which of its databases to begin, and where it is otherwise.
fn variable(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Sqlite => unreachable!("SQLite needs no server"),
        Kind::Postgres => (
            "GROVE_TEST_POSTGRES_URL",
            "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable",
        ),
        Kind::MySql => ("GROVE_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3307/test"),
        Kind::MariaDb => ("GROVE_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    }
}

fn server_url(kind: Kind) -> Url {
    let (variable, default) = variable(kind);
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    url.parse().unwrap_or_else(|error| panic!("{variable}: {error}"))
}

/// Whether the server answers, or why it does not. Asked once; then what earlier processes left there is dropped.
pub(super) fn reachable(kind: Kind) -> Result<(), String> {
    static ANSWERS: [OnceLock<Result<(), String>>; 3] = [const { OnceLock::new() }; 3];
    let answer = match kind {
        Kind::Sqlite => return Ok(()),
        Kind::Postgres => &ANSWERS[0],
        Kind::MySql => &ANSWERS[1],
        Kind::MariaDb => &ANSWERS[2],
    };
    let ask = || {
        let url = server_url(kind);
        let asked = block_on(async { tokio::time::timeout(PATIENCE, product(kind, &url)).await });
        let asked = asked.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")));
        let (name, url) = (kind.name(), without_password(url));
        let found = asked.map_err(|error| format!("{name} is not reachable at {url}: {error}"))?;
        // No reason to skip a test, which would pass without having seen its database.
        let variable = variable(kind).0;
        assert_eq!(
            found,
            kind,
            "{url} is {}: {variable} has to lead to {name}",
            found.name()
        );
        block_on(drop_leftovers(kind));
        Ok(())
    };
    answer.get_or_init(ask).clone()
}

/// What kind of server this is, by its own word. Not through a pool, which would not tell why it does not connect.
async fn product(kind: Kind, url: &Url) -> Result<Kind, String> {
    if kind == Kind::Postgres {
        let connected = PgConnection::connect(url.as_str()).await;
        return connected.map(|_| kind).map_err(|error| error.to_string());
    }
    let asked = async {
        let mut connection = MySqlConnection::connect(url.as_str()).await?;
        query_scalar::<_, String>("SELECT version()")
            .fetch_one(&mut connection)
            .await
    };
    let version = asked.await.map_err(|error| error.to_string())?;
    Ok(if version.contains("MariaDB") {
        Kind::MariaDb
    } else {
        Kind::MySql
    })
}

fn without_password(mut url: Url) -> Url {
    // Fails for a URL that can't have a password, which then has none.
    let _ = url.set_password(None);
    url
}

/// Creates a database for this test, and returns its URL.
pub(super) async fn create() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let test = each::current().expect("a test that runs on a server");
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("{PREFIX}{}_{number}", std::process::id());
    let kind = test.kind();
    let set = if kind == Kind::Postgres {
        ""
    } else {
        " CHARACTER SET utf8mb4"
    };
    test.databases.lock().expect("the names").push((kind, name.clone()));
    let server = administrator(kind).await;
    let created = server.execute_unprepared(&format!("CREATE DATABASE {name}{set}")).await;
    created.expect("a new database");
    server.close().await.expect("closed");
    let mut url = server_url(kind);
    url.set_path(&name);
    url.into()
}

/// Drops all that is in the database at this URL.
pub(super) async fn clear(url: &str) {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("the database");
    let statements = if db.get_database_backend() == DbBackend::Postgres {
        ["DROP SCHEMA public CASCADE", "CREATE SCHEMA public"].map(str::to_owned)
    } else {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = database()";
        let tables = texts(&db, tables).await.join("`, `");
        [
            "SET foreign_key_checks = 0".to_owned(),
            format!("DROP TABLE IF EXISTS `{tables}`"),
        ]
    };
    for statement in statements {
        let result = db.execute_unprepared(&statement).await;
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db.close().await.expect("closed");
}

/// A connection that makes and drops databases.
async fn administrator(kind: Kind) -> DatabaseConnection {
    let mut options = ConnectOptions::new(server_url(kind));
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("the server answers")
}

/// Drops databases, with whoever is still connected to them. Says what it can't drop.
pub(super) fn drop_all(kind: Kind, databases: Vec<String>) {
    if databases.is_empty() {
        return;
    }
    block_on(async {
        let server = administrator(kind).await;
        for name in &databases {
            drop_one(&server, kind, name).await;
        }
        server.close().await.expect("closed");
    });
}

async fn drop_one(server: &DatabaseConnection, kind: Kind, name: &str) {
    let mut statements = vec![format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")];
    if server.get_database_backend() == DbBackend::MySql {
        // It would wait for transactions that nobody is going to end.
        // MySQL's list of processes can't be read while a session runs a statement with bytes in it that are no text.
        let sessions = match kind {
            Kind::MySql => format!(
                "SELECT CAST(processlist_id AS CHAR) FROM performance_schema.threads WHERE processlist_db = '{name}'"
            ),
            _ => format!("SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = '{name}'"),
        };
        let sessions = texts(server, &sessions).await.into_iter();
        statements = sessions.map(|id| format!("KILL {id}")).collect();
        statements.push("SET lock_wait_timeout = 10".to_owned());
        statements.push(format!("DROP DATABASE IF EXISTS {name}"));
    }
    for statement in statements {
        let kill = statement.starts_with("KILL");
        if let Err(error) = server.execute_unprepared(&statement).await
            && !kill
        {
            println!("{statement}: {error}");
        }
    }
}

/// Drops the databases of processes that are no more: a test that is killed drops nothing.
async fn drop_leftovers(kind: Kind) {
    // Where there is no telling which processes there are, they stay.
    if !std::path::Path::new("/proc/self").exists() {
        return;
    }
    let server = administrator(kind).await;
    let names = match kind {
        Kind::Postgres => "SELECT datname::text FROM pg_database",
        _ => "SELECT schema_name FROM information_schema.schemata",
    };
    for name in texts(&server, names).await {
        let Some((process, number)) = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_')) else {
            continue;
        };
        let alive = std::path::Path::new("/proc").join(process).exists();
        // An earlier process may have had this one's number. What tests make by themselves has other names.
        let could_collide = process == std::process::id().to_string() && number.parse::<u32>().is_ok();
        if !alive || could_collide {
            drop_one(&server, kind, &name).await;
        }
    }
    server.close().await.expect("closed");
}

async fn texts(db: &DatabaseConnection, query: &str) -> Vec<String> {
    let rows = db
        .query_all_raw(Statement::from_string(db.get_database_backend(), query))
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    rows.iter()
        .map(|row| row.try_get_by_index(0).expect("a text"))
        .collect()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// Creates a database that holds what the one at this URL does, and returns its URL.
pub(super) async fn copy(url: &str) -> String {
    let copy = create().await;
    if url.starts_with("mysql") {
        copy_tables(url, &copy).await;
    } else {
        dump_and_restore(url, &copy);
    }
    copy
}

/// What an administrator does for a backup.
fn dump_and_restore(from: &str, to: &str) {
    let mut dump = Command::new("pg_dump")
        .args(["--no-owner", from])
        .stdout(Stdio::piped())
        .spawn()
        .expect("pg_dump, which comes with PostgreSQL");
    let restored = Command::new("psql")
        .args(["--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null", to])
        .stdin(dump.stdout.take().expect("what it dumps"))
        .status()
        .expect("psql, which comes with PostgreSQL");
    assert!(restored.success() && dump.wait().expect("it ends").success());
}

/// The tables one by one, in one session that minds no foreign keys.
async fn copy_tables(from: &str, to: &str) {
    let from = from.parse::<Url>().expect("a URL");
    let from = from.path().trim_start_matches('/');
    let mut options = ConnectOptions::new(to);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("the copy");
    let tables = format!("SELECT table_name FROM information_schema.tables WHERE table_schema = '{from}'");
    let mut statements = vec!["SET foreign_key_checks = 0".to_owned()];
    for table in texts(&db, &tables).await {
        let show = Statement::from_string(DbBackend::MySql, format!("SHOW CREATE TABLE `{from}`.`{table}`"));
        let shown = db.query_one_raw(show).await.expect("the table").expect("the table");
        statements.push(shown.try_get_by_index(1).expect("its statement"));
        statements.push(format!("INSERT INTO `{table}` SELECT * FROM `{from}`.`{table}`"));
    }
    for statement in statements {
        let result = db.execute_unprepared(&statement).await;
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db.close().await.expect("closed");
}
