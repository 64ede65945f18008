//! Databases on PostgreSQL and MariaDB servers.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, bail};
use sea_orm::{
    ConnectOptions, ConnectionTrait as _, Database as SeaOrm, DatabaseConnection, DbBackend, Statement,
    sqlx::{Connection as _, MySqlConnection, PgConnection},
};
use url::Url;

use crate::database::name;

/// How long a server is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Begins the name of every database; the number of the process follows, and one that tells it from its others.
const PREFIX: &str = "grove_bench_";

/// Where a server is: at the places where the tests look for it as well.
fn server_url(backend: DbBackend) -> anyhow::Result<Url> {
    let (variable, default) = match backend {
        DbBackend::Postgres => ("GROVE_TEST_POSTGRES_URL", "postgres://postgres@127.0.0.1:5432/postgres"),
        _ => ("GROVE_TEST_MARIADB_URL", "mysql://root@127.0.0.1:3306/test"),
    };
    let url = std::env::var(variable).unwrap_or_else(|_| default.to_owned());
    url.parse().with_context(|| format!("{variable} is no URL"))
}

/// Whether the server answers. If so, what processes have left there that are no more is dropped.
pub(super) async fn check(backend: DbBackend) -> anyhow::Result<()> {
    let url = server_url(backend)?;
    let connect = async {
        match backend {
            DbBackend::Postgres => PgConnection::connect(url.as_str()).await.map(drop),
            _ => MySqlConnection::connect(url.as_str()).await.map(drop),
        }
    };
    // Not through a pool, which would not tell why it does not connect.
    let Ok(connected) = tokio::time::timeout(PATIENCE, connect).await else {
        bail!("no answer within {PATIENCE:?}");
    };
    connected?;
    drop_leftovers(backend).await
}

/// A database on a server. It goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Created {
    backend: DbBackend,
    name: String,
    url: Url,
}

impl Created {
    pub(super) async fn new(backend: DbBackend) -> anyhow::Result<Self> {
        let name = format!("{PREFIX}{}_{:08x}", std::process::id(), rand::random::<u32>());
        let server = administrator(backend).await?;
        let create = format!("CREATE DATABASE {name}{}", collation(&server).await?);
        server.execute_unprepared(&create).await?;
        server.close().await?;
        let mut url = server_url(backend)?;
        url.set_path(&name);
        Ok(Self { backend, name, url })
    }

    pub(super) fn url(&self) -> &str {
        self.url.as_str()
    }
}

impl Drop for Created {
    fn drop(&mut self) {
        let (backend, name) = (self.backend, self.name.clone());
        // Dropping can't wait for anything, and this may be on a thread of the runtime.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async { drop_one(&administrator(backend).await?, &name).await })
        });
        match dropped.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("database {} is left over: {error:#}", self.name),
            Err(_) => eprintln!("database {} is left over", self.name),
        }
    }
}

/// A connection that makes and drops databases.
async fn administrator(backend: DbBackend) -> anyhow::Result<DatabaseConnection> {
    let mut options = ConnectOptions::new(server_url(backend)?);
    options.max_connections(1).sqlx_logging(false);
    let connected = SeaOrm::connect(options).await;
    connected.with_context(|| format!("{} does not answer", name(backend)))
}

/// On MySQL and MariaDB, a replicated table's key had better compare byte by byte: see `docs/databases.md`.
async fn collation(server: &DatabaseConnection) -> anyhow::Result<&'static str> {
    if server.get_database_backend() != DbBackend::MySql {
        return Ok("");
    }
    let version = Statement::from_string(DbBackend::MySql, "SELECT version()");
    let version = server
        .query_one_raw(version)
        .await?
        .context("the server has no version")?;
    Ok(if version.try_get_by_index::<String>(0)?.contains("MariaDB") {
        " CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
    } else {
        " CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_bin"
    })
}

async fn drop_one(server: &DatabaseConnection, name: &str) -> anyhow::Result<()> {
    let how = match server.get_database_backend() {
        DbBackend::Postgres => " WITH (FORCE)",
        _ => "",
    };
    let drop = format!("DROP DATABASE IF EXISTS {name}{how}");
    server.execute_unprepared(&drop).await?;
    Ok(())
}

/// Drops the databases of processes that were killed before they could.
async fn drop_leftovers(backend: DbBackend) -> anyhow::Result<()> {
    // Where there is no telling which processes there are, they stay.
    if !Path::new("/proc/self").exists() {
        return Ok(());
    }
    let server = administrator(backend).await?;
    let names = match backend {
        DbBackend::Postgres => "SELECT datname::text FROM pg_database",
        _ => "SELECT schema_name FROM information_schema.schemata",
    };
    for row in server.query_all_raw(Statement::from_string(backend, names)).await? {
        let name: String = row.try_get_by_index(0)?;
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('_'));
        if process.is_some_and(|(process, _)| !Path::new("/proc").join(process).exists()) {
            drop_one(&server, &name).await?;
        }
    }
    Ok(server.close().await?)
}
