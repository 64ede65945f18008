//! A validation rule that returns a message to the client.

use grove_crdt::{
    Change,
    sync::{HookError, Peer, RejectionCode, SyncHook},
};
use grove_crdt_tests::entities::document;
use sea_orm::EntityTrait;
use serde_json::json;

use super::{letters, plain, replica, sync, titles, write};
use crate::merge::support::push_as;

/// No title is empty, or longer than 20 characters.
struct Titles;

#[async_trait::async_trait]
impl SyncHook for Titles {
    async fn before_inbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        let Some(title) = change.lww("title").and_then(|title| title.as_str()) else {
            return Ok(Some(change));
        };
        match title.chars().count() {
            0 => Err(HookError::new("title_missing", "give the document a title")),
            1..=20 => Ok(Some(change)),
            long => Err(HookError::new(
                "title_too_long",
                format!("a title has 20 characters at most; yours has {long}"),
            )),
        }
    }
}

#[apply(on_each_database!)]
async fn a_client_is_told_what_is_wrong_and_can_mend_it() {
    let (edge, cloud) = (plain("edge").await, replica("cloud", Titles).await);
    write(&edge, "1", "fine").await;
    write(&edge, "2", "").await;
    write(&edge, "3", "far, far too long a title").await;
    let report = sync(&edge, &cloud).await;
    assert_eq!((report.pushed, report.rejected), (1, 2), "{report}");
    assert_eq!(titles(&cloud).await, ["1=fine"]);
    assert_eq!(
        letters(&edge).await,
        [
            "out 2  title_missing: give the document a title",
            "out 3  title_too_long: a title has 20 characters at most; yours has 25",
        ]
    );
    // The birth was refused and stays so. Deleted and written again, the document is taken.
    for id in ["2", "3"] {
        document::Entity::delete_by_id(id).exec(&edge).await.unwrap();
        write(&edge, id, "mended").await;
    }
    sync(&edge, &cloud).await;
    assert_eq!(titles(&cloud).await, ["1=fine", "2=mended", "3=mended"]);
}

#[apply(on_each_database!)]
async fn the_code_and_the_message_are_in_the_answer() {
    let cloud = replica("cloud", Titles).await;
    let birth = |title: &str| {
        json!({ "table": "documents", "pk": "1", "field": "", "crdt_type": "record", "epoch": 1,
            "hlc": { "ts": grove_crdt_tests::START, "c": 0, "node": "edge" }, "node_id": "edge",
            "value": { "lww": { "title": title } } })
    };
    let answer = push_as("edge", "edge-database", &cloud, &[birth(""), birth("ok")]).await;
    assert_eq!((answer.merged, answer.rejected.len()), (1, 1));
    assert_eq!(answer.rejected[0].code, RejectionCode::Custom("title_missing".into()));
    let text = serde_json::to_string(&answer.rejected).unwrap();
    assert_eq!(
        text,
        r#"[{"index":0,"code":"title_missing","message":"give the document a title"}]"#
    );
}
