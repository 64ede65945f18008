//! Schemas over the four tables: which of them there are, what is unique, what must have a value, what refers to what.

use std::fmt::Write as _;

use grove_crdt_tests::database::DbBackend;
use proptest::prelude::*;

use super::tables::{CODE, COLUMNS, ID, Kind, NUM, OTHER, OWN, POS, TITLE, UP, kind};

/// What a foreign key does to a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "the word of SQL")]
pub enum Action {
    NoAction,
    Restrict,
    Cascade,
    SetNull,
    SetDefault,
}

impl Action {
    pub fn words(self) -> &'static str {
        match self {
            Self::NoAction => "NO ACTION",
            Self::Restrict => "RESTRICT",
            Self::Cascade => "CASCADE",
            Self::SetNull => "SET NULL",
            Self::SetDefault => "SET DEFAULT",
        }
    }
}

/// When a constraint is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    AtOnce,
    /// At the end of the transaction, if it asks for it.
    Deferrable,
    AtTheEnd,
}

impl When {
    fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "",
            Self::Deferrable => " DEFERRABLE INITIALLY IMMEDIATE",
            Self::AtTheEnd => " DEFERRABLE INITIALLY DEFERRED",
        }
    }
}

/// A foreign key of one column.
#[derive(Clone, Debug)]
pub struct Reference {
    pub column: usize,
    /// The number of the table that it refers to.
    pub parent: usize,
    /// The column there.
    pub to: usize,
    pub on_delete: Action,
    pub on_update: Action,
    pub when: When,
}

/// What is said of one table.
#[derive(Clone, Debug)]
pub struct Table {
    pub number: usize,
    pub not_null: Vec<usize>,
    pub unique: Vec<(Vec<usize>, When)>,
    pub references: Vec<Reference>,
    /// Whether `pos` is checked to be between 0 and 99,999.
    pub checked: bool,
}

impl Table {
    /// A table of which nothing is said.
    pub fn plain(number: usize) -> Self {
        Self {
            number,
            not_null: if number == 2 { vec![CODE, POS] } else { Vec::new() },
            unique: Vec::new(),
            references: Vec::new(),
            checked: false,
        }
    }

    pub fn reference(&self, column: usize) -> Option<&Reference> {
        self.references.iter().find(|reference| reference.column == column)
    }

    pub fn must_have(&self, column: usize) -> bool {
        column == ID || self.not_null.contains(&column)
    }
}

/// A schema.
#[derive(Clone, Debug)]
pub struct Schema(pub Vec<Table>);

impl Schema {
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<'_> {
        self.0.iter().map(|table| table.number)
    }

    pub fn table(&self, number: usize) -> &Table {
        let mut tables = self.0.iter();
        tables.find(|table| table.number == number).expect("a table")
    }

    /// The references with the tables that have them.
    pub fn references(&self) -> impl Iterator<Item = (&Table, &Reference)> {
        let tables = self.0.iter();
        tables.flat_map(|table| table.references.iter().map(move |reference| (table, reference)))
    }

    /// The statements that make it.
    pub fn ddl(&self, backend: DbBackend) -> Vec<String> {
        let mut statements = Vec::new();
        let mut later = Vec::new();
        for table in &self.0 {
            let name = format!("t{}", table.number + 1);
            let mut parts: Vec<_> = (0..COLUMNS.len())
                .map(|column| definition(table, column, backend))
                .collect();
            if table.checked {
                parts.push("CHECK (pos >= 0 AND pos < 100000)".to_owned());
            }
            for (columns, when) in &table.unique {
                let names: Vec<_> = columns.iter().map(|column| COLUMNS[*column]).collect();
                let constraint = format!("{name}_{}", names.join("_"));
                let list = names.join(", ");
                parts.push(format!("CONSTRAINT {constraint} UNIQUE ({list}){}", when.words()));
            }
            for reference in &table.references {
                let key = foreign_key(&name, reference);
                // SQLite has no other place for it, and the others know no table that is still to come.
                if backend == DbBackend::Sqlite {
                    parts.push(key);
                } else {
                    later.push(format!("ALTER TABLE {name} ADD {key}"));
                }
            }
            statements.push(format!("CREATE TABLE {name} (\n    {}\n)", parts.join(",\n    ")));
        }
        statements.extend(later);
        statements
    }
}

