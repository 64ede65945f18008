//! Ending what is not renewed in time, while nobody asks.
//!
//! Whoever looks at a board ends what has expired first. For those that only listen there is a task, which is there only
//! while something can expire, and goes with the board.

use std::sync::Weak;

use tokio::{runtime::Handle, time::Instant};

use crate::presence::{
    board::{Board, Inner},
    state::State,
};

/// Sees that there is a task when there is something to wait for.
pub(super) fn keep_going(board: &Board, state: &mut State) {
    // The task of a runtime that has ended is finished, too.
    let waiting = state.expiring.as_ref().is_some_and(|task| !task.is_finished());
    if waiting || state.next_deadline().is_none() {
        return;
    }
    if let Ok(runtime) = Handle::try_current() {
        state.expiring = Some(runtime.spawn(expire(board.downgrade())));
    }
}

/// Ends what expires, until nothing can. All that expires does so after the same time, so what comes while this sleeps is
/// not due before it wakes.
async fn expire(board: Weak<Inner>) {
    while let Some(next) = next_deadline(&board) {
        tokio::time::sleep_until(next).await;
    }
}

fn next_deadline(board: &Weak<Inner>) -> Option<Instant> {
    let board = board.upgrade()?;
    let mut state = board.up_to_date(Instant::now());
    let next = state.next_deadline();
    if next.is_none() {
        // Said with the state locked: whoever comes next starts another.
        state.expiring = None;
    }
    next
}
