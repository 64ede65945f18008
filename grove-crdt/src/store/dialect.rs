//! What the databases say differently.

use std::{path::PathBuf, time::Duration};

use sea_orm::{
    AccessMode, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, IsolationLevel, SqliteTransactionMode,
    Statement, TransactionOptions,
    sea_query::{Alias, BinOper, Expr, ExprTrait as _, Func, Index, LockType, SelectStatement, TableCreateStatement},
};

use crate::{error::Error, store::server::Server};

/// `(columns) IN (tuples)`. SQLite takes no list of several tuples, but a table of them; and PostgreSQL plans a long list for
/// longer than it takes to look its tuples up.
pub(crate) fn among(backend: DbBackend, columns: Vec<Expr>, tuples: Vec<Vec<Expr>>) -> Expr {
    if let [column] = columns.as_slice() {
        return column.clone().is_in(filled_up(tuples.into_iter().flatten().collect()));
    }
    if backend == DbBackend::MySql {
        return among_by_beginning(&columns, tuples);
    }
    let tuples = tuples.into_iter().map(Expr::tuple);
    if backend != DbBackend::Sqlite && tuples.len() == 1 {
        return Expr::tuple(columns).is_in(tuples);
    }
    let places = vec![placeholder(backend); tuples.len()].join(", ");
    Expr::tuple(columns).binary(BinOper::In, Expr::cust_with_exprs(format!("(VALUES {places})"), tuples))
}

/// How many tuples one list on MySQL has at most: from some 300 on, MariaDB plans a list of them for a second and more, and then
/// may look at the whole table, and lock it. Several lists are as good as one.
pub(crate) const TUPLES_IN_LIST: usize = 200;

/// Tuples that follow each other and differ in their last value only are put together, unless there are many such groups: a row
/// that is found is held against one group after another, and against a list at once.
fn among_by_beginning(columns: &[Expr], tuples: Vec<Vec<Expr>>) -> Expr {
    let mut groups: Vec<(Vec<Expr>, Vec<Expr>)> = Vec::new();
    for mut tuple in tuples {
        let last = tuple.pop();
        match groups.last_mut() {
            Some((beginning, lasts)) if *beginning == tuple => lasts.extend(last),
            _ => groups.push((tuple, Vec::from_iter(last))),
        }
    }
    if groups.len() > TUPLES_IN_LIST {
        return among_in_lists(columns, groups);
    }
    let (mut texts, mut parts) = (Vec::new(), Vec::new());
    for (beginning, lasts) in groups {
        let same = "? = ? AND ".repeat(beginning.len());
        texts.push(format!("({same}? IN ({}))", vec!["?"; lasts.len()].join(", ")));
        for (column, value) in columns.iter().zip(beginning) {
            parts.extend([column.clone(), value]);
        }
        parts.extend(columns.last().cloned());
        parts.extend(lasts);
    }
    Expr::cust_with_exprs(format!("({})", texts.join(" OR ")), parts)
}

fn among_in_lists(columns: &[Expr], groups: Vec<(Vec<Expr>, Vec<Expr>)>) -> Expr {
    let whole = |(beginning, lasts): (Vec<Expr>, Vec<Expr>)| {
        let with = move |last| Expr::tuple(beginning.iter().cloned().chain([last]));
        lasts.into_iter().map(with)
    };
    let tuples: Vec<_> = groups.into_iter().flat_map(whole).collect();
    let lists = tuples.chunks(TUPLES_IN_LIST);
    let lists = lists.map(|list| Expr::tuple(columns.iter().cloned()).is_in(list.iter().cloned()));
    // One after another: as a tree, it would be as deep as there are lists.
    let lists: Vec<_> = lists.collect();
    Expr::cust_with_exprs(format!("({})", vec!["?"; lists.len()].join(" OR ")), lists)
}

/// Whether a column of text that is compared byte by byte has one of these. On SQLite they are one value to bind, and the
/// statement is the same however many they are; there must be no U+0000 in them.
pub(crate) fn is_one_of(backend: DbBackend, column: Expr, texts: &[String]) -> Expr {
    if backend != DbBackend::Sqlite || texts.len() == 1 {
        return column.is_in(filled_up(texts.iter().map(String::as_str).collect()));
    }
    let list = serde_json::Value::from(texts).to_string();
    column.binary(
        BinOper::In,
        Expr::cust_with_values("(SELECT value FROM json_each(?))", [list]),
    )
}

/// The longest list that is filled up. MariaDB plans one of a thousand in another way.
const LONGEST_FILLED_UP: usize = 512;

/// A list in which the last item is repeated until there are as many as the next power of two says. So lists of many lengths make
/// few texts: drivers prepare each, and keep so many.
fn filled_up<T: Clone>(mut items: Vec<T>) -> Vec<T> {
    if let Some(last) = items.last().cloned()
        && items.len() < LONGEST_FILLED_UP
    {
        items.resize(items.len().next_power_of_two(), last);
    }
    items
}

/// What stands for the next of some expressions in a text of SQL.
fn placeholder(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Postgres => "$",
        _ => "?",
    }
}

