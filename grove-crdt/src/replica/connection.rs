use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    Statement, StreamTrait, TransactionError, TransactionOptions, TransactionTrait,
};

use crate::{
    clock::NodeId,
    entity::CrdtEntity,
    error::Error,
    presence::Presences,
    replica::{
        Core, ReplicaBuilder, ReplicaTransaction, Untracked,
        adopt::Adopt,
        call::Call,
        core::{Ending, transact},
        inspect::{self, Inspection},
        introduction::{self, Introduction},
        occasion::{Due, Occasion},
        parking::{self, ParkedRow},
        statement,
        transaction::run_alone,
    },
    store::identity,
};

/// A SeaORM connection whose writes of replicated tables are recorded, so that they can be exchanged.
///
/// Use it wherever SeaORM takes a connection. Cloning it is cheap; all clones are one replica.
///
/// ```no_run
/// # async fn example<E: grove_crdt::CrdtEntity>() -> Result<(), Box<dyn std::error::Error>> {
/// use grove_crdt::Replica;
/// use sea_orm::{Database, EntityTrait};
///
/// let db = Database::connect("sqlite://app.db?mode=rwc").await?;
/// let replica = Replica::builder("node-1").entity::<E>().open(db).await?;
/// let rows = E::find().all(&replica).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Replica {
    pub(crate) core: Arc<Core>,
}

impl Replica {
    /// Starts describing a replica with this node id, the name of one writer: 1 to 64 characters of `[A-Za-z0-9._:-]`.
    /// No other node may have it, and a database should keep it.
    pub fn builder(node_id: impl Into<String>) -> ReplicaBuilder {
        ReplicaBuilder::new(node_id.into())
    }

    /// The name under which this replica writes.
    #[must_use]
    pub fn node_id(&self) -> &NodeId {
        self.core.clock.node()
    }

    /// The identity of the database, made when it was first opened as a replica.
    #[must_use]
    pub fn replica_id(&self) -> &str {
        &self.core.replica_id
    }

    /// Who is present, by topic: to join, and to be told of others.
    #[must_use]
    pub fn presence(&self) -> Presences {
        Presences::new(self.core.presence.clone())
    }

    /// The way around capture: what is written through it is not recorded. [`adopt`](Self::adopt) finds it afterwards.
    #[must_use]
    pub fn untracked(&self) -> Untracked {
        Untracked::new(self.core.clone())
    }

    /// Records what is in the table but not in its shadow: rows that were there before the replica was, and what was
    /// written behind its back.
    ///
    /// A row that has no cells becomes a baseline, which loses to every real write; the same data adopted on two nodes is
    /// one history. A row that differs from its cells is a write of this node. Await the value returned, or set it up
    /// first.
    pub fn adopt<E: CrdtEntity>(&self) -> Adopt<'_> {
        Adopt::new(self, E::default().table_name().to_owned())
    }

    /// The state of one record: values, and where they come from.
    ///
    /// # Errors
    ///
    /// The entity is not registered, or the database fails.
    pub async fn inspect<E: CrdtEntity>(
        &self,
        key: impl Into<<E::PrimaryKey as sea_orm::PrimaryKeyTrait>::ValueType>,
    ) -> Result<Inspection, Error> {
        inspect::inspect::<E, _>(&self.core, &self.core.db, key.into()).await
    }

    /// The rows that wait, because the database refuses them at the moment, and why. Their cells are kept and go on
    /// replicating; each row is written as soon as it can be.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn parked(&self) -> Result<Vec<ParkedRow>, Error> {
        parking::list(&self.core.db).await
    }

    /// Tries to write the parked rows now, and returns how many could be. Merges, local writes and opening do this by themselves;
    /// call it after the database was changed [untracked](Self::untracked).
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn release_parked(&self) -> Result<usize, Error> {
        let asked = Occasion {
            asked: true,
            ..Occasion::default()
        };
        // Also those that others have parked.
        self.core.parks();
        Due::new(&self.core, asked).release().await
    }

    /// Forgets which database speaks for a node id, so that another one may: after a node was set up anew under its old
    /// id. Returns whether the id was known.
    ///
    /// # Errors
    ///
    /// The database fails.
    pub async fn forget_node(&self, node: &NodeId) -> Result<bool, Error> {
        let known = transact!(self.core, |tx| {
            Ok(Ending::Commit(identity::forget_node(tx, node.as_str()).await?))
        });
        self.core.presence.forget_database(node);
        Ok(known)
    }

    /// Whether both are handles of one replica.
    #[cfg(feature = "server")]
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core)
    }

    /// The connection underneath. What is written through it is not recorded, and hooks of replicated entities refuse it.
    #[must_use]
    pub fn connection(&self) -> &DatabaseConnection {
        &self.core.db
    }
}

#[async_trait]
impl ConnectionTrait for Replica {
    fn get_database_backend(&self) -> DbBackend {
        self.core.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        let answer = run_alone(&self.core, Call::Execute, statement).await?;
        answer.into_executed()
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let statement = Statement::from_string(ConnectionTrait::get_database_backend(self), sql);
        run_alone(&self.core, Call::Unprepared, statement)
            .await?
            .into_executed()
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let answer = run_alone(&self.core, Call::One, statement).await?;
        Ok(answer.into_rows().into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(run_alone(&self.core, Call::All, statement).await?.into_rows())
    }

    fn is_mock_connection(&self) -> bool {
        introduction::answer(|| Introduction::Replica(self.core.clone()));
        false
    }
}

impl StreamTrait for Replica {
    type Stream<'a> = Pin<Box<dyn futures_util::Stream<Item = Result<QueryResult, DbErr>> + Send + 'a>>;

    fn get_database_backend(&self) -> DbBackend {
        self.core.db.get_database_backend()
    }

    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            let stream: Self::Stream<'a> = if statement::passes_through(&statement) {
                Box::pin(self.core.db.stream_raw(statement).await?)
            } else {
                let rows = run_alone(&self.core, Call::All, statement).await?.into_rows();
                Box::pin(futures_util::stream::iter(rows.into_iter().map(Ok)))
            };
            Ok(stream)
        })
    }
}

#[async_trait]
impl TransactionTrait for Replica {
    type Transaction = ReplicaTransaction;

    async fn begin(&self) -> Result<ReplicaTransaction, DbErr> {
        self.begin_with_options(TransactionOptions::default()).await
    }

    async fn begin_with_config(
        &self,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<ReplicaTransaction, DbErr> {
        self.begin_with_options(TransactionOptions {
            isolation_level,
            access_mode,
            sqlite_transaction_mode: None,
        })
        .await
    }

    async fn begin_with_options(&self, options: TransactionOptions) -> Result<ReplicaTransaction, DbErr> {
        let (tx, session) = self.core.begin(options).await?;
        Ok(ReplicaTransaction::root(tx, session))
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c ReplicaTransaction) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.transaction_with_config(callback, None, None).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        isolation_level: Option<IsolationLevel>,
        access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c ReplicaTransaction) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let transaction = self
            .begin_with_config(isolation_level, access_mode)
            .await
            .map_err(TransactionError::Connection)?;
        transaction.run_callback(callback).await
    }
}
