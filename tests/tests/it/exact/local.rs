//! What has no form is refused where it is written, by the name of its field.

use grove_crdt_tests::replica_of;
use sea_orm::{ActiveValue::Set, IntoActiveModel as _, prelude::*};

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
