//! Words that no answer holds.

/// Names of what a peer is not told of: tables that it did not name, columns that do not travel, constraints, and what hooks
/// and authenticators fail with.
const NAMES: [&str; 8] = [
    "secret",
    "internal_remark",
    "entry_number",
    "seat_row",
    "seat_letter",
    "vault_code",
    "zz_",
    "test_worker",
];

/// What the tables are called that the library makes, and how databases and drivers talk.
const DATABASES: [&str; 26] = [
    "_crdt",
    "_grove",
    "sqlx",
    "sea_orm",
    "seaorm",
    "sqlite",
    "postgres",
    "mysql",
    "mariadb",
    "innodb",
    "sqlstate",
    "(code:",
    "constraint",
    "violat",
    "duplicate key",
    "duplicate entry",
    "deadlock",
    "locked",
    "no such",
    "doesn't exist",
    "does not exist",
    "syntax",
    "pool",
    "execution error",
    "query error",
    "error returned",
];

/// Where things are.
const PLACES: [&str; 8] = [
    "/tmp",
    "/root",
    "/home",
    ".db",
    "://",
    "127.0.0.1",
    "localhost",
    "grove_test",
];

/// SQL, and what Rust's `Debug`, panics and paths look like. In this case only: "none" and "from" are words as well.
const EXACTLY: [&str; 30] = [
    "SELECT",
    "INSERT",
    "UPDATE",
    "DELETE",
    "FROM ",
    "WHERE",
    "CREATE",
    "DROP",
    "ALTER",
    "TABLE",
    "COMMIT",
    "BEGIN",
    "DbErr",
    "Error(",
    "Error {",
    "struct ",
    "enum ",
    "Some(",
    "None",
    "Ok(",
    "Err(",
    "panicked",
    ".rs",
    "src/",
    "core::",
    "grove_crdt::",
    "BigInt",
    "Chrono",
    "Unsigned",
    "ArrayType",
];

/// Sees that an answer holds none of them, unless they were `asked` with.
#[track_caller]
pub(super) fn assert_discreet(asked: &str, told: &str) {
    let (asked_small, told_small) = (asked.to_lowercase(), told.to_lowercase());
    let told_anyway = NAMES.iter().chain(&DATABASES).chain(&PLACES);
    let small = told_anyway.filter(|word| told_small.contains(**word) && !asked_small.contains(**word));
    let exact = EXACTLY
        .iter()
        .filter(|word| told.contains(**word) && !asked.contains(**word));
    let found: Vec<_> = small.chain(exact).collect();
    assert!(
        found.is_empty(),
        "{found:?} told to who asked {asked:.500}: {told:.2000}"
    );
}
