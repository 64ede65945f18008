//! What PostgreSQL knows of a shadow before it looks by itself.

use std::time::{Duration, Instant};

use grove_crdt_tests::{entities::document, number, replica_of};
use sea_orm::{ConnectionTrait as _, EntityTrait as _};

use crate::capture::draft;

/// Without statistics, looking a page of keys up takes as long as reading the whole shadow. Autovacuum makes them some time; here
/// it is off.
#[apply(on_postgres!)]
async fn a_shadow_that_grows_is_counted_at_once() {
    let replica = replica_of::<document::Entity>("node-1").await;
    let off = "ALTER TABLE _documents_crdt SET (autovacuum_enabled = off)";
    replica.connection().execute_unprepared(off).await.unwrap();
    let known = "SELECT count(*) FROM pg_stats WHERE tablename = '_documents_crdt' AND attname = 'pk'";
    let insert = async |numbers: std::ops::Range<usize>| {
        let rows = numbers.map(|number| draft(&number.to_string()));
        document::Entity::insert_many(rows)
            .exec_without_returning(&replica)
            .await
            .unwrap();
    };
    insert(0..999).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(number(replica.connection(), known).await, 0);
    insert(999..1_000).await;
    let begun = Instant::now();
    while number(replica.connection(), known).await == 0 {
        assert!(begun.elapsed() < Duration::from_secs(20), "nobody has counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
