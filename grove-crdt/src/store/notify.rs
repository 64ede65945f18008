//! Telling other processes on a PostgreSQL database of commits, by `NOTIFY`, and hearing of theirs by `LISTEN`.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement};

use crate::clock::NodeId;

/// The channel of one replicated database; a database server's database may hold several, in schemas.
fn channel(replica_id: &str) -> String {
    format!("grove_{replica_id}")
}

/// Tells whoever listens that `node` has committed something.
pub(crate) async fn tell<C: ConnectionTrait>(conn: &C, replica_id: &str, node: &NodeId) -> Result<(), DbErr> {
    let sql = "SELECT pg_notify($1, $2)";
    let values = [channel(replica_id).into(), node.as_str().into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    conn.execute_raw(statement).await.map(drop)
}

/// Listens to other processes, where the database has a way to.
#[derive(Default)]
pub(crate) struct Ear {
    #[cfg(feature = "postgres")]
    listener: Option<sea_orm::sqlx::postgres::PgListener>,
}

#[cfg(feature = "postgres")]
impl Ear {
    /// Begins to listen, on a connection of its own, unless it does already. What can't be heard is looked for.
    pub(crate) async fn open(&mut self, db: &DatabaseConnection, replica_id: &str) {
        use sea_orm::sqlx::postgres::{PgListener, PgPoolOptions};

        if db.get_database_backend() != DbBackend::Postgres || self.listener.is_some() {
            return;
        }
        // A listener holds its connection for good, which a small pool could not do without.
        let options = db.get_postgres_connection_pool().connect_options();
        let own = PgPoolOptions::new()
            .max_connections(1)
            .connect_lazy_with((*options).clone());
        let listening = async {
            let mut listener = PgListener::connect_with(&own).await?;
            listener.ignore_pool_close_event(true);
            listener.listen(&channel(replica_id)).await?;
            Ok::<_, sea_orm::sqlx::Error>(listener)
        };
        match listening.await {
            Ok(listener) => self.listener = Some(listener),
            Err(error) => {
                tracing::debug!(%error, "can't listen for other processes' commits; looking for them instead");
            }
        }
    }

    /// Waits until another node than `own` has told of a commit, or may have while the connection was lost.
    pub(crate) async fn hear(&mut self, own: &NodeId) {
        let Some(listener) = &mut self.listener else {
            return std::future::pending().await;
        };
        loop {
            match listener.try_recv().await {
                Ok(Some(notification)) if notification.payload() == own.as_str() => {}
                Ok(_) => return,
                Err(error) => {
                    tracing::debug!(%error, "no longer listening for other processes' commits");
                    self.listener = None;
                    return;
                }
            }
        }
    }
}

#[cfg(not(feature = "postgres"))]
impl Ear {
    /// There is nothing to listen to.
    #[expect(clippy::unused_async, reason = "its other form waits")]
    pub(crate) async fn open(&mut self, _db: &DatabaseConnection, _replica_id: &str) {}

    /// Waits for ever.
    pub(crate) async fn hear(&mut self, _own: &NodeId) {
        std::future::pending::<()>().await;
    }
}
