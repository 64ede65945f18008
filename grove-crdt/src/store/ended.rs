//! Connections whose transaction SQLite has ended by itself.
//!
//! When there is no room left, or a trigger says `RAISE(ROLLBACK)`, SQLite rolls back the whole transaction. Then there is nothing
//! for sqlx to commit or to roll back, and it takes the transaction for open: what begins on the connection afterwards is a
//! savepoint to it, whose commit need not commit, and whose rollback leaves a transaction open.

use std::sync::atomic::{AtomicUsize, Ordering};

use sea_orm::{ConnectionTrait as _, DatabaseConnection, DatabaseTransaction, DbBackend};

/// Whether SQLite has ended the transaction, in which a statement has just failed: what follows would be committed by itself. If
/// so, there is a new one in its place, to be rolled back.
pub(crate) async fn has_ended(tx: &DatabaseTransaction) -> bool {
    // There is none within another.
    tx.get_database_backend() == DbBackend::Sqlite && tx.execute_unprepared("BEGIN").await.is_ok()
}

/// Before how many transactions to look for such a connection, after one has not ended as it should: it may still be on its way
/// back to the pool.
const LOOKS: usize = 8;

/// Whether there may be such connections.
#[derive(Debug, Default)]
pub(crate) struct Doubt(AtomicUsize);

impl Doubt {
    /// A transaction has not ended as it should.
    pub(crate) fn rise(&self) {
        self.0.store(LOOKS, Ordering::SeqCst);
    }

    /// To be called before a transaction begins.
    pub(crate) async fn settle(&self, db: &DatabaseConnection) {
        let one_less = |looks: usize| looks.checked_sub(1);
        if self
            .0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
            .is_ok()
        {
            mend(db).await;
        }
    }
}

#[cfg(feature = "sqlite")]
async fn mend(db: &DatabaseConnection) {
    if db.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let pool = db.get_sqlite_connection_pool();
    // Who waits for one in vain is told so by what comes next.
    let Ok(one) = pool.acquire().await else { return };
    let others = std::iter::from_fn(|| pool.try_acquire());
    for mut connection in std::iter::once(one).chain(others).collect::<Vec<_>>() {
        if let Err(error) = sqlite::end_all(&mut connection).await {
            tracing::warn!(%error, "a connection whose transaction SQLite has ended can't begin another, and is closed");
            connection.close_on_drop();
        }
    }
}

#[cfg(not(feature = "sqlite"))]
#[expect(clippy::unused_async, reason = "its other form waits")]
async fn mend(_db: &DatabaseConnection) {}

#[cfg(feature = "sqlite")]
mod sqlite {
    use sea_orm::sqlx::{AssertSqlSafe, Database, Error, Executor as _, Sqlite, SqliteConnection};
    use sqlx_core::transaction::TransactionManager as _;

    type Manager = <Sqlite as Database>::TransactionManager;

    /// Has sqlx end what it takes for open.
    pub(super) async fn end_all(connection: &mut SqliteConnection) -> Result<(), Error> {
        let depth = Manager::get_transaction_depth(connection);
        if depth == 0 {
            return Ok(());
        }
        // Fails when there is one, as [`has_ended`](super::has_ended) leaves it.
        let _ = connection.execute("BEGIN").await;
        // What sqlx is going to roll back, one by one.
        for savepoint in 1..depth {
            let begin = format!("SAVEPOINT _sqlx_savepoint_{savepoint}");
            connection.execute(AssertSqlSafe(begin)).await?;
        }
        for _ in 0..depth {
            Manager::rollback(connection).await?;
        }
        Ok(())
    }
}
