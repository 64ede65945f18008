use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    Statement, StreamTrait, TransactionError, TransactionOptions, TransactionSession, TransactionTrait,
};

use crate::{
    entity::CrdtEntity,
    error::Error,
    replica::{
        call::{Answer, Call, perform},
        inspect::{self, Inspection},
        introduction::{self, Introduction},
        log::Mark,
        session::Session,
        statement,
    },
    store::retry::Attempts,
};

/// A transaction of a [`Replica`](crate::Replica): rows and their shadow rows commit together, or not at all.
///
/// A nested transaction is a savepoint; rolling it back takes back what was collected in it. Dropping a transaction rolls
/// it back.
///
/// On SQLite no other write of the replica runs while a transaction is open, unless it is read-only. So a task that
/// holds one must write through it: a write through the replica would wait for it, and fail after the busy timeout.
/// SQLite's transactions have one isolation level, and one that is asked for is ignored there; so is that of a nested
/// one.
#[derive(Debug)]
pub struct ReplicaTransaction {
    /// Present until committed or rolled back.
    tx: Option<DatabaseTransaction>,
    session: Arc<Session>,
    /// Where this transaction began, when it is a savepoint.
    mark: Option<Mark>,
    /// A savepoint whose end has begun and not come.
    in_doubt: bool,
}

impl ReplicaTransaction {
    pub(super) fn root(tx: DatabaseTransaction, session: Session) -> Self {
        Self {
            tx: Some(tx),
            session: Arc::new(session),
            mark: None,
            in_doubt: false,
        }
    }

    fn tx(&self) -> Result<&DatabaseTransaction, DbErr> {
        self.tx
            .as_ref()
            .ok_or_else(|| DbErr::Custom("the transaction is over".into()))
    }

    pub(super) async fn run(&self, call: Call, statement: Statement) -> Result<Answer, DbErr> {
        self.session.run(self.tx()?, call, statement).await
    }

    /// The state of one record as it will be when this transaction, with what it has done so far, is committed. Nothing is written
    /// for it, and clock values are given out anew by the commit.
    ///
    /// # Errors
    ///
    /// As for [`Replica::inspect`](crate::Replica::inspect).
    pub async fn inspect<E: CrdtEntity>(
        &self,
        key: impl Into<<E::PrimaryKey as sea_orm::PrimaryKeyTrait>::ValueType>,
    ) -> Result<Inspection, Error> {
        inspect::inspect_within::<E>(&self.session, self.tx()?, key.into()).await
    }

    async fn nested(&self) -> Result<Self, DbErr> {
        // Between statements, so that each is on one side of the savepoint.
        let _turn = self.session.between_writes().await;
        let tx = self.tx()?.begin().await?;
        Ok(Self {
            tx: Some(tx),
            session: self.session.clone(),
            mark: Some(self.session.mark()),
            in_doubt: false,
        })
    }

    async fn finish<T, E>(self, result: Result<T, E>) -> Result<T, TransactionError<E>>
    where
        E: std::fmt::Display + std::fmt::Debug,
    {
        match result {
            Ok(value) => {
                self.commit().await.map_err(TransactionError::Connection)?;
                Ok(value)
            }
            Err(error) => {
                self.rollback().await.map_err(TransactionError::Connection)?;
                Err(TransactionError::Transaction(error))
            }
        }
    }

    pub(super) async fn run_callback<F, T, E>(self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let result = callback(&self).await;
        self.finish(result).await
    }
}

#[async_trait]
impl TransactionSession for ReplicaTransaction {
    async fn commit(mut self) -> Result<(), DbErr> {
        let Some(tx) = self.tx.take() else {
            return Err(DbErr::Custom("the transaction is over".into()));
        };
        if let Some(mark) = &self.mark {
            // If this future is dropped half way, nobody knows whether the savepoint is still there.
            self.in_doubt = true;
            tx.commit().await?;
            self.in_doubt = false;
            self.session.release(mark);
            self.mark = None;
            return Ok(());
        }
        if let Err(error) = self.session.flush(&tx).await {
            // What failed tells more than how its rollback did.
            if tx.rollback().await.is_ok() {
                self.session.note_end();
            }
            return Err(error.into());
        }
        let due = self.session.due();
        tx.commit().await?;
        self.session.note_end();
        self.session.committed(due).await;
        Ok(())
    }

