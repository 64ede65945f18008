//! What is measured: one file for each suite.

mod algebra;
mod concurrency;
mod extract;
mod live;
mod memory;
mod merge_again;
mod merge_new;
mod merge_update;
mod node;
mod reads;
mod scale;
mod size;
mod sync;
mod write_1;
mod write_1000;
mod write_bulk;
mod writes;

pub(crate) use memory::Role;

use crate::harness::Bench;

/// A suite, by the name under which it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suite {
    Reads,
    Write1,
    Write1000,
    WriteBulk,
    MergeNew,
    MergeUpdate,
    MergeAgain,
    Extract,
    Sync,
    Live,
    Size,
    Memory,
    Scale,
    Concurrency,
    Algebra,
}

impl Suite {
    /// All, in the order in which they run.
    pub(crate) const ALL: [Self; 15] = [
        Self::Reads,
        Self::Write1,
        Self::Write1000,
        Self::WriteBulk,
        Self::MergeNew,
        Self::MergeUpdate,
        Self::MergeAgain,
        Self::Extract,
        Self::Sync,
        Self::Live,
        Self::Size,
        Self::Memory,
        Self::Scale,
        Self::Concurrency,
        Self::Algebra,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reads => "reads",
            Self::Write1 => "write-1",
            Self::Write1000 => "write-1000",
            Self::WriteBulk => "write-bulk",
            Self::MergeNew => "merge-new",
            Self::MergeUpdate => "merge-update",
            Self::MergeAgain => "merge-again",
            Self::Extract => "extract",
            Self::Sync => "sync",
            Self::Live => "live",
            Self::Size => "size",
            Self::Memory => "memory",
            Self::Scale => "scale",
            Self::Concurrency => "concurrency",
            Self::Algebra => "algebra",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|suite| suite.name() == name)
    }

    /// What it is about, in one line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Reads => "reads through a replica and through its connection",
            Self::Write1 => "one row per transaction",
            Self::Write1000 => "a thousand rows, one by one, per transaction",
            Self::WriteBulk => "many rows by one statement",
            Self::MergeNew => "changes of rows that are not there yet",
            Self::MergeUpdate => "changes of rows that are there",
            Self::MergeAgain => "changes that are known already",
            Self::Extract => "reading what is to be told",
            Self::Sync => "two SQLite files over HTTP",
            Self::Live => "from the commit on one node to the row on another",
            Self::Size => "the size of a database file",
            Self::Memory => "what a sync takes beside what the idle process has",
            Self::Scale => "one change beside much that is there already",
            Self::Concurrency => "writers and readers at once on PostgreSQL",
            Self::Algebra => "the clock and the merges alone, held against what was once measured of the Go original",
        }
    }

    pub(crate) async fn run(self, bench: &mut Bench) -> anyhow::Result<()> {
        bench.begin(self.name(), self.about());
        match self {
            Self::Reads => Box::pin(reads::run(bench)).await,
            Self::Write1 => Box::pin(write_1::run(bench)).await,
            Self::Write1000 => Box::pin(write_1000::run(bench)).await,
            Self::WriteBulk => Box::pin(write_bulk::run(bench)).await,
            Self::MergeNew => Box::pin(merge_new::run(bench)).await,
            Self::MergeUpdate => Box::pin(merge_update::run(bench)).await,
            Self::MergeAgain => Box::pin(merge_again::run(bench)).await,
            Self::Extract => Box::pin(extract::run(bench)).await,
            Self::Sync => Box::pin(sync::run(bench)).await,
            Self::Live => Box::pin(live::run(bench)).await,
            Self::Size => Box::pin(size::run(bench)).await,
            Self::Memory => Box::pin(memory::run(bench)).await,
            Self::Scale => Box::pin(scale::run(bench)).await,
            Self::Concurrency => Box::pin(concurrency::run(bench)).await,
            Self::Algebra => algebra::run(bench),
        }
    }
}
