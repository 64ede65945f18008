//! What applications do with unique values and references, in statements each of which the database takes.

mod unique;

use super::{
    schema::{Action, Reference, Schema, Table, When},
    tables::{CODE, ID, OWN, POS, UP},
};
use unique::{handed_on, handed_over, reborn, reordered, rings, swapped};

/// What a combination has for keys and constraints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kinds {
    pub on_delete: Action,
    pub key: When,
    pub unique: When,
}

/// Rows to begin with, and what is done to them.
pub struct Scenario {
    pub name: &'static str,
    pub schema: Schema,
    pub before: Vec<String>,
    pub changes: Vec<String>,
    /// Whether the database takes the changes in one transaction only.
    pub needs_one_transaction: bool,
}

impl Scenario {
    pub fn has_references(&self) -> bool {
        self.schema.references().next().is_some()
    }

    pub fn has_unique(&self) -> bool {
        self.schema.0.iter().any(|table| !table.unique.is_empty())
    }
}

const T1: usize = 0;
const T3: usize = 2;
const T4: usize = 3;

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn reference(column: usize, parent: usize, kinds: Kinds) -> Reference {
    Reference {
        column,
        parent,
        to: ID,
        on_delete: kinds.on_delete,
        on_update: Action::NoAction,
        when: kinds.key,
    }
}

fn table(number: usize, kinds: Kinds, unique: &[&[usize]], not_null: &[usize], references: Vec<Reference>) -> Table {
    let mut table = Table::plain(number);
    table.unique = unique.iter().map(|columns| (columns.to_vec(), kinds.unique)).collect();
    table
        .not_null
        .extend(not_null.iter().filter(|column| number != T3 || **column > POS));
    table.references = references;
    table
}

pub fn scenarios(kinds: Kinds) -> Vec<Scenario> {
    let mut all = vec![
        shifted(kinds),
        handed_on(kinds),
        handed_over(kinds),
        swapped(kinds),
        reordered(kinds),
    ];
    all.extend(rings(kinds));
    all.extend([
        moved(kinds),
        replaced(kinds),
        replaced_at_once(kinds),
        teams(kinds),
        dissolved(kinds),
        circle(kinds),
        circle_of_selves(kinds),
        reborn(kinds),
    ]);
    if kinds.key == When::AtTheEnd && kinds.on_delete != Action::SetNull {
        all.push(both_required(kinds));
    }
    all
}

fn shifted(kinds: Kinds) -> Scenario {
    let items = table(T3, kinds, &[&[UP, POS]], &[], vec![reference(UP, T1, kinds)]);
    Scenario {
        name: "positions shifted in a list",
        schema: Schema(vec![table(T1, kinds, &[], &[], vec![]), items]),
        before: texts(&[
            "INSERT INTO t1 (id) VALUES ('p'), ('q')",
            "INSERT INTO t3 (id, code, pos, up_id) VALUES ('a', 'a', 1, 'p'), ('b', 'b', 2, 'p'), ('c', 'c', 3, 'p'), ('d', 'd', 1, 'q')",
        ]),
        changes: texts(&[
            "UPDATE t3 SET pos = pos + 30000 WHERE up_id = 'p'",
            "UPDATE t3 SET pos = pos - 29999 WHERE up_id = 'p'",
            "INSERT INTO t3 (id, code, pos, up_id) VALUES ('0', 'z', 1, 'p')",
        ]),
        needs_one_transaction: false,
    }
}

fn family(kinds: Kinds) -> (Schema, Vec<String>) {
    let children = table(T4, kinds, &[], &[], vec![reference(UP, T1, kinds)]);
    (
        Schema(vec![table(T1, kinds, &[&[CODE]], &[], vec![]), children]),
        texts(&[
            "INSERT INTO t1 (id, code) VALUES ('p', 'x')",
            "INSERT INTO t4 (id, up_id) VALUES ('a', 'p'), ('b', 'p'), ('c', 'p')",
        ]),
    )
}

fn moved(kinds: Kinds) -> Scenario {
    let (schema, before) = family(kinds);
    Scenario {
        name: "children moved to a new parent, the old one deleted",
        schema,
        before,
        changes: texts(&[
            "INSERT INTO t1 (id, code) VALUES ('q', 'y')",
            "UPDATE t4 SET up_id = 'q' WHERE up_id = 'p'",
            "DELETE FROM t1 WHERE id = 'p'",
        ]),
        needs_one_transaction: false,
    }
}

fn replaced(kinds: Kinds) -> Scenario {
    let (schema, before) = family(kinds);
    Scenario {
        name: "parent replaced by another that takes its unique value last",
        schema,
        before,
        changes: texts(&[
            "INSERT INTO t1 (id, code) VALUES ('q', '-')",
            "UPDATE t4 SET up_id = 'q' WHERE up_id = 'p'",
            "DELETE FROM t1 WHERE id = 'p'",
            "UPDATE t1 SET code = 'x' WHERE id = 'q'",
        ]),
        needs_one_transaction: false,
    }
}

