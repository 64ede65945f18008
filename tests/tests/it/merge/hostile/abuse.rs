//! SQL in every string, too much, and too deep.

use grove_crdt_tests::{START, cells, entities::document, replica_of, rows};
use sea_orm::EntityTrait;
use serde_json::json;

use super::{assert_refused, birth, counter, element, hlc, lww, victim, with};
use crate::merge::support::{carry, push_as, refusal};

#[apply(on_each_database!)]
async fn strings_full_of_sql_are_nothing_but_strings() {
    const SQL: &str = "'); DROP TABLE documents; -- \" ; DELETE FROM _documents_crdt; /* $1 ? :x %s";
    let replica = victim().await;
    let born = with(
        &birth(),
        json!({
            "pk": SQL,
            "value": {
                "lww": { "title": SQL, "' OR 1=1 --": SQL }, "set": { "tags": [SQL] }, "counter": { "\"; --": 1 },
            },
        }),
    );
    let cell = with(&lww(), json!({ "pk": SQL, "field": "x' --", "value": SQL }));
    let tag = with(
        &element(),
        json!({ "pk": SQL, "field": "\" --", "value": SQL, "cell": json!(SQL).to_string() }),
    );
    for change in [born, cell, tag] {
        assert_eq!(refusal(&replica, change).await, None);
    }
    let doc = document::Entity::find_by_id(SQL).one(&replica).await.unwrap().unwrap();
    assert_eq!((doc.title.as_str(), doc.tags.contains(&SQL.to_owned())), (SQL, true));
    // And it can be passed on.
    let other = replica_of::<document::Entity>("other").await;
    carry(&replica, &other, &["documents"]).await;
    assert_eq!(cells(&other, "documents").await, cells(&replica, "documents").await);
}

#[apply(on_each_database!)]
async fn ten_thousand_bad_changes_spoil_nothing_of_the_good_ones_among_them() {
    let replica = victim().await;
    let mut changes: Vec<_> = (0..10_000).map(|n| with(&lww(), json!({ "value": n }))).collect();
    changes[5_000] = lww();
    changes.push(birth());
    let response = push_as("attacker", "the-attacker's-database", &replica, &changes).await;
    assert_eq!((response.merged, response.rejected.len()), (2, 9_999));
    assert_eq!((response.rejected[0].index, response.rejected[9_998].index), (0, 9_999));
    assert!(response.rejected.iter().all(|rejection| rejection.index != 5_000));
    let titles = rows::<document::Entity, _>(&replica).await;
    assert!(titles[0].contains("taken") && titles.len() == 2, "{titles:?}");
    assert_eq!(
        serde_json::to_value(response.latest_hlc).unwrap(),
        hlc(START, "attacker")
    );
}

#[apply(on_each_database!)]
async fn json_nested_too_deep_is_refused_wherever_it_stands() {
    let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let flat = nested(20);
    // What is deeper than readers of JSON go is no change to anyone.
    for (deep, code) in [(nested(110), "bad_value"), (nested(200), "malformed")] {
        let cases = vec![
            (
                "a value of an unknown field",
                with(&lww(), json!({ "field": "unknown", "value": deep })),
                code,
            ),
            (
                "one at birth",
                with(&birth(), json!({ "value": { "lww": { "unknown": deep } } })),
                code,
            ),
            (
                "an element",
                with(
                    &element(),
                    json!({ "field": "unknown", "value": deep, "cell": "sha256:00" }),
                ),
                code,
            ),
            ("tags", with(&element(), json!({ "set": deep })), code),
            ("totals", with(&counter(), json!({ "counter": deep })), code),
        ];
        assert_refused(cases).await;
    }
    let replica = victim().await;
    assert_eq!(
        refusal(&replica, with(&lww(), json!({ "field": "unknown", "value": flat }))).await,
        None
    );
}
