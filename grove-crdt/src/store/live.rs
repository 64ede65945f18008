//! Real databases for this module's tests: each test has its own, and drops it.

use std::{env, time::Duration};

use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, DbBackend, DbErr, Statement};

/// A database of a test's own.
pub(super) struct Live {
    pub(super) db: DatabaseConnection,
}

impl Live {
    /// Whether MySQL is MariaDB.
    pub(super) async fn is_mariadb(&self) -> bool {
        let version = Statement::from_string(DbBackend::MySql, "SELECT version()");
        let row = self.db.query_one_raw(version).await.expect("a server has a version");
        let version: String = row.expect("one row").try_get_by_index(0).expect("it is text");
        version.contains("MariaDB")
    }

    /// Runs statements that have to succeed.
    pub(super) async fn run(&self, statements: &[&str]) {
        for statement in statements {
            if let Err(error) = self.db.execute_unprepared(statement).await {
                panic!("{statement}: {error}");
            }
        }
    }
}

/// Runs a test in memory.
pub(super) async fn sqlite(test: impl AsyncFnOnce(Live)) {
    let db = connect("sqlite::memory:").await.expect("SQLite needs no server");
    test(Live { db }).await;
}

/// Runs a test on PostgreSQL, if there is a server.
pub(super) async fn postgres<F>(test: impl FnOnce(Live) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let url = env::var("GROVE_TEST_POSTGRES_URL");
    let url = url.unwrap_or_else(|_| "postgres://postgres@127.0.0.1:5432/postgres".into());
    on_server(&url, " WITH (FORCE)", test).await;
}

/// Runs a test on MySQL, if there is a server, and then on MariaDB, if there is one.
pub(super) async fn mysql<F>(test: impl Fn(Live) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let servers = [
        ("GROVE_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3307/test"),
        ("GROVE_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    ];
    for (variable, default) in servers {
        let url = env::var(variable).unwrap_or_else(|_| default.into());
        on_server(&url, "", &test).await;
    }
}

async fn on_server<F>(url: &str, dropping: &str, test: impl FnOnce(Live) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    let server = match connect(url).await {
        Ok(server) => server,
        Err(error) if env::var("GROVE_REQUIRE_DATABASES").is_ok_and(|value| value == "1") => {
            panic!("{url} is not reachable: {error}")
        }
        Err(error) => {
            println!("skipped: {url} is not reachable: {error}");
            return;
        }
    };
    let name = format!("grove_store_{:016x}", rand::random::<u64>());
    let own = Live { db: server };
    own.run(&[&format!("CREATE DATABASE {name}")]).await;
    let (address, parameters) = url.split_once('?').unwrap_or((url, ""));
    let (address, _) = address.rsplit_once('/').expect("the URL names a database");
    let db = connect(&format!("{address}/{name}?{parameters}")).await;
    // A task of its own, so that the database goes even when the test panics.
    let outcome = match db {
        Ok(db) => tokio::spawn(test(Live { db })).await,
        Err(error) => panic!("{name}: {error}"),
    };
    own.run(&[&format!("DROP DATABASE {name}{dropping}")]).await;
    if let Err(panicked) = outcome {
        std::panic::resume_unwind(panicked.into_panic());
    }
}

async fn connect(url: &str) -> Result<DatabaseConnection, DbErr> {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(if url.starts_with("sqlite") { 1 } else { 4 })
        .acquire_timeout(Duration::from_secs(5))
        .sqlx_logging(false);
    Database::connect(options).await
}