fn replaced_at_once(kinds: Kinds) -> Scenario {
    let (schema, before) = family(kinds);
    Scenario {
        name: "parent replaced by another that takes its unique value first",
        schema,
        before,
        changes: texts(&[
            "UPDATE t1 SET code = '-' WHERE id = 'p'",
            "INSERT INTO t1 (id, code) VALUES ('o', 'x')",
            "UPDATE t4 SET up_id = 'o' WHERE up_id = 'p'",
            "DELETE FROM t1 WHERE id = 'p'",
        ]),
        needs_one_transaction: false,
    }
}

fn squad(kinds: Kinds) -> Schema {
    let mut team = reference(UP, T1, kinds);
    if kinds.on_delete == Action::SetNull {
        // It can't be null.
        team.on_delete = Action::NoAction;
    }
    Schema(vec![
        table(T1, kinds, &[], &[], vec![reference(UP, T4, kinds)]),
        table(T4, kinds, &[], &[UP], vec![team]),
    ])
}

fn teams(kinds: Kinds) -> Scenario {
    Scenario {
        name: "teams with captains, players with teams",
        schema: squad(kinds),
        before: vec![],
        changes: texts(&[
            "INSERT INTO t1 (id) VALUES ('team')",
            "INSERT INTO t4 (id, up_id) VALUES ('ann', 'team')",
            "UPDATE t1 SET up_id = 'ann' WHERE id = 'team'",
            "INSERT INTO t4 (id, up_id) VALUES ('bob', 'team')",
            "UPDATE t1 SET up_id = 'bob' WHERE id = 'team'",
            "DELETE FROM t4 WHERE id = 'ann'",
        ]),
        needs_one_transaction: false,
    }
}

fn dissolved(kinds: Kinds) -> Scenario {
    Scenario {
        name: "a team dissolved, its captain in another",
        schema: squad(kinds),
        before: texts(&[
            "INSERT INTO t1 (id) VALUES ('team')",
            "INSERT INTO t4 (id, up_id) VALUES ('ann', 'team'), ('bob', 'team')",
            "UPDATE t1 SET up_id = 'ann' WHERE id = 'team'",
        ]),
        changes: texts(&[
            "UPDATE t1 SET up_id = NULL WHERE id = 'team'",
            "INSERT INTO t1 (id, up_id) VALUES ('new', 'ann')",
            "UPDATE t4 SET up_id = 'new' WHERE id = 'ann'",
            "DELETE FROM t4 WHERE id = 'bob'",
            "DELETE FROM t1 WHERE id = 'team'",
        ]),
        needs_one_transaction: false,
    }
}

fn both_required(kinds: Kinds) -> Scenario {
    Scenario {
        name: "two tables that require each other",
        schema: Schema(vec![
            table(T1, kinds, &[], &[UP], vec![reference(UP, T4, kinds)]),
            table(T4, kinds, &[], &[UP], vec![reference(UP, T1, kinds)]),
        ]),
        before: vec![],
        changes: texts(&[
            "INSERT INTO t1 (id, up_id) VALUES ('team', 'ann')",
            "INSERT INTO t4 (id, up_id) VALUES ('ann', 'team'), ('bob', 'team')",
            "UPDATE t1 SET up_id = 'bob' WHERE id = 'team'",
        ]),
        needs_one_transaction: true,
    }
}

fn circle(kinds: Kinds) -> Scenario {
    Scenario {
        name: "x, y and z refer to each other in a circle",
        schema: Schema(vec![table(T1, kinds, &[], &[], vec![reference(OWN, T1, kinds)])]),
        before: vec![],
        changes: texts(&[
            "INSERT INTO t1 (id) VALUES ('x')",
            "INSERT INTO t1 (id, self_id) VALUES ('y', 'x')",
            "INSERT INTO t1 (id, self_id) VALUES ('z', 'y')",
            "UPDATE t1 SET self_id = 'z' WHERE id = 'x'",
        ]),
        needs_one_transaction: false,
    }
}

fn circle_of_selves(kinds: Kinds) -> Scenario {
    let mut own = reference(OWN, T1, kinds);
    if kinds.on_delete == Action::SetNull {
        // It can't be null.
        own.on_delete = Action::NoAction;
    }
    Scenario {
        name: "a circle of rows that must refer to one, turned round",
        schema: Schema(vec![table(T1, kinds, &[], &[OWN], vec![own])]),
        before: texts(&["INSERT INTO t1 (id, self_id) VALUES ('w', 'w')"]),
        changes: texts(&[
            "INSERT INTO t1 (id, self_id) VALUES ('x', 'w')",
            "INSERT INTO t1 (id, self_id) VALUES ('y', 'x')",
            "INSERT INTO t1 (id, self_id) VALUES ('z', 'y')",
            "UPDATE t1 SET self_id = 'z' WHERE id = 'x'",
            "UPDATE t1 SET self_id = 'z' WHERE id = 'y'",
            "UPDATE t1 SET self_id = 'x' WHERE id = 'z'",
            "UPDATE t1 SET self_id = 'y' WHERE id = 'x'",
            "DELETE FROM t1 WHERE id = 'w'",
        ]),
        needs_one_transaction: false,
    }
}
