use crate::{clock::NodeId, presence::Board};

/// One connection of a node, until it is dropped; see [`Board::connect`].
#[derive(Debug)]
#[must_use = "the connection ends when this is dropped"]
pub(crate) struct Connection {
    board: Board,
    node: NodeId,
}

impl Connection {
    pub(super) fn new(board: Board, node: NodeId) -> Self {
        Self { board, node }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.board.change(|state, _| state.disconnect(&self.node));
    }
}
