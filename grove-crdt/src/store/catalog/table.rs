//! What a catalog holds of one table.

use std::collections::BTreeMap;

/// What happens to a child row when its parent goes, or changes its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Nothing: the statement fails while there is a child (`NO ACTION`).
    Refuse,
    /// The same, but at once, even where the key is deferred (`RESTRICT`).
    Restrict,
    /// The child goes too, or takes the new key.
    Cascade,
    /// The child's columns become null, or their defaults.
    Reset,
}

impl Action {
    /// The action in the words of SQL.
    pub(super) fn named(words: &str) -> Self {
        match words {
            "CASCADE" => Self::Cascade,
            "SET NULL" | "SET DEFAULT" => Self::Reset,
            "RESTRICT" => Self::Restrict,
            _ => Self::Refuse,
        }
    }

    /// Whether the database writes children by itself.
    pub(crate) fn acts(self) -> bool {
        matches!(self, Self::Cascade | Self::Reset)
    }
}

/// One foreign key.
#[derive(Clone, Debug)]
pub(crate) struct ForeignKey {
    /// The table that refers to another.
    pub child: String,
    /// Its columns, in the key's order.
    pub child_columns: Vec<String>,
    /// The table referred to.
    pub parent: String,
    /// Its columns, each at the place of the child's.
    pub parent_columns: Vec<String>,
    /// What a delete of the parent does.
    pub on_delete: Action,
    /// What an update of the parent's columns does.
    pub on_update: Action,
    /// Whether it may be checked only when the transaction commits, so that a statement that breaks it does not fail:
    /// always, or whenever somebody asks for it (PostgreSQL's `DEFERRABLE INITIALLY IMMEDIATE`).
    pub deferred: bool,
}

/// A primary key, a unique constraint, a unique index or an exclusion constraint.
#[expect(
    clippy::struct_excessive_bools,
    reason = "what a catalog tells of a key, each by itself"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UniqueKey {
    /// The name of the index.
    pub name: String,
    /// The plain columns in it, in its order.
    pub columns: Vec<String>,
    /// Whether two rows meet in it just when they are equal in `columns`: it has no expressions, no prefixes of values
    /// and no condition. What is equal is for the columns' collations to say.
    pub exact: bool,
    /// Whether it may be checked only when the transaction commits.
    pub deferred: bool,
    /// Whether two nulls are equal in it.
    pub nulls_equal: bool,
    /// Whether values of different texts may be equal in it.
    pub loose: bool,
}

impl UniqueKey {
    /// A key without peculiarities, and without columns yet.
    pub(super) fn plain(name: String) -> Self {
        Self {
            name,
            columns: Vec::new(),
            exact: true,
            deferred: false,
            nulls_equal: false,
            loose: false,
        }
    }
}

/// How a database stores a column's values, as far as it tells: whether a value fits exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Storage {
    /// The type's name in lower case, without parameters: `pg_type.typname` on PostgreSQL (`bpchar`, `int8`,
    /// `timestamptz`), of the underlying type when it is a domain; `information_schema.columns.data_type` on MySQL and
    /// MariaDB; what the table's definition says on SQLite.
    pub data_type: String,
    /// Of text and bits: how many characters, bytes or bits at most; of MySQL's `TEXT` types, bytes.
    pub length: Option<u32>,
    /// Of numbers: significant decimal digits; bits of MySQL's `BIT`.
    pub precision: Option<u32>,
    /// Of decimal numbers: digits behind the point, or zeros before it when negative (PostgreSQL 15).
    pub scale: Option<i32>,
    /// Of times: digits of the seconds' fraction.
    pub fraction: Option<u32>,
}

/// A column.
#[derive(Debug, Default)]
pub(super) struct Column {
    pub name: String,
    pub generated: bool,
    pub nullable: bool,
    /// Whether values of different key texts may be equal here, or one may be stored as another.
    pub loose: bool,
    pub storage: Storage,
}

/// A table.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub columns: Vec<Column>,
    /// Those that an insert without a list of columns fills, in their order.
    pub insertable: Vec<String>,
    pub primary: Option<UniqueKey>,
    pub unique: Vec<UniqueKey>,
    /// Whether a trigger, a rule or an `ON UPDATE` column may change what was written.
    pub altered: bool,
    /// Whether a row may be found by another key than its own (`a` by `A`, `1.0` by `1`).
    pub loose_key: bool,
    /// Whether it has a constraint, other than a foreign key, that may be checked only when the transaction commits.
    pub deferrable: bool,
}

impl Table {
    /// The unique key of this name, a new one when there is none yet.
    pub(super) fn unique_named(&mut self, name: String) -> &mut UniqueKey {
        let place = self.unique.iter().position(|key| key.name == name);
        let place = place.unwrap_or_else(|| {
            self.unique.push(UniqueKey::plain(name));
            self.unique.len() - 1
        });
        &mut self.unique[place]
    }

    /// Marks the unique keys that have columns in which different values may be equal.
    pub(super) fn mark_loose_keys(&mut self) {
        let Self {
            columns,
            primary,
            unique,
            ..
        } = self;
        for key in primary.iter_mut().chain(unique) {
            let mut own = columns.iter().filter(|column| key.columns.contains(&column.name));
            key.loose |= own.any(|column| column.loose);
        }
    }

    /// Whether the columns of its key are such that a row may be found by another key. Any column may be a key's when the
    /// database knows of none.
    pub(super) fn has_loose_key(&self) -> bool {
        let is_key = |column: &Column| {
            let key = self.primary.as_ref();
            key.is_none_or(|key| key.columns.contains(&column.name))
        };
        self.columns.iter().any(|column| column.loose && is_key(column))
    }
}

/// The tables by name.
pub(super) type Tables = BTreeMap<String, Table>;

/// A table's name as its own definition has it: foreign keys may write it with other letters' case.
pub(super) fn cased_table(tables: &Tables, name: String) -> String {
    cased(tables.keys(), name)
}

/// A column's name as its table's definition has it.
pub(super) fn cased_column(tables: &Tables, table: &str, name: String) -> String {
    let columns = tables.get(table).into_iter().flat_map(|table| &table.columns);
    cased(columns.map(|column| &column.name), name)
}

fn cased<'a>(names: impl Iterator<Item = &'a String> + Clone, name: String) -> String {
    let exact = names.clone().find(|known| **known == name);
    let mut alike = names.filter(|known| known.eq_ignore_ascii_case(&name));
    exact.or_else(|| alike.next()).cloned().unwrap_or(name)
}
