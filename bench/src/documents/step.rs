use crate::documents::Row;

/// One write of one row.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Insert(Row),
    /// One column of the row with this key.
    Retitle(String, String),
    Delete(String),
    Increment(String),
}
