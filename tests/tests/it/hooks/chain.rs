//! Several hooks: one after another, each with what the one before has made of the change.

use grove_crdt::{Change, Replica, sync::HookError};
use grove_crdt_tests::{builder, create_table, entities::document, new_database};
use serde_json::json;

use super::{Rules, letters, plain, sync, titles, write};

/// Adds a letter to each title on its way in, and one on its way out.
fn letter(letter: &'static str) -> Rules {
    let add = |mut change: Change, letter: &str| {
        if let Some(title) = change.lww_mut("title") {
            *title = json!(format!("{}{letter}", title.as_str().unwrap()));
        }
        Ok(Some(change))
    };
    Rules {
        inbound: Some(Box::new(move |_, change| add(change, letter))),
        outbound: Some(Box::new(move |_, change| add(change, &letter.to_uppercase()))),
        ..Rules::default()
    }
}

/// Skips titles that end as told, and refuses others.
fn gate(skipped: &'static str, refused: &'static str) -> Rules {
    let rule = move |change: Change| {
        let title = change.lww("title").and_then(|title| title.as_str()).unwrap_or("");
        match title {
            title if title.ends_with(skipped) => Ok(None),
            title if title.ends_with(refused) => Err(HookError::new("at_the_gate", title)),
            _ => Ok(Some(change)),
        }
    };
    Rules {
        inbound: Some(Box::new(move |_, change| rule(change))),
        outbound: Some(Box::new(move |_, change| rule(change))),
        ..Rules::default()
    }
}

async fn replica_with(hooks: [Rules; 3]) -> Replica {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let builder = builder("hub").0.entity::<document::Entity>();
    let builder = hooks.into_iter().fold(builder, grove_crdt::ReplicaBuilder::hook);
    builder.open(db).await.unwrap()
}

#[apply(on_each_database!)]
async fn hooks_run_in_order_and_end_where_one_skips_or_refuses() {
    let hub = replica_with([letter("a"), gate("xa", "ya"), letter("b")]).await;
    let edge = plain("edge").await;
    for (id, title) in [("1", "z"), ("2", "x"), ("3", "y")] {
        write(&edge, id, title).await;
    }
    let report = sync(&edge, &hub).await;
    assert_eq!((report.pushed, report.skipped, report.rejected), (1, 1, 1), "{report}");
    assert_eq!(titles(&hub).await, ["1=zab"]);
    assert_eq!(letters(&edge).await, ["out 3  at_the_gate: ya"]);
    // On the way out in the same order.
    let other = plain("other").await;
    sync(&other, &hub).await;
    assert_eq!(titles(&other).await, ["1=zabAB"]);
}

#[apply(on_each_database!)]
async fn a_later_hook_sees_nothing_of_what_an_earlier_one_skipped() {
    let seen_none = Rules {
        inbound: Some(Box::new(|_, change| Err(HookError::new("seen", change.pk)))),
        ..Rules::default()
    };
    let hub = replica_with([Rules::inbound(|_, _| Ok(None)), seen_none, Rules::default()]).await;
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    let report = sync(&edge, &hub).await;
    assert_eq!(report.to_string(), "pulled=0 pushed=0 merged=0 conflicts=0 skipped=1");
}
