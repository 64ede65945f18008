//! One test on each database.

use std::{
    cell::RefCell,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use proptest::{
    strategy::Strategy,
    test_runner::{Config, RngSeed, TestCaseError, TestError, TestRunner},
};
use tokio::runtime::{Builder, Runtime};

use super::{Kind, server};

/// Runs a test on each database: `name::sqlite`, `name::postgres`, `name::mysql` and `name::mariadb`.
///
/// ```ignore
/// use grove_crdt_tests::{apply, new_database, on_each_database};
///
/// #[apply(on_each_database!)]
/// async fn a_database_answers() {
///     new_database().await.ping().await.unwrap();
/// }
/// # fn main() {}
/// ```
///
/// A database that can't be reached is skipped, and the test says so, unless `GROVE_REQUIRE_DATABASES` is 1. Where they
/// are is told by `GROVE_TEST_POSTGRES_URL`, `GROVE_TEST_MYSQL_URL` and `GROVE_TEST_MARIADB_URL`.
#[macro_export]
macro_rules! on_each_database {
    ($($test:tt)*) => {
        $crate::database_tests! { run: sqlite Sqlite, postgres Postgres, mysql MySql, mariadb MariaDb; $($test)* }
    };
}

/// [`on_each_database!`](crate::on_each_database), with several threads at the test's tasks.
#[macro_export]
macro_rules! on_each_database_with_threads {
    ($($test:tt)*) => {
        $crate::database_tests! { run_with_threads: sqlite Sqlite, postgres Postgres, mysql MySql, mariadb MariaDb; $($test)* }
    };
}

/// [`on_each_database!`](crate::on_each_database) but MySQL and MariaDB: for tests of what they do not have.
#[macro_export]
macro_rules! on_sqlite_and_postgres {
    ($($test:tt)*) => {
        $crate::database_tests! { run: sqlite Sqlite, postgres Postgres; $($test)* }
    };
}

/// [`on_each_database!`](crate::on_each_database) but PostgreSQL: for tests of what it does not have.
#[macro_export]
macro_rules! on_sqlite_and_mysql {
    ($($test:tt)*) => {
        $crate::database_tests! { run: sqlite Sqlite, mysql MySql, mariadb MariaDb; $($test)* }
    };
}

/// [`on_each_database!`](crate::on_each_database), but on PostgreSQL alone.
#[macro_export]
macro_rules! on_postgres {
    ($($test:tt)*) => {
        $crate::database_tests! { run: postgres Postgres; $($test)* }
    };
}

/// [`on_each_database!`](crate::on_each_database), but on MySQL and MariaDB alone.
#[macro_export]
macro_rules! on_mysql {
    ($($test:tt)*) => {
        $crate::database_tests! { run: mysql MySql, mariadb MariaDb; $($test)* }
    };
}

/// What the macros above have in common. A test that is no `async fn` is told the kind of database, and has to begin what it
/// does there itself.
#[doc(hidden)]
#[macro_export]
macro_rules! database_tests {
    ($run:ident: $($name:ident $kind:ident),*; $(#[$meta:meta])* async fn $test:ident() $body:block) => {
        $(#[$meta])*
        async fn $test() $body

        mod $test {
            $(
                #[test]
                fn $name() {
                    $crate::database::$run($crate::database::Kind::$kind, super::$test);
                }
            )*
        }
    };
    ($run:ident: $($name:ident $kind:ident),*; $(#[$meta:meta])* fn $test:ident($given:ident: Kind) $body:block) => {
        $(#[$meta])*
        fn $test($given: $crate::database::Kind) $body

        mod $test {
            $(
                #[test]
                fn $name() {
                    super::$test($crate::database::Kind::$kind);
                }
            )*
        }
    };
}

/// A test on one database, and what is to be cleared away when it ends.
#[derive(Debug)]
pub(super) struct Test {
    pub(super) kind: Mutex<Kind>,
    /// The names of its databases, and where they are.
    pub(super) databases: Mutex<Vec<(Kind, String)>>,
}

impl Test {
    pub(super) fn kind(&self) -> Kind {
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

thread_local! {
    /// The test of which this thread is a part.
    static CURRENT: RefCell<Option<Arc<Test>>> = const { RefCell::new(None) };
}

/// The test that runs on this thread, if it was started by [`run`].
pub(super) fn current() -> Option<Arc<Test>> {
    CURRENT.with_borrow(Option::clone)
}

/// Clears away what a test leaves behind, however it ends.
struct Scope(Arc<Test>);

impl Scope {
    fn new(kind: Kind) -> Self {
        let test = Arc::new(Test {
            kind: Mutex::new(kind),
            databases: Mutex::default(),
        });
        CURRENT.set(Some(test.clone()));
        Self(test)
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        CURRENT.set(None);
        let databases = std::mem::take(&mut *self.0.databases.lock().unwrap_or_else(PoisonError::into_inner));
        for kind in Kind::ALL {
            let here = databases.iter().filter(|(there, _)| *there == kind);
            server::drop_all(kind, here.map(|(_, name)| name.clone()).collect());
        }
    }
}

/// Whether tests can run on this database. Says why, if they can't.
///
/// # Panics
///
/// They can't, although `GROVE_REQUIRE_DATABASES` is 1.
pub fn available(kind: Kind) -> bool {
    let Err(why) = server::reachable(kind) else {
        return true;
    };
    let required = std::env::var("GROVE_REQUIRE_DATABASES").is_ok_and(|required| required == "1");
    assert!(!required, "{why}");
    println!("skipped: {why}");
    false
}

/// Goes on with the test on another database: what it makes from now on is made there.
///
/// # Panics
///
/// The test was not started by [`run`] or [`run_on_all`].
pub fn go_on_with(kind: Kind) {
    let test = current().expect("a test that runs on all databases");
    *test.kind.lock().unwrap_or_else(PoisonError::into_inner) = kind;
}

/// Runs a test that uses all databases at once, on this thread. It begins with SQLite; [`go_on_with`] changes that.
pub fn run_on_all<F: Future<Output = ()>>(test: impl FnOnce() -> F) {
    if Kind::ALL.into_iter().all(available) {
        run(Kind::Sqlite, test);
    }
}

/// Runs a test on a database, on this thread.
pub fn run<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce() -> F) {
    run_on(Builder::new_current_thread(), kind, test);
}

/// Runs a test on a database, its tasks on threads of their own.
pub fn run_with_threads<F: Future<Output = ()>>(kind: Kind, test: impl FnOnce() -> F) {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(4);
    run_on(builder, kind, test);
}

/// Runs a test with so many values drawn at random, and with smaller ones when it fails. On a server with fewer, since each
/// run has databases of its own.
pub fn for_all<S, F>(kind: Kind, values: &S, cases: u32, test: impl Fn(S::Value) -> F)
where
    S: Strategy,
    F: Future<Output = ()>,
{
    if !available(kind) {
        return;
    }
    let cases = if kind == Kind::Sqlite { cases } else { cases / 10 };
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let tested = TestRunner::new(config).run(values, |value| {
        run(kind, || test(value));
        Ok(())
    });
    tested.unwrap_or_else(|error| panic!("{error}"));
}

/// As [`for_all`], with as many values on SQLite and on a server as these, in one runtime: the runs can share databases (see
/// [`Places`](super::Places)). A run that fails says why, and of those that do the simplest found is shown.
///
/// `GROVE_TEST_RUNS` sets another number, and `GROVE_TEST_SEED` draws the values again that a test that failed has drawn.
pub fn for_all_by<S: Strategy>(
    kind: Kind,
    values: &S,
    [local, on_server]: [u32; 2],
    test: impl AsyncFn(S::Value) -> Result<(), String>,
) {
    if !available(kind) {
        return;
    }
    if std::env::var_os("GROVE_TEST_RUNS").is_none() {
        println!("skipped: takes long; GROVE_TEST_RUNS says how often to run it");
        return;
    }
    let cases = if kind == Kind::Sqlite { local } else { on_server };
    let seed = from_environment("GROVE_TEST_SEED").unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
        now.as_micros()
    });
    let config = Config {
        cases: from_environment("GROVE_TEST_RUNS").unwrap_or(cases),
        rng_seed: RngSeed::Fixed(u64::try_from(seed).expect("a seed of 64 bits")),
        failure_persistence: None,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    let scope = Scope::new(kind);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tested = TestRunner::new(config).run(values, |value| {
        let tested = runtime.block_on(test(value));
        tested.map_err(TestCaseError::fail)
    });
    drop(runtime);
    drop(scope);
    match tested {
        Ok(()) => {}
        Err(TestError::Fail(why, _)) => panic!("GROVE_TEST_SEED={seed} fails:\n{why}"),
        Err(error) => panic!("{error}"),
    }
}

fn from_environment<T: std::str::FromStr>(name: &str) -> Option<T> {
    let value = std::env::var(name).ok()?;
    let value = value.parse::<T>();
    Some(value.unwrap_or_else(|_| panic!("{name} has to be a number")))
}

fn run_on<F: Future<Output = ()>>(mut builder: Builder, kind: Kind, test: impl FnOnce() -> F) {
    if !available(kind) {
        return;
    }
    // Dropped after the runtime, and with it the last connections to the databases.
    let scope = Scope::new(kind);
    let current = scope.0.clone();
    let builder = builder.enable_all();
    builder.on_thread_start(move || CURRENT.set(Some(current.clone())));
    let runtime: Runtime = builder.build().expect("a runtime");
    runtime.block_on(test());
}