fn definition(table: &Table, column: usize, backend: DbBackend) -> String {
    let kind_of = match (kind(table.number, column), backend) {
        // What a value for the time being may have to fit.
        (Kind::Text, _) if (column, table.number) == (CODE, 2) => "VARCHAR(4)",
        (Kind::Text, DbBackend::MySql) => "VARCHAR(255)",
        (Kind::Text, _) => "TEXT",
        (Kind::Long, _) => "BIGINT",
        (Kind::Int, _) => "INT",
        (Kind::Small, _) => "SMALLINT",
        (Kind::Uuid, DbBackend::Postgres) => "UUID",
        (Kind::Uuid, DbBackend::MySql) => "BINARY(16)",
        (Kind::Uuid, _) => "BLOB",
    };
    let mut text = format!("{} {kind_of}", COLUMNS[column]);
    if table.must_have(column) {
        text.push_str(" NOT NULL");
    }
    if column == ID {
        text.push_str(" PRIMARY KEY");
    }
    let reset = |reference: &Reference| [reference.on_delete, reference.on_update].contains(&Action::SetDefault);
    if let Some(reference) = table.reference(column).filter(|reference| reset(reference)) {
        let value = match (kind(table.number, column), reference.to) {
            (Kind::Text, CODE) => "'k0'",
            (Kind::Text, _) => "'a'",
            _ => "1",
        };
        write!(text, " DEFAULT {value}").expect("a text takes everything");
    }
    text
}

fn foreign_key(name: &str, reference: &Reference) -> String {
    let column = COLUMNS[reference.column];
    let to = COLUMNS[reference.to];
    format!(
        "CONSTRAINT {name}_{column}_key FOREIGN KEY ({column}) REFERENCES t{} ({to}) ON DELETE {} ON UPDATE {}{}",
        reference.parent + 1,
        reference.on_delete.words(),
        reference.on_update.words(),
        reference.when.words(),
    )
}

/// What is drawn for a table. Not all of it can be on each database, or with the rest.
#[derive(Clone, Debug)]
struct Drawn {
    not_null: [bool; 8],
    unique: [Option<When>; 3],
    references: Vec<DrawnReference>,
    checked: bool,
}

#[derive(Clone, Debug)]
struct DrawnReference {
    column: usize,
    parent: usize,
    to_code: bool,
    on_delete: Action,
    on_update: Action,
    when: When,
}

/// Any schema that this database knows.
pub fn schemas(backend: DbBackend) -> impl Strategy<Value = Schema> {
    let when = || {
        prop_oneof![
            4 => Just(When::AtOnce),
            1 => Just(When::Deferrable),
            2 => Just(When::AtTheEnd),
        ]
    };
    let action = || {
        prop_oneof![
            3 => Just(Action::NoAction),
            2 => Just(Action::Restrict),
            4 => Just(Action::Cascade),
            2 => Just(Action::SetNull),
            1 => Just(Action::SetDefault),
        ]
    };
    let column = prop_oneof![4 => Just(UP), 2 => Just(OTHER), 2 => Just(OWN), 2 => Just(NUM)];
    let reference = (
        column,
        0..4_usize,
        prop::bool::weighted(0.25),
        action(),
        action(),
        when(),
    );
    let reference = reference.prop_map(|(column, parent, to_code, on_delete, on_update, when)| DrawnReference {
        column,
        parent,
        to_code,
        on_delete,
        on_update,
        when,
    });
    let unique = [
        prop::option::weighted(0.6, when()),
        prop::option::weighted(0.5, when()),
        prop::option::weighted(0.5, when()),
    ];
    let table = (
        prop::array::uniform8(prop::bool::weighted(0.3)),
        unique,
        prop::collection::vec(reference, 0..4),
        prop::bool::weighted(0.3),
    );
    let table = table.prop_map(|(not_null, unique, references, checked)| Drawn {
        not_null,
        unique,
        references,
        checked,
    });
    let numbers = prop::sample::subsequence(vec![0, 1, 2, 3], 2..=4);
    (numbers, prop::array::uniform4(table)).prop_map(move |(numbers, drawn)| settle(backend, &numbers, &drawn))
}

