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
    sqlx::{Connection as _, MySqlConnection, PgConnection},
};
use url::Url;

use super::each;

/// Begins the name of every database; the number of the process and one of its own follow.
const PREFIX: &str = "grove_test_";

/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the server is, and with which of its databases to begin.
fn server_url(backend: DbBackend) -> Url {
    let (variable, default) = match backend {
        DbBackend::Postgres => (
            "GROVE_TEST_POSTGRES_URL",
            "postgres://postgres@127.0.0.1:5432/postgres?sslmode=disable",
        ),
        _ => ("GROVE_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306/test"),
    };
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    url.parse().unwrap_or_else(|error| panic!("{variable}: {error}"))
}

/// Whether the server answers, or why it does not. Asked once; then what earlier processes left there is dropped.
pub(super) fn reachable(backend: DbBackend) -> Result<(), String> {
    static POSTGRES: OnceLock<Result<(), String>> = OnceLock::new();
    static MYSQL: OnceLock<Result<(), String>> = OnceLock::new();
    let (answer, name) = match backend {
        DbBackend::Postgres => (&POSTGRES, "PostgreSQL"),
        DbBackend::MySql => (&MYSQL, "MySQL"),
        _ => return Ok(()),
    };
    let ask = || {
        let url = server_url(backend);
        let answer = block_on(async {
            let connected = tokio::time::timeout(PATIENCE, try_to_connect(backend, &url)).await;
            connected.unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}")))?;
            drop_leftovers(backend).await;
            Ok(())
        });
        answer.map_err(|error: String| format!("{name} is not reachable at {}: {error}", without_password(url)))
    };
    answer.get_or_init(ask).clone()
}

/// Not through a pool, which would not tell why it does not connect.
async fn try_to_connect(backend: DbBackend, url: &Url) -> Result<(), String> {
    let connected = match backend {
        DbBackend::Postgres => PgConnection::connect(url.as_str()).await.map(drop),
        _ => MySqlConnection::connect(url.as_str()).await.map(drop),
    };
    connected.map_err(|error| error.to_string())
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
    let backend = test.backend();
    let set = if backend == DbBackend::MySql {
        " CHARACTER SET utf8mb4"
    } else {
        ""
    };
    test.databases.lock().expect("the names").push((backend, name.clone()));
    let server = administrator(backend).await;
    let created = server.execute_unprepared(&format!("CREATE DATABASE {name}{set}")).await;
    created.expect("a new database");
    server.close().await.expect("closed");
    let mut url = server_url(backend);
    url.set_path(&name);
    url.into()
}

/// Drops all that is in the database at this URL.
pub(super) async fn clear(url: &str) {
    let mut options = ConnectOptions::new(url);
    options.max_connections(1).sqlx_logging(false);
    let db = Database::connect(options).await.expect("the database");
    let statements = match db.get_database_backend() {
        DbBackend::Postgres => vec![
            "DROP SCHEMA public CASCADE".to_owned(),
            "CREATE SCHEMA public".to_owned(),
        ],
        _ => {
            let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = database()";
            let tables = texts(&db, tables).await.join("`, `");
            vec![
                "SET foreign_key_checks = 0".to_owned(),
                format!("DROP TABLE IF EXISTS `{tables}`"),
            ]
        }
    };
    for statement in statements {
        let result = db.execute_unprepared(&statement).await;
        result.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    db.close().await.expect("closed");
}

/// A connection that makes and drops databases.
async fn administrator(backend: DbBackend) -> DatabaseConnection {
    let mut options = ConnectOptions::new(server_url(backend));
    options.max_connections(1).sqlx_logging(false);
    Database::connect(options).await.expect("the server answers")
}

/// Drops databases, with whoever is still connected to them. Says what it can't drop.
pub(super) fn drop_all(backend: DbBackend, databases: Vec<String>) {
    if databases.is_empty() {
        return;
    }
    block_on(async {
        let server = administrator(backend).await;
        for name in &databases {
            drop_one(&server, name).await;
        }
        server.close().await.expect("closed");
    });
}

async fn drop_one(server: &DatabaseConnection, name: &str) {
    let mut statements = vec![format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")];
    if server.get_database_backend() == DbBackend::MySql {
        // It would wait for transactions that nobody is going to end.
        let sessions = format!("SELECT CAST(id AS CHAR) FROM information_schema.processlist WHERE db = '{name}'");
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
async fn drop_leftovers(backend: DbBackend) {
    // Where there is no telling which processes there are, they stay.
    if !std::path::Path::new("/proc/self").exists() {
        return;
    }
    let server = administrator(backend).await;
    let names = match backend {
        DbBackend::Postgres => "SELECT datname::text FROM pg_database",
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
            drop_one(&server, &name).await;
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
