//! Many writers, many processes and restored backups: what a database server adds to the dangers of a file.

/// One test on PostgreSQL alone.
macro_rules! on_postgres {
    ($($test:tt)*) => {
        grove_crdt_tests::database_tests! { run_with_threads: postgres Postgres; $($test)* }
    };
}

/// One test on each database that is a server.
macro_rules! on_each_server {
    ($($test:tt)*) => {
        grove_crdt_tests::database_tests! { run_with_threads: postgres Postgres, mysql MySql, mariadb MariaDb; $($test)* }
    };
}

mod commit_order;
mod held_back;
mod interleavings;
mod merging;
mod openings;
mod paused_merges;
mod processes;
mod restored;
mod statistics;
mod steps;
mod tables;
