//! What has no form is refused where it is written, by the name of its field.

use grove_crdt::{Change, sync::RejectionCode};
use grove_crdt_tests::{START, cells, replica_of};
use sea_orm::{ActiveValue::Set, IntoActiveModel as _, prelude::*};
use serde_json::json;

mod note {
    use grove_crdt::{Crdt, OrSet};
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "notes")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i32,
        #[crdt(lww)]
        pub text: String,
        #[crdt(lww)]
        pub json: Json,
        #[crdt(set)]
        pub tags: OrSet<String>,
        #[crdt(lww)]
        pub double: f64,
        #[crdt(lww)]
        pub date: Date,
        #[crdt(lww)]
        pub single: f32,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

fn ordinary() -> note::ActiveModel {
    let model = note::Model {
        id: 1,
        text: String::new(),
        json: Json::Null,
        tags: ["x".to_owned()].into_iter().collect(),
        double: 0.0,
        date: Date::from_ymd_opt(2024, 2, 29).unwrap(),
        single: 0.0,
    };
    model.into_active_model().reset_all()
}

#[tokio::test]
async fn what_has_no_form_is_refused_by_the_name_of_its_field() {
    let replica = replica_of::<note::Entity>("a").await;
    let nul = "a\0b".to_owned();
    let cases = [
        (
            note::ActiveModel {
                text: Set(nul.clone()),
                ..ordinary()
            },
            "text",
            "U+0000",
        ),
        (
            note::ActiveModel {
                json: Set(serde_json::json!([{ "a": nul }])),
                ..ordinary()
            },
            "json",
            "U+0000",
        ),
        (
            note::ActiveModel {
                json: Set(serde_json::json!({ "a\0": 1 })),
                ..ordinary()
            },
            "json",
            "U+0000",
        ),
        (
            note::ActiveModel {
                tags: Set([nul].into_iter().collect()),
                ..ordinary()
            },
            "tags",
            "U+0000",
        ),
        (
            note::ActiveModel {
                double: Set(f64::INFINITY),
                ..ordinary()
            },
            "double",
            "finite",
        ),
        (
            note::ActiveModel {
                single: Set(f32::NEG_INFINITY),
                ..ordinary()
            },
            "single",
            "finite",
        ),
        (
            note::ActiveModel {
                date: Set(Date::from_ymd_opt(10_000, 1, 1).unwrap()),
                ..ordinary()
            },
            "date",
            "0001 to 9999",
        ),
        (
            note::ActiveModel {
                date: Set(Date::from_ymd_opt(0, 1, 1).unwrap()),
                ..ordinary()
            },
            "date",
            "0001 to 9999",
        ),
    ];
    for (model, field, why) in cases {
        let error = model.insert(&replica).await.unwrap_err().to_string();
        assert!(error.contains(&format!("table `notes`, field `{field}`")), "{error}");
        assert!(error.contains(why), "{error}");
        assert_eq!(note::Entity::find().all(&replica).await.unwrap(), []);
    }
    ordinary().insert(&replica).await.unwrap();
}

#[tokio::test]
async fn what_has_no_form_is_refused_when_it_comes_from_elsewhere() {
    let replica = replica_of::<note::Entity>("a").await;
    ordinary().insert(&replica).await.unwrap();
    let before = cells(&replica, "notes").await;
    let cases = [
        ("text", json!("a\0"), "U+0000"),
        ("json", json!({ "a": ["\0"] }), "U+0000"),
        ("double", json!("NaN"), "is not a number"),
        ("date", json!("10000-01-01"), "is not a date"),
        ("date", json!("2024-1-1"), "is not a date"),
    ];
    for (field, value, why) in cases {
        let change = json!({
            "table": "notes", "pk": "1", "field": field, "crdt_type": "lww", "epoch": 1,
            "hlc": { "ts": START, "c": 9, "node": "elsewhere" }, "node_id": "elsewhere", "value": value,
        });
        let change: Change = serde_json::from_value(change).unwrap();
        let report = note::Model::merge_remote(&replica, &[change]).await.unwrap();
        let [rejection] = report.rejected.as_slice() else {
            panic!("{value}: {report:?}");
        };
        assert_eq!(rejection.code, RejectionCode::BadValue);
        assert!(
            rejection.message.contains(&format!("field `{field}`")),
            "{}",
            rejection.message
        );
        assert!(rejection.message.contains(why), "{}", rejection.message);
    }
    assert_eq!(cells(&replica, "notes").await, before);
}