/// Whether a text that is compared byte by byte has a part.
pub(crate) fn has_part(backend: DbBackend, text: Expr, part: Expr) -> Expr {
    let place = match backend {
        DbBackend::Postgres => "strpos",
        _ => "instr",
    };
    Expr::from(Func::cust(place).args([text, part])).gt(0)
}

/// Texts put together; numbers become texts.
pub(crate) fn concat(backend: DbBackend, parts: impl IntoIterator<Item = Expr>) -> Expr {
    let parts: Vec<_> = parts.into_iter().collect();
    if backend == DbBackend::MySql {
        return Func::cust("concat").args(parts).into();
    }
    // It binds more tightly than sums do.
    let place = format!("({})", placeholder(backend));
    let places = vec![place; parts.len()].join(" || ");
    Expr::cust_with_exprs(format!("({places})"), parts)
}

/// The greater of two numbers.
pub(crate) fn greater(backend: DbBackend, one: Expr, other: Expr) -> Expr {
    let greatest = match backend {
        DbBackend::Sqlite => "max",
        _ => "greatest",
    };
    Func::cust(greatest).args([one, other]).into()
}

/// The integer that a text in digits stands for.
pub(crate) fn number(backend: DbBackend, text: Expr) -> Expr {
    let number = match backend {
        // It has more digits than any integer.
        DbBackend::Postgres => "numeric",
        DbBackend::MySql => "signed",
        _ => "integer",
    };
    text.cast_as(number)
}

/// The path to a member of a JSON object, or of an object in it. The keys are letters, digits and underscores.
pub(crate) fn json_path(backend: DbBackend, keys: &[&str]) -> String {
    match backend {
        DbBackend::Postgres => format!("{{\"{}\"}}", keys.join("\",\"")),
        _ => format!("$.\"{}\"", keys.join("\".\"")),
    }
}

/// The integer at a path of a JSON text, null if there is none.
pub(crate) fn json_number(backend: DbBackend, json: Expr, path: Expr) -> Expr {
    let found = match backend {
        DbBackend::Postgres => Expr::cust_with_exprs("($1::json #>> $2::text[])", [json, path]),
        DbBackend::MySql => Func::cust("json_unquote")
            .arg(Func::cust("json_extract").args([json, path]))
            .into(),
        _ => Func::cust("json_extract").args([json, path]).into(),
    };
    number(backend, found)
}

/// Locks the rows a query reads until the transaction ends, where reading does not exclude writers anyway.
pub(crate) fn for_update(query: &mut SelectStatement, backend: DbBackend) {
    if backend != DbBackend::Sqlite {
        query.lock(LockType::Update);
    }
}

/// The clause that [`for_update`] adds, for a query put together as text.
pub(crate) fn for_update_text(backend: DbBackend) -> &'static str {
    match backend {
        DbBackend::Sqlite => "",
        _ => " FOR UPDATE",
    }
}

