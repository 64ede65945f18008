//! Unique values that go from one row to another.

use super::{Kinds, Scenario, T1, T3, T4, table, texts};
use crate::order::{
    schema::{Schema, Table},
    tables::{CODE, POS, Val},
};

fn slugs(kinds: Kinds) -> (Schema, Vec<String>) {
    (
        Schema(vec![table(T1, kinds, &[&[CODE]], &[], vec![])]),
        texts(&["INSERT INTO t1 (id, code) VALUES ('a', 'x'), ('b', 'y')"]),
    )
}

pub(super) fn handed_on(kinds: Kinds) -> Scenario {
    let (schema, before) = slugs(kinds);
    Scenario {
        name: "slug handed on to a new row",
        schema,
        before,
        changes: texts(&[
            "UPDATE t1 SET code = 'old' WHERE id = 'b'",
            "INSERT INTO t1 (id, code) VALUES ('0', 'y')",
        ]),
        needs_one_transaction: false,
    }
}

pub(super) fn handed_over(kinds: Kinds) -> Scenario {
    let (schema, before) = slugs(kinds);
    Scenario {
        name: "slug handed on to a new row, the old one deleted",
        schema,
        before,
        changes: texts(&[
            "UPDATE t1 SET code = 'old' WHERE id = 'b'",
            "INSERT INTO t1 (id, code) VALUES ('0', 'y')",
            "DELETE FROM t1 WHERE id = 'b'",
            "DELETE FROM t1 WHERE id = 'a'",
            "INSERT INTO t1 (id, code) VALUES ('c', 'x')",
        ]),
        needs_one_transaction: false,
    }
}

pub(super) fn swapped(kinds: Kinds) -> Scenario {
    let (schema, before) = slugs(kinds);
    Scenario {
        name: "slug swapped",
        schema,
        before,
        changes: texts(&[
            "UPDATE t1 SET code = '-' WHERE id = 'a'",
            "UPDATE t1 SET code = 'x' WHERE id = 'b'",
            "UPDATE t1 SET code = 'y' WHERE id = 'a'",
        ]),
        needs_one_transaction: false,
    }
}

pub(super) fn reordered(kinds: Kinds) -> Scenario {
    let rows = (1..=150).map(|n| format!("('r{n:03}', {n})"));
    let rows: Vec<_> = rows.collect();
    Scenario {
        name: "150 rows re-ordered",
        schema: Schema(vec![table(T1, kinds, &[&[POS]], &[POS], vec![])]),
        before: vec![format!("INSERT INTO t1 (id, pos) VALUES {}", rows.join(", "))],
        changes: texts(&["UPDATE t1 SET pos = pos + 1000", "UPDATE t1 SET pos = 1151 - pos"]),
        needs_one_transaction: false,
    }
}

/// The values of a column go round, by way of one for the time being.
fn ring(name: &'static str, table: Table, column: &str, values: [&str; 4], aside: &str) -> Scenario {
    let number = table.number;
    let t = format!("t{}", number + 1);
    let insert = |(id, value): (&str, &str)| match (number, column) {
        (T3, "pos") => format!("INSERT INTO t3 (id, code, pos) VALUES ('{id}', '{id}', {value})"),
        (T3, _) => format!("INSERT INTO t3 (id, code, pos) VALUES ('{id}', {value}, 0)"),
        _ => format!("INSERT INTO {t} (id, {column}) VALUES ('{id}', {value})"),
    };
    let ids = ["a", "b", "c", "d"];
    let set = |id: &str, value: &str| format!("UPDATE {t} SET {column} = {value} WHERE id = '{id}'");
    Scenario {
        name,
        schema: Schema(vec![table]),
        before: ids.into_iter().zip(values).map(insert).collect(),
        changes: vec![
            set("a", aside),
            set("b", values[0]),
            set("c", values[1]),
            set("d", values[2]),
            set("a", values[3]),
        ],
        needs_one_transaction: false,
    }
}

pub(super) fn rings(kinds: Kinds) -> [Scenario; 4] {
    let mut checked = table(T1, kinds, &[&[POS]], &[POS], vec![]);
    checked.checked = true;
    let uuids = [1, 2, 3, 4].map(|n| Val::uuid(n).literal());
    [
        ring(
            "ring of four on SMALLINT NOT NULL",
            table(T3, kinds, &[&[POS]], &[], vec![]),
            "pos",
            ["1", "2", "3", "4"],
            "9",
        ),
        ring(
            "ring of four on UUID NOT NULL",
            table(T4, kinds, &[&[CODE]], &[CODE], vec![]),
            "code",
            uuids.each_ref().map(String::as_str),
            &Val::uuid(9).literal(),
        ),
        ring(
            "ring of four on VARCHAR(4) NOT NULL",
            table(T3, kinds, &[&[CODE]], &[], vec![]),
            "code",
            ["'one'", "'two'", "'tree'", "'four'"],
            "'-'",
        ),
        ring(
            "ring of four on INT with a CHECK",
            checked,
            "pos",
            ["1", "2", "3", "4"],
            "9",
        ),
    ]
}

pub(super) fn reborn(kinds: Kinds) -> Scenario {
    let (schema, before) = slugs(kinds);
    Scenario {
        name: "row deleted, its key inserted again with another's unique value",
        schema,
        before,
        changes: texts(&[
            "DELETE FROM t1 WHERE id = 'a'",
            "UPDATE t1 SET code = 'z' WHERE id = 'b'",
            "INSERT INTO t1 (id, code) VALUES ('a', 'y')",
        ]),
        needs_one_transaction: false,
    }
}
