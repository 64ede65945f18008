//! What replicas tell each other, without a network between them.

use anyhow::ensure;
use grove_crdt::{
    Change, Replica,
    sync::{Peer, PullRequest, respond},
};

use crate::documents::{PAGE, replicated};

/// What a replica tells, page by page, and where it ends.
#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) pages: Vec<Vec<Change>>,
    pub(crate) cursor: Option<String>,
}

impl Pulled {
    /// How many changes there are.
    pub(crate) fn len(&self) -> usize {
        self.pages.iter().map(Vec::len).sum()
    }
}

/// Everything that a replica tells of its documents after a cursor.
pub(crate) async fn pull(replica: &Replica, cursor: Option<String>) -> anyhow::Result<Pulled> {
    pull_of(replica, "documents", cursor).await
}

/// Everything that a replica tells of one table after a cursor.
pub(crate) async fn pull_of(replica: &Replica, table: &str, cursor: Option<String>) -> anyhow::Result<Pulled> {
    let mut pages = Vec::new();
    let cursor = each_page(replica, table, cursor, |page| pages.push(page)).await?;
    Ok(Pulled { pages, cursor })
}

/// Where everything ends that a replica has to tell of one table.
pub(crate) async fn end_of(replica: &Replica, table: &str) -> anyhow::Result<Option<String>> {
    each_page(replica, table, None, drop).await
}

async fn each_page(
    replica: &Replica,
    table: &str,
    cursor: Option<String>,
    mut take: impl FnMut(Vec<Change>),
) -> anyhow::Result<Option<String>> {
    let mut request = PullRequest {
        node_id: "reader".parse()?,
        replica_id: "reader".to_owned(),
        tables: vec![table.to_owned()],
        cursor,
        limit: Some(PAGE),
        max_bytes: None,
        filter: None,
    };
    loop {
        let answer = respond::pull(replica, &Peer::new("reader"), &request).await?;
        if !answer.changes.is_empty() {
            take(answer.changes);
        }
        request.cursor = Some(answer.cursor);
        if !answer.has_more {
            return Ok(request.cursor);
        }
    }
}

/// Merges what another replica has told, and returns how many changes lost to what was there.
pub(crate) async fn merge(replica: &Replica, pages: &[Vec<Change>]) -> anyhow::Result<usize> {
    let mut conflicts = 0;
    for page in pages {
        let report = replicated::Model::merge_remote(replica, page).await?;
        ensure!(
            report.merged == page.len() && report.parked == 0,
            "of {} changes, {} were merged and {} rows parked",
            page.len(),
            report.merged,
            report.parked
        );
        conflicts += report.conflicts;
    }
    Ok(conflicts)
}
