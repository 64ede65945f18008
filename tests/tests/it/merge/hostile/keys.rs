//! Keys: one row has one text, and nothing else is taken for it.

use grove_crdt::Replica;
use grove_crdt_tests::{START, cells, entities::document, replica_of, written};
use serde_json::json;

use crate::merge::support::{refusal, replica_over};

mod seat {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "seats")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub row: i32,
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        #[crdt(lww)]
        pub taken: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

mod number {
    use grove_crdt::Crdt;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, DeriveEntityModel, Crdt)]
    #[sea_orm(table_name = "numbers")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: i64,
        #[crdt(lww)]
        pub taken: bool,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}
}

async fn replica() -> Replica {
    let ddl = [
        "CREATE TABLE seats (\"row\" INTEGER, name TEXT, taken BOOLEAN NOT NULL, PRIMARY KEY (\"row\", name))",
        "CREATE TABLE numbers (id BIGINT PRIMARY KEY, taken BOOLEAN NOT NULL)",
    ];
    replica_over("a", &ddl, |builder| {
        builder.entity::<seat::Entity>().entity::<number::Entity>()
    })
    .await
    .0
}

async fn code(replica: &Replica, table: &str, pk: &str) -> Option<String> {
    let value = if table == "documents" {
        json!({ "lww": { "title": "t" } })
    } else {
        json!({ "lww": { "taken": true } })
    };
    let birth = json!({
        "table": table, "pk": pk, "field": "", "crdt_type": "record", "epoch": 1,
        "hlc": { "ts": START, "c": 0, "node": "b" }, "node_id": "b", "value": value,
    });
    let refused = refusal(replica, birth).await?;
    assert!(refused.message.len() < 400, "{}", refused.message);
    Some(refused.code.as_str().to_owned())
}

#[apply(on_each_database!)]
async fn a_number_has_one_text() {
    let replica = replica().await;
    refusal(&replica, json!(0)).await;
    let before = written(&replica).await;
    let bad = [
        "",
        " 1",
        "1 ",
        "01",
        "1.0",
        "+1",
        "1e3",
        "-0",
        "0x1",
        "x",
        "null",
        "[1]",
        "\"1\"",
        "1\0",
        "９",
        "9223372036854775808",
        "9007199254740993.0",
    ];
    for pk in bad {
        assert_eq!(
            code(&replica, "numbers", pk).await.as_deref(),
            Some("bad_key"),
            "{pk:?}"
        );
    }
    assert_eq!(
        code(&replica, "numbers", &"1".repeat(100_000)).await.as_deref(),
        Some("bad_key")
    );
    assert_eq!(written(&replica).await, before);
    // Beyond 2^53 as well, though JSON readers would not agree on a number.
    for pk in [
        "0",
        "-1",
        "9007199254740993",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        assert_eq!(code(&replica, "numbers", pk).await, None, "{pk}");
    }
    assert_eq!(cells(&replica, "numbers").await.len(), 5);
    assert_eq!(
        grove_crdt_tests::number(&replica, "SELECT count(*) FROM numbers").await,
        5
    );
}

#[apply(on_each_database!)]
async fn a_key_of_several_columns_is_a_canonical_array() {
    let replica = replica().await;
    refusal(&replica, json!(0)).await;
    let before = written(&replica).await;
    let bad = [
        "",
        "1",
        "[]",
        "[1]",
        "[1,\"a\",2]",
        "[1, \"a\"]",
        " [1,\"a\"]",
        "[1,\"a\"]\n",
        "[\"1\",\"a\"]",
        "[1,2]",
        "[1.0,\"a\"]",
        "[1,null]",
        "[null,\"a\"]",
        "[1,\"\\u0061\"]",
        "{\"row\":1,\"name\":\"a\"}",
        "[2147483648,\"a\"]",
        "[1,\"a\\u0000\"]",
    ];
    for pk in bad {
        assert_eq!(code(&replica, "seats", pk).await.as_deref(), Some("bad_key"), "{pk:?}");
    }
    assert_eq!(
        code(&replica, "seats", &"[".repeat(500)).await.as_deref(),
        Some("bad_key")
    );
    assert_eq!(written(&replica).await, before);
    for pk in ["[1,\"a\"]", "[-1,\"ä\\\"\"]", "[0,\"\"]"] {
        assert_eq!(code(&replica, "seats", pk).await, None, "{pk}");
    }
    assert_eq!(
        grove_crdt_tests::number(&replica, "SELECT count(*) FROM seats").await,
        3
    );
}

#[apply(on_each_database!)]
async fn a_text_is_its_own_key_while_every_database_can_hold_it() {
    let replica = replica_of::<document::Entity>("a").await;
    refusal(&replica, json!(0)).await;
    let before = written(&replica).await;
    for pk in ["a\0b", "\0", &"x".repeat(513), &"ü".repeat(257), &"x".repeat(1_000_000)] {
        assert_eq!(
            code(&replica, "documents", pk).await.as_deref(),
            Some("bad_key"),
            "{pk:.20?}"
        );
    }
    assert_eq!(written(&replica).await, before);
    // An empty text is a text.
    for pk in ["", " ", "doc-1 ", "DOC-1", "𝄞", "[1]", &"x".repeat(512)] {
        assert_eq!(code(&replica, "documents", pk).await, None, "{pk:?}");
    }
    assert_eq!(cells(&replica, "documents").await.len(), 7);
}
