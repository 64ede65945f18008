use std::{future::Future, pin::Pin, sync::Arc};

use async_trait::async_trait;
use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, ExecResult, IsolationLevel, QueryResult,
    Statement, TransactionError, TransactionOptions, TransactionSession, TransactionTrait,
};

use crate::replica::{
    Core,
    introduction::{self, Introduction},
    session::Session,
};

/// A replica's connection with capture switched off. See [`Replica::untracked`](crate::Replica::untracked).
#[derive(Clone, Debug)]
pub struct Untracked {
    core: Arc<Core>,
}

/// A transaction of an [`Untracked`] connection.
#[derive(Debug)]
pub struct UntrackedTransaction {
    tx: DatabaseTransaction,
    core: Arc<Core>,
    /// Holds the turn among the writers; collects nothing.
    session: Arc<Session>,
    /// Whether it is one within another.
    is_savepoint: bool,
}

impl Untracked {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Takes its turn among the writers, as a transaction of the replica does.
    async fn begin_one(&self, options: TransactionOptions) -> Result<UntrackedTransaction, DbErr> {
        let (tx, session) = self.core.begin(options).await?;
        Ok(UntrackedTransaction {
            tx,
            core: self.core.clone(),
            session: Arc::new(session),
            is_savepoint: false,
        })
    }
}

impl UntrackedTransaction {
    async fn begin_one(&self, options: TransactionOptions) -> Result<UntrackedTransaction, DbErr> {
        let tx = self.tx.begin_with_options(options).await?;
        Ok(UntrackedTransaction {
            tx,
            core: self.core.clone(),
            session: self.session.clone(),
            is_savepoint: true,
        })
    }
}

/// Both types pass everything on but their introduction.
macro_rules! delegate {
    ($wrapper:ty, $field:ident . $($path:ident).*) => {
        #[async_trait]
        impl ConnectionTrait for $wrapper {
            fn get_database_backend(&self) -> DbBackend {
                self.core.db.get_database_backend()
            }

            async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
                let result = self.$($path).*.execute_raw(statement).await;
                // The schema is the likeliest thing to be changed this way.
                self.core.forget_catalog();
                result
            }

            async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
                let result = self.$($path).*.execute_unprepared(sql).await;
                self.core.forget_catalog();
                result
            }

            async fn query_one_raw(
                &self,
                statement: Statement,
            ) -> Result<Option<QueryResult>, DbErr> {
                self.$($path).*.query_one_raw(statement).await
            }

            async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
                self.$($path).*.query_all_raw(statement).await
            }

            fn is_mock_connection(&self) -> bool {
                introduction::answer(|| Introduction::Untracked);
                false
            }
        }

        #[async_trait]
        impl TransactionTrait for $wrapper {
            type Transaction = UntrackedTransaction;

            async fn begin(&self) -> Result<UntrackedTransaction, DbErr> {
                self.begin_with_options(TransactionOptions::default()).await
            }

            async fn begin_with_config(
                &self,
                isolation_level: Option<IsolationLevel>,
                access_mode: Option<AccessMode>,
            ) -> Result<UntrackedTransaction, DbErr> {
                self.begin_with_options(TransactionOptions {
                    isolation_level,
                    access_mode,
                    sqlite_transaction_mode: None,
                })
                .await
            }

            async fn begin_with_options(
                &self,
                options: TransactionOptions,
            ) -> Result<UntrackedTransaction, DbErr> {
                self.begin_one(options).await
            }

            async fn transaction<F, T, E>(&self, callback: F) -> Result<T, TransactionError<E>>
            where
                F: for<'c> FnOnce(
                        &'c UntrackedTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
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
                F: for<'c> FnOnce(
                        &'c UntrackedTransaction,
                    )
                        -> Pin<Box<dyn Future<Output = Result<T, E>> + Send + 'c>>
                    + Send,
                T: Send,
                E: std::fmt::Display + std::fmt::Debug + Send,
            {
                let transaction = self
                    .begin_with_config(isolation_level, access_mode)
                    .await
                    .map_err(TransactionError::Connection)?;
                match callback(&transaction).await {
                    Ok(value) => {
                        transaction.commit().await.map_err(TransactionError::Connection)?;
                        Ok(value)
                    }
                    Err(error) => {
                        transaction.rollback().await.map_err(TransactionError::Connection)?;
                        Err(TransactionError::Transaction(error))
                    }
                }
            }
        }
    };
}

delegate!(Untracked, core.core.db);
delegate!(UntrackedTransaction, tx.tx);

#[async_trait]
impl TransactionSession for UntrackedTransaction {
    async fn commit(self) -> Result<(), DbErr> {
        self.tx.commit().await?;
        if !self.is_savepoint {
            self.session.note_end();
        }
        Ok(())
    }

    async fn rollback(self) -> Result<(), DbErr> {
        self.tx.rollback().await?;
        if !self.is_savepoint {
            self.session.note_end();
        }
        Ok(())
    }
}
