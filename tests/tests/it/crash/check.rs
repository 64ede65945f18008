//! What must hold of a database after a crash.

use std::collections::{BTreeMap, BTreeSet};

use grove_crdt::{Inspection, RecordState, prelude::*};
use grove_crdt_tests::{cells, entities::document};
use sea_orm::EntityTrait;
use serde_json::{Value as Json, json};

use super::{
    program::{TOTAL, VOID, comments, documents},
    tables::{comment, entry},
};

/// Each row is there just when its record is alive, with the values of the record's cells; but for parked rows, which
/// are not as they should be because they can't.
pub(super) async fn rows_and_cells_agree(replica: &Replica) {
    let parked = parked(replica).await;
    for id in documents().chain([TOTAL.to_owned()]) {
        let inspection = replica
            .inspect::<document::Entity>(id.as_str())
            .await
            .expect("a record");
        let row = document::Entity::find_by_id(id.as_str())
            .one(replica)
            .await
            .expect("a row");
        let row = row.map(|row| json!({"title": row.title, "view_count": row.view_count, "tags": row.tags}));
        agree(&inspection, row.as_ref(), &parked);
    }
    for id in comments() {
        let inspection = replica.inspect::<comment::Entity>(id.as_str()).await.expect("a record");
        let row = comment::Entity::find_by_id(id.as_str())
            .one(replica)
            .await
            .expect("a row");
        let row = row.map(|row| json!({"document_id": row.document_id, "body": row.body, "likes": row.likes}));
        agree(&inspection, row.as_ref(), &parked);
    }
}

fn agree(inspection: &Inspection, row: Option<&Json>, parked: &BTreeSet<(String, String)>) {
    if parked.contains(&(inspection.table.clone(), inspection.pk.clone())) {
        return;
    }
    let fields = inspection
        .fields
        .iter()
        .map(|field| (field.field.clone(), field.value.clone()));
    let record = (inspection.state == RecordState::Alive).then(|| Json::Object(fields.collect()));
    assert_eq!(row, record.as_ref(), "row and record:\n{inspection}");
}

async fn parked(replica: &Replica) -> BTreeSet<(String, String)> {
    let parked = replica.parked().await.expect("parked rows").into_iter();
    parked.map(|row| (row.table, row.pk)).collect()
}

/// The same as a whole: no row or record, of any key, differs from the other.
pub(super) async fn nothing_to_adopt(replica: &Replica) {
    let reports = [
        replica.adopt::<document::Entity>().deletions(true).await,
        replica.adopt::<comment::Entity>().deletions(true).await,
        replica.adopt::<entry::Entity>().deletions(true).await,
    ];
    for report in reports {
        let report = report.expect("an adoption");
        assert_eq!((report.adopted, report.changed, report.deleted), (0, 0, 0), "{report}");
    }
}

async fn journal(replica: &Replica) -> BTreeMap<String, entry::Model> {
    let entries = entry::Entity::find()
        .all(replica)
        .await
        .expect("the journal")
        .into_iter();
    entries.map(|entry| (entry.id.clone(), entry)).collect()
}

/// Every acknowledged entry is there, none that was rolled back is, and what this node added to the total is what its own
/// entries say.
pub(super) async fn nothing_lost(replica: &Replica, acknowledged: &[String]) {
    let journal = journal(replica).await;
    for id in acknowledged {
        assert!(journal.contains_key(id), "entry {id} was acknowledged");
    }
    for id in acknowledged.iter().take(10) {
        let record = replica.inspect::<entry::Entity>(id.as_str()).await.expect("a record");
        assert_eq!(record.state, RecordState::Alive, "{record}");
    }
    let void: Vec<_> = journal.keys().filter(|id| id.contains(VOID)).collect();
    assert!(void.is_empty(), "these were rolled back: {void:?}");
    let own = journal
        .values()
        .filter(|entry| entry.node == replica.node_id().as_str());
    let total = replica.inspect::<document::Entity>(TOTAL).await.expect("a record");
    let parts = total.fields.iter().flat_map(|field| &field.parts);
    let counted: u128 = parts
        .filter(|part| part.node == *replica.node_id())
        .map(|part| part.inc)
        .sum();
    assert_eq!(
        i64::try_from(counted),
        Ok(own.map(|entry| entry.amount).sum()),
        "{total}"
    );
}

/// With everything arrived, the total is what all entries say.
pub(super) async fn total_is_the_sum(replica: &Replica) {
    let sum: i64 = journal(replica).await.values().map(|entry| entry.amount).sum();
    let total = document::Entity::find_by_id(TOTAL)
        .one(replica)
        .await
        .expect("a row")
        .expect("the total");
    assert_eq!(total.view_count, sum, "at {}", replica.node_id());
}

/// The rows of a table as text, but for those that wait.
async fn settled_rows<E: EntityTrait>(
    replica: &Replica,
    waiting: &BTreeSet<(String, String)>,
    id: impl Fn(&E::Model) -> &str,
) -> Vec<String> {
    let table = E::default().table_name().to_owned();
    let mut rows = E::find().all(replica).await.expect("the rows");
    rows.retain(|row| !waiting.contains(&(table.clone(), id(row).to_owned())));
    rows.sort_by(|a, b| id(a).cmp(id(b)));
    rows.iter().map(|row| format!("{row:?}")).collect()
}

/// Both hold the same cells and the same rows, and the same rows wait. Those may stand as they were on one, and be gone on
/// the other: a comment that was moved to a document while that was deleted, say.
pub(super) async fn same(one: &Replica, other: &Replica) {
    // First, since a row that waits is missing from those that follow.
    let reasons = [one.parked().await, other.parked().await].map(|rows| rows.expect("parked rows"));
    let waiting = parked(one).await;
    assert_eq!(waiting, parked(other).await, "parked: {reasons:#?}");
    let documents = async |replica| settled_rows::<document::Entity>(replica, &waiting, |row| &row.id).await;
    assert_eq!(documents(one).await, documents(other).await);
    let comments = async |replica| settled_rows::<comment::Entity>(replica, &waiting, |row| &row.id).await;
    assert_eq!(comments(one).await, comments(other).await);
    assert_eq!(journal(one).await, journal(other).await);
    for table in ["documents", "comments", "journal"] {
        assert_eq!(cells(one, table).await, cells(other, table).await, "cells of {table}");
    }
    for replica in [one, other] {
        assert_eq!(
            replica.dead_letters().await.expect("dead letters"),
            [],
            "at {}",
            replica.node_id()
        );
    }
}
