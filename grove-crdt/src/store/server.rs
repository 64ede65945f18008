//! Which server this is: what has to be known beyond its kind.

use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement};

use crate::error::Error;

/// A kind of database, told apart as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Sqlite,
    Postgres,
    MySql,
    MariaDb {
        /// Whether `innodb_snapshot_isolation` is on: a locking read or a write fails when the row has changed since the
        /// transaction's snapshot.
        strict_snapshots: bool,
    },
}

impl Server {
    /// Asks the server.
    ///
    /// # Errors
    ///
    /// One that is too old, or of no supported kind.
    pub(crate) async fn of<C: ConnectionTrait>(conn: &C) -> Result<Self, Error> {
        match conn.get_database_backend() {
            DbBackend::Sqlite => Ok(Self::Sqlite),
            DbBackend::Postgres => {
                let number = text(conn, "SELECT current_setting('server_version_num')").await?;
                at_least("PostgreSQL", &number, number.parse().unwrap_or(0) >= 130_000, "13")?;
                Ok(Self::Postgres)
            }
            DbBackend::MySql => {
                let version = text(conn, "SELECT version()").await?;
                if version.to_ascii_lowercase().contains("mariadb") {
                    at_least("MariaDB", &version, release(&version) >= (10, 6), "10.6")?;
                    let strict_snapshots = is_on(conn, "innodb_snapshot_isolation").await?;
                    Ok(Self::MariaDb { strict_snapshots })
                } else {
                    at_least("MySQL", &version, release(&version) >= (8, 0), "8.0")?;
                    Ok(Self::MySql)
                }
            }
            other => Err(Error::Invalid(format!(
                "{} is not supported: open the replica on SQLite, PostgreSQL, MySQL or MariaDB",
                other.as_str()
            ))),
        }
    }
}

/// What a statement has beside its values, in bytes: its text, and what the protocol adds.
const AROUND: u64 = 32 << 10;

/// How many bytes the values of one statement may have together: MySQL and MariaDB end the connection when a statement is
/// larger than `max_allowed_packet`. `None` where there is no such limit.
pub(crate) async fn room<C: ConnectionTrait>(conn: &C) -> Result<Option<usize>, Error> {
    if conn.get_database_backend() != DbBackend::MySql {
        return Ok(None);
    }
    let packet = text(conn, "SELECT CAST(@@max_allowed_packet AS CHAR)").await?;
    // One that can't be read is taken for the smallest default of those that are supported.
    Ok(Some(room_of(packet.parse().unwrap_or(16 << 20))))
}

fn room_of(packet: u64) -> usize {
    usize::try_from(packet - AROUND.min(packet / 2)).unwrap_or(usize::MAX)
}

fn at_least(name: &str, found: &str, enough: bool, needed: &str) -> Result<(), Error> {
    if enough {
        return Ok(());
    }
    Err(Error::Invalid(format!(
        "{name} {found} is too old: a replica needs {name} {needed} or later"
    )))
}

/// The first two numbers of a version.
fn release(version: &str) -> (u32, u32) {
    let mut parts = version.split(|c: char| !c.is_ascii_digit());
    let mut next = || parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    (next(), next())
}

async fn text<C: ConnectionTrait>(conn: &C, sql: &str) -> Result<String, DbErr> {
    let row = conn
        .query_one_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await?;
    row.map_or(Ok(String::new()), |row| row.try_get_by_index(0))
}

async fn is_on<C: ConnectionTrait>(conn: &C, variable: &str) -> Result<bool, DbErr> {
    let sql = format!("SHOW VARIABLES LIKE '{variable}'");
    let row = conn
        .query_one_raw(Statement::from_string(conn.get_database_backend(), sql))
        .await?;
    let value: Option<String> = row.map(|row| row.try_get_by_index(1)).transpose()?;
    Ok(value.is_some_and(|value| value.eq_ignore_ascii_case("on")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_whatever_follows_them() {
        assert_eq!(release("10.11.19-MariaDB-0+deb12u1"), (10, 11));
        assert_eq!(release("8.4.2"), (8, 4));
        assert_eq!(release("8.0.36-0ubuntu0.22.04.1"), (8, 0));
        assert_eq!(release(""), (0, 0));
    }

    #[test]
    fn a_statement_has_room_for_its_values_and_its_text() {
        assert_eq!(room_of(16 << 20), (16 << 20) - (32 << 10));
        assert_eq!(room_of(1_024), 512);
        assert_eq!(room_of(0), 0);
    }
}
