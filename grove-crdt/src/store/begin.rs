//! Beginning transactions.
//!
//! When the future is dropped in which sqlx waits for a `BEGIN`, because a request was cancelled or took too long, the database
//! begins the transaction all the same, and sqlx takes the connection for one without: what is written by it next is not
//! committed, and its locks and its snapshot stay. On MySQL the connection may be of no use at all. So what has begun is
//! brought to its end, by a task if need be, and then rolled back.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, FutureExt as _};
use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, TransactionOptions, TransactionTrait as _};
use tokio::runtime::Handle;

/// Begins a transaction. `held` is held for as long as that takes, and comes back with it.
pub(crate) async fn begin<T: Send + 'static>(
    db: &DatabaseConnection,
    options: TransactionOptions,
    held: T,
) -> Result<(DatabaseTransaction, T), DbErr> {
    let db = db.clone();
    let beginning = async move { Ok::<_, DbErr>((db.begin_with_options(options).await?, held)) };
    ToItsEnd(Some(beginning.boxed())).await
}

/// A future that ends though it is dropped.
struct ToItsEnd<T: Send + 'static>(Option<BoxFuture<'static, T>>);

impl<T: Send + 'static> Future for ToItsEnd<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Some(future) = &mut self.0 else {
            return Poll::Pending;
        };
        let result = future.poll_unpin(context);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }
}

impl<T: Send + 'static> Drop for ToItsEnd<T> {
    fn drop(&mut self) {
        // Without a runtime there is nobody left to wait, nor to use the connection.
        if let (Some(future), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            runtime.spawn(future.map(drop));
        }
    }
}