/// Whether an insert can say that it is the key whose conflict makes it an update. On the others it is any unique index:
/// a new row with a value that another has would change that one.
pub(crate) fn conflict_is_with_key(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// The same insert or update, which leaves what it has done when it fails. SQLite alone knows such.
pub(crate) fn or_fail(mut statement: Statement) -> Statement {
    // Both verbs have as many letters.
    statement.sql.insert_str("INSERT".len(), " OR FAIL");
    statement
}

/// Whether a failing statement ends the transaction it is in, unless a savepoint keeps it.
pub(crate) fn failure_ends_transaction(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// The type of a text column that is compared byte by byte; of at most `length` bytes, when it is to be part of a key.
pub(crate) fn text_type(server: Server, length: Option<usize>) -> String {
    // A binary collation that does not pad: to the others `a` and `a ` are one key.
    let collation = match server {
        Server::Sqlite => return "text".into(),
        Server::Postgres => return "text COLLATE \"C\"".into(),
        Server::MySql => "utf8mb4_0900_bin",
        Server::MariaDb { .. } => "utf8mb4_nopad_bin",
    };
    let base = length.map_or("longtext".into(), |length| format!("varchar({length})"));
    format!("{base} CHARACTER SET utf8mb4 COLLATE {collation}")
}

/// Creates a table where it is missing, with the index `<table>_<column>`.
pub(crate) async fn create_with_index<C: ConnectionTrait>(
    conn: &C,
    mut create: TableCreateStatement,
    schema: Option<&str>,
    table: &str,
    column: &'static str,
) -> Result<(), DbErr> {
    let backend = conn.get_database_backend();
    let name = format!("{table}_{column}");
    let mut index = Index::create();
    index.name(&name).col(column);
    if backend == DbBackend::MySql {
        // MySQL can't make an index where it is missing, but with its table.
        create.index(&mut index);
        return conn.execute(&create).await.map(drop);
    }
    conn.execute(&create).await?;
    if let (DbBackend::Sqlite, Some(schema)) = (backend, schema) {
        // SQLite wants the schema before the index's name, not before the table's, which the builder can't say.
        let quoted = |name: &str| format!("\"{}\"", name.replace('"', "\"\""));
        let sql = format!(
            "CREATE INDEX IF NOT EXISTS {}.{} ON {} ({})",
            quoted(schema),
            quoted(&name),
            quoted(table),
            quoted(column)
        );
        return conn.execute_raw(Statement::from_string(backend, sql)).await.map(drop);
    }
    match schema {
        Some(schema) => index.table((Alias::new(schema), Alias::new(table))),
        None => index.table(Alias::new(table)),
    };
    conn.execute(index.if_not_exists()).await.map(drop)
}

/// Makes a query read what is there now, locked, where the transaction's snapshot may be older than its locks and no
/// conflict would tell.
pub(crate) fn read_newest(query: &mut SelectStatement, backend: DbBackend) {
    if backend == DbBackend::MySql {
        query.lock(LockType::Update);
    }
}

/// Whether what [`read_newest`] makes of queries can be put together with `UNION`.
pub(crate) fn can_read_newest_together(backend: DbBackend) -> bool {
    backend != DbBackend::MySql
}

/// Whether two transactions may write cells at the same time, so that a conflict has to be found out.
pub(crate) fn writers_overlap(backend: DbBackend) -> bool {
    backend == DbBackend::Postgres
}

/// Whether only one transaction writes at a time, so that writers have to queue.
pub(crate) fn has_one_writer(backend: DbBackend) -> bool {
    backend == DbBackend::Sqlite
}

/// What to begin a transaction with. On SQLite one that may write takes the lock at once: one that took it later could
/// find its snapshot outdated.
pub(crate) fn transaction(backend: DbBackend, options: TransactionOptions) -> TransactionOptions {
    if backend != DbBackend::Sqlite {
        return options;
    }
    let mode = match options.access_mode {
        Some(AccessMode::ReadOnly) => SqliteTransactionMode::Deferred,
        _ => SqliteTransactionMode::Immediate,
    };
    TransactionOptions {
        sqlite_transaction_mode: Some(mode),
        ..TransactionOptions::default()
    }
}

/// The isolation level of the replica's own transactions: the one at which their locks are enough. On MySQL and MariaDB
/// they include the gaps where rows may come to be; on PostgreSQL each statement sees what is committed.
pub(crate) fn own_isolation(backend: DbBackend) -> Option<IsolationLevel> {
    match backend {
        DbBackend::MySql => Some(IsolationLevel::RepeatableRead),
        DbBackend::Postgres => Some(IsolationLevel::ReadCommitted),
        _ => None,
    }
}

/// What to begin a transaction with in which several reads see one state of the database. On SQLite they always do, and SeaORM
/// warns of what it is told besides.
pub(crate) fn one_snapshot(backend: DbBackend) -> TransactionOptions {
    let (isolation_level, access_mode) = match backend {
        DbBackend::Sqlite => (None, None),
        _ => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
    };
    TransactionOptions {
        isolation_level,
        access_mode,
        ..TransactionOptions::default()
    }
}

/// What a transaction has to be told at its beginning. With strict snapshots, every transaction that has read something
/// would fail at the counter row as soon as another had committed.
pub(crate) fn set_up_transaction(server: Server) -> Option<&'static str> {
    matches!(server, Server::MariaDb { strict_snapshots: true })
        .then_some("SET SESSION innodb_snapshot_isolation = OFF")
}

/// Keeps others from opening the database as a replica until the transaction ends.
pub(crate) async fn open_alone<C: ConnectionTrait>(conn: &C) -> Result<(), DbErr> {
    if conn.get_database_backend() == DbBackend::Postgres {
        // Tables that are created where they are missing collide when two create them at the same time.
        conn.execute_unprepared("SELECT pg_advisory_xact_lock(hashtext('grove-crdt'), hashtext(current_schema()))")
            .await?;
    }
    Ok(())
}

/// How long a writer waits for its turn: as long as SQLite itself would, and at least a second.
pub(crate) async fn busy_timeout(db: &DatabaseConnection) -> Result<Duration, Error> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(Duration::from_secs(30));
    }
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA busy_timeout");
    let row = db.query_one_raw(pragma).await?;
    let millis: i64 = row.map_or(Ok(5_000), |row| row.try_get_by_index(0))?;
    let timeout = Duration::from_millis(u64::try_from(millis).unwrap_or(5_000));
    Ok(std::cmp::max(timeout, Duration::from_secs(1)))
}

/// The database's file, when it is one.
pub(crate) async fn database_file(db: &DatabaseConnection) -> Result<Option<PathBuf>, Error> {
    if db.get_database_backend() != DbBackend::Sqlite {
        return Ok(None);
    }
    let pragma = Statement::from_string(DbBackend::Sqlite, "PRAGMA database_list");
    for row in db.query_all_raw(pragma).await? {
        let name: String = row.try_get_by_index(1)?;
        let file: Option<String> = row.try_get_by_index(2)?;
        if name == "main" {
            return Ok(file.filter(|file| !file.is_empty()).map(PathBuf::from));
        }
    }
    Ok(None)
}