    async fn rollback(mut self) -> Result<(), DbErr> {
        let mark = self.mark.take();
        let is_whole = mark.is_none();
        if let Some(mark) = mark {
            self.session.roll_back_to(mark);
        }
        let Some(tx) = self.tx.take() else {
            return Err(DbErr::Custom("the transaction is over".into()));
        };
        tx.rollback().await?;
        if is_whole {
            self.session.note_end();
        }
        Ok(())
    }
}

impl Drop for ReplicaTransaction {
    fn drop(&mut self) {
        // SeaORM's transaction rolls itself back when dropped; the log has to follow.
        if self.in_doubt {
            self.session.spoil("the end of a savepoint failed or was cancelled");
        }
        if let Some(mark) = self.mark.take() {
            self.session.roll_back_to(mark);
        }
    }
}

#[async_trait]
impl ConnectionTrait for ReplicaTransaction {
    fn get_database_backend(&self) -> DbBackend {
        self.session.core.db.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.run(Call::Execute, statement).await?.into_executed()
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let statement = Statement::from_string(ConnectionTrait::get_database_backend(self), sql);
        self.run(Call::Unprepared, statement).await?.into_executed()
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        let answer = self.run(Call::One, statement).await?;
        Ok(answer.into_rows().into_iter().next())
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        Ok(self.run(Call::All, statement).await?.into_rows())
    }

    fn is_mock_connection(&self) -> bool {
        introduction::answer(|| Introduction::Transaction(self.session.clone()));
        false
    }
}

impl StreamTrait for ReplicaTransaction {
    type Stream<'a> = Pin<Box<dyn futures_util::Stream<Item = Result<QueryResult, DbErr>> + Send + 'a>>;

    fn get_database_backend(&self) -> DbBackend {
        self.session.core.db.get_database_backend()
    }

    fn stream_raw<'a>(
        &'a self,
        statement: Statement,
    ) -> Pin<Box<dyn Future<Output = Result<Self::Stream<'a>, DbErr>> + 'a + Send>> {
        Box::pin(async move {
            let stream: Self::Stream<'a> = if statement::passes_through(&statement) {
                Box::pin(self.tx()?.stream_raw(statement).await?)
            } else {
                // A write has run to its end before it is captured, so its rows are there already.
                let rows = self.run(Call::All, statement).await?.into_rows();
                Box::pin(futures_util::stream::iter(rows.into_iter().map(Ok)))
            };
            Ok(stream)
        })
    }
}

#[async_trait]
impl TransactionTrait for ReplicaTransaction {
    type Transaction = Self;

    async fn begin(&self) -> Result<Self, DbErr> {
        self.nested().await
    }

    async fn begin_with_config(
        &self,
        _isolation_level: Option<IsolationLevel>,
        _access_mode: Option<AccessMode>,
    ) -> Result<Self, DbErr> {
        self.nested().await
    }

    async fn begin_with_options(&self, _options: TransactionOptions) -> Result<Self, DbErr> {
        self.nested().await
    }

    async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        let transaction = self.nested().await.map_err(TransactionError::Connection)?;
        transaction.run_callback(callback).await
    }

    async fn transaction_with_config<F, T, E>(
        &self,
        callback: F,
        _isolation_level: Option<IsolationLevel>,
        _access_mode: Option<AccessMode>,
    ) -> Result<T, TransactionError<E>>
    where
        F: for<'c> FnOnce(&'c Self) -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>> + Send,
        T: Send,
        E: std::fmt::Display + std::fmt::Debug + Send,
    {
        self.transaction(callback).await
    }
}

/// Runs a read, or a write in a transaction of its own.
pub(super) async fn run_alone(core: &Arc<super::Core>, call: Call, statement: Statement) -> Result<Answer, DbErr> {
    if statement::passes_through(&statement) || statement::only_reads(&statement) {
        return perform(&core.db, call, statement).await;
    }
    let mut attempts = Attempts::default();
    loop {
        let (tx, session) = core.begin(TransactionOptions::default()).await?;
        session.is_for_one_write();
        let transaction = ReplicaTransaction::root(tx, session);
        let failed = match transaction.run(call, statement.clone()).await {
            Ok(answer) => match transaction.commit().await {
                Ok(()) => return Ok(answer),
                Err(error) => error,
            },
            Err(error) => {
                // The statement's own error tells more than one of the rollback would.
                let _ = transaction.rollback().await;
                error
            }
        };
        attempts.after(failed).await?;
    }
}
