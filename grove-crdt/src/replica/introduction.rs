//! How a hook, which is handed some connection, finds out whether that is a replica.
//!
//! The hook raises a flag of its thread and calls the connection's synchronous `is_mock_connection`. The wrappers of this
//! crate, and whatever delegates to them, see the flag and leave word of themselves. No await lies between, so nothing else
//! runs on the thread meanwhile.

use std::{cell::RefCell, sync::Arc};

use sea_orm::ConnectionTrait;

use crate::replica::{Core, session::Session};

/// What a connection says it is.
#[derive(Clone, Debug)]
pub(crate) enum Introduction {
    /// A replica, outside of any transaction.
    Replica(Arc<Core>),
    /// A transaction of a replica.
    Transaction(Arc<Session>),
    /// A replica's way around capture.
    Untracked,
}

enum Desk {
    Closed,
    Asking,
    Answered(Introduction),
}

thread_local! {
    static DESK: RefCell<Desk> = const { RefCell::new(Desk::Closed) };
}

/// Asks a connection who it is; `None` when it is none of this crate's.
pub(crate) fn ask<C: ConnectionTrait>(conn: &C) -> Option<Introduction> {
    DESK.set(Desk::Asking);
    let _is_mock = conn.is_mock_connection();
    match DESK.replace(Desk::Closed) {
        Desk::Answered(introduction) => Some(introduction),
        Desk::Closed | Desk::Asking => None,
    }
}

/// Answers, when asked.
pub(crate) fn answer(introduction: impl FnOnce() -> Introduction) {
    DESK.with_borrow_mut(|desk| {
        if matches!(desk, Desk::Asking) {
            *desk = Desk::Answered(introduction());
        }
    });
}