/// Of what was drawn, what can be.
fn settle(backend: DbBackend, numbers: &[usize], drawn: &[Drawn; 4]) -> Schema {
    let my_sql = backend == DbBackend::MySql;
    let mut tables: Vec<_> = numbers.iter().map(|number| Table::plain(*number)).collect();
    for table in &mut tables {
        let drawn = &drawn[table.number];
        for drawn in &drawn.references {
            let Some(mut reference) = aim(drawn, table.number, numbers) else {
                continue;
            };
            if table.reference(reference.column).is_some() {
                continue;
            }
            if my_sql {
                reference.when = When::AtOnce;
                for action in [&mut reference.on_delete, &mut reference.on_update] {
                    if *action == Action::SetDefault {
                        *action = Action::NoAction;
                    }
                }
            }
            table.references.push(reference);
        }
        table.checked = drawn.checked;
        let nulls = |reference: &Reference| [reference.on_delete, reference.on_update].contains(&Action::SetNull);
        // MySQL and MariaDB let no row go that refers to itself; and MariaDB refuses a key that could hand on a null to a column that must have a value.
        let hands_on_null = |reference: &Reference| {
            reference.to == CODE && reference.parent != 2 && reference.on_update == Action::Cascade
        };
        let can_be = |column: &usize| match table.reference(*column) {
            Some(reference) => {
                !my_sql || !(nulls(reference) || hands_on_null(reference) || reference.parent == table.number)
            }
            None => [CODE, POS].contains(column),
        };
        let columns = (CODE..TITLE).filter(|column| drawn.not_null[*column] && can_be(column));
        let columns: Vec<_> = columns.collect();
        table.not_null.extend(columns);
        table.not_null.sort_unstable();
        table.not_null.dedup();
        let unique = [vec![CODE], vec![POS], vec![UP, POS]].into_iter().zip(&drawn.unique);
        let unique = unique.filter(|(columns, _)| !columns.contains(&UP) || table.reference(UP).is_some());
        let when = |when: &When| {
            if backend == DbBackend::Postgres {
                *when
            } else {
                When::AtOnce
            }
        };
        table.unique = unique
            .filter_map(|(columns, asked)| Some((columns, when(asked.as_ref()?))))
            .collect();
    }
    // What is referred to is unique, and checked at once.
    let referred_to = tables.iter().flat_map(|table| &table.references);
    let referred_to: Vec<_> = referred_to
        .filter(|reference| reference.to == CODE)
        .map(|reference| reference.parent)
        .collect();
    for table in tables.iter_mut().filter(|table| referred_to.contains(&table.number)) {
        table.unique.retain(|(columns, _)| *columns != [CODE]);
        table.unique.push((vec![CODE], When::AtOnce));
    }
    Schema(tables)
}

/// The reference to a column that there is, of the type of the one that refers to it.
fn aim(drawn: &DrawnReference, table: usize, numbers: &[usize]) -> Option<Reference> {
    let any = numbers[drawn.parent % numbers.len()];
    let (parent, to) = match drawn.column {
        OWN => (table, ID),
        NUM => (*numbers.iter().find(|number| **number == 1)?, ID),
        // A text can't refer to a number or a UUID.
        _ if any == 1 || (drawn.to_code && any != 3) => (any, CODE),
        _ => (any, ID),
    };
    Some(Reference {
        column: drawn.column,
        parent,
        to,
        on_delete: drawn.on_delete,
        on_update: drawn.on_update,
        when: drawn.when,
    })
}
