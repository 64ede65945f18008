//! Before and after a merge: what is there, what came, what came of it.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use grove_crdt::{
    Change,
    sync::{HookError, MergeEvent, Peer, SyncHook},
};
use grove_crdt_tests::entities::document;
use sea_orm::{ActiveValue::Unchanged, EntityTrait};

use super::{Rules, letters, plain, replica, replica_at, retitle, sync, syncer, titles, write};

/// Writes down what it is told of merges.
#[derive(Default)]
struct Seen(Mutex<Vec<String>>);

fn shown(change: Option<&Change>) -> String {
    change.map_or("-".into(), |change| {
        let holds = [&change.value, &change.counter].into_iter().flatten().next();
        let holds = holds.map_or("gone".into(), ToString::to_string);
        format!("{}@{} {holds}", change.field, change.node_id)
    })
}

#[async_trait::async_trait]
impl SyncHook for Seen {
    async fn before_merge(
        &self,
        _: &Peer,
        remote: Change,
        local: Option<&Change>,
    ) -> Result<Option<Change>, HookError> {
        let line = format!("before {} / {}", shown(local), shown(Some(&remote)));
        self.0.lock().unwrap().push(line);
        Ok(Some(remote))
    }

    async fn after_merge(&self, _: &Peer, merge: MergeEvent<'_>) {
        let MergeEvent {
            local, remote, result, ..
        } = merge;
        let line = format!("after {} / {} / {}", shown(local), shown(Some(remote)), shown(result));
        self.0.lock().unwrap().push(line);
    }
}

impl Seen {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[apply(on_each_database!)]
async fn a_hook_sees_local_remote_and_result() {
    let seen = Arc::new(Seen::default());
    let (hub, clock) = replica_at("hub", seen.clone()).await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    sync(&edge, &hub).await;
    let birth = r#"@edge {"counter":{"view_count":2},"lww":{"title":"one"},"set":{"tags":["new"]}}"#;
    assert_eq!(
        seen.take(),
        [format!("before - / {birth}"), format!("after - / {birth} / {birth}")]
    );
    // A field that was not written since is what the birth gave it.
    retitle(&edge, "1", "two").await;
    document::ActiveModel::increment_view_count(&edge, "1", 3)
        .await
        .unwrap();
    sync(&edge, &hub).await;
    let mut told = seen.take();
    told.sort();
    assert_eq!(
        told,
        [
            r#"after title@edge "one" / title@edge "two" / title@edge "two""#,
            r#"after view_count@edge {"dec":0,"inc":2} / view_count@edge {"dec":0,"inc":5} / view_count@edge {"dec":0,"inc":5}"#,
            r#"before title@edge "one" / title@edge "two""#,
            r#"before view_count@edge {"dec":0,"inc":2} / view_count@edge {"dec":0,"inc":5}"#,
        ]
    );
    // What loses, and what comes to a deleted record.
    clock.advance(Duration::from_secs(1));
    retitle(&hub, "1", "hub's").await;
    retitle(&edge, "1", "late").await;
    syncer(&edge, &hub).push_now().await.unwrap();
    assert_eq!(
        seen.take()[1],
        r#"after title@hub "hub's" / title@edge "late" / title@hub "hub's""#
    );
    document::Entity::delete_by_id("1").exec(&hub).await.unwrap();
    retitle(&edge, "1", "in vain").await;
    syncer(&edge, &hub).push_now().await.unwrap();
    assert_eq!(seen.take()[1], r#"after - / title@edge "in vain" / -"#);
}

#[apply(on_each_database!)]
async fn what_is_there_decides() {
    // Prices only rise: told by what is there.
    let hub = replica(
        "hub",
        Rules::merge(|_, remote, local| {
            let title = |change: &Change| change.lww("title").and_then(|title| title.as_str()).map(str::to_owned);
            match (local.and_then(title), title(&remote)) {
                (Some(was), Some(title)) if title == "skip" && was != title => Ok(None),
                (Some(was), Some(title)) if title < was => {
                    Err(HookError::new("falls", format!("{title} is less than {was}")))
                }
                _ => Ok(Some(remote)),
            }
        }),
    )
    .await;
    let edge = plain("edge").await;
    write(&edge, "1", "5").await;
    let syncer = syncer(&edge, &hub);
    syncer.sync().await.unwrap();
    for (title, pushed, skipped, rejected) in [("7", 1, 0, 0), ("6", 0, 0, 1), ("skip", 0, 1, 0), ("8", 1, 0, 0)] {
        let doc = document::ActiveModel {
            id: Unchanged("1".into()),
            title: sea_orm::ActiveValue::Set(title.into()),
            ..Default::default()
        };
        doc.update(&edge).await.unwrap();
        let report = syncer.sync().await.unwrap();
        assert_eq!(
            (report.pushed, report.skipped, report.rejected),
            (pushed, skipped, rejected),
            "{title}: {report}"
        );
    }
    assert_eq!(titles(&hub).await, ["1=8"]);
    assert_eq!(letters(&edge).await, ["out 1 title falls: 6 is less than 7"]);
}
