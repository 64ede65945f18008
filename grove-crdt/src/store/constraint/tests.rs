//! What each database says when it refuses a row.

use super::*;
use crate::store::{
    live::{self, Live},
    retry::Transient as _,
};
use sea_orm::ConnectionTrait as _;

#[test]
fn sqlites_codes_say_more_than_words_that_a_user_can_choose() {
    for (code, words, constraint) in [
        (787, "FOREIGN KEY constraint failed", Some(Constraint::ForeignKey)),
        (1811, "FOREIGN KEY constraint failed", Some(Constraint::ForeignKey)),
        (1811, "no such day", Some(Constraint::Check)),
        (
            275,
            "CHECK constraint failed: UNIQUE constraint failed",
            Some(Constraint::Check),
        ),
        (1299, "NOT NULL constraint failed: t.c", Some(Constraint::NotNull)),
        (2067, "UNIQUE constraint failed: t.c", Some(Constraint::Unique)),
        (1555, "UNIQUE constraint failed: t.id", Some(Constraint::Unique)),
        (
            3091,
            "cannot store TEXT value in INTEGER column t.c",
            Some(Constraint::Value),
        ),
        (18, "string or blob too big", Some(Constraint::Value)),
        (20, "datatype mismatch", Some(Constraint::Value)),
        (5, "database is locked", None),
        (13, "database or disk is full", None),
        (1, "no such table: t", None),
    ] {
        assert_eq!(of_sqlite(code, words), constraint, "{words}");
    }
}

#[test]
fn sqlstates_and_error_numbers_tell_the_kind_of_constraint() {
    for (state, constraint) in [
        ("23001", Some(Constraint::ForeignKey)),
        ("23P01", Some(Constraint::Unique)),
        ("22P02", Some(Constraint::Value)),
        ("P0001", Some(Constraint::Check)),
        ("40001", None),
        ("42P01", None),
        ("53100", None),
    ] {
        assert_eq!(of_postgres(state), constraint, "{state}");
    }
    for (number, state, constraint) in [
        (1586, "23000", Some(Constraint::Unique)),
        (1216, "23000", Some(Constraint::ForeignKey)),
        (3008, "HY000", Some(Constraint::ForeignKey)),
        (6575, "HY000", Some(Constraint::ForeignKey)),
        (3819, "HY000", Some(Constraint::Check)),
        (4025, "23000", Some(Constraint::Check)),
        (4025, "HY000", None),
        (3140, "22032", Some(Constraint::Value)),
        (31_001, "45000", Some(Constraint::Check)),
        (1213, "40001", None),
        (1146, "42S02", None),
        (1205, "HY000", None),
    ] {
        assert_eq!(of_mysql(number, state, "words"), constraint, "{number}");
    }
    let words = "Got error 193 '`d`.`c`, CONSTRAINT `c_p` FOREIGN KEY (`p`) REFERENCES `p` (`id`) ON DELETE CASCADE' from InnoDB";
    assert_eq!(of_mysql(1296, "HY000", words), Some(Constraint::ForeignKey));
    assert_eq!(name_in_mysql(1296, words), Some("c_p"));
    assert_eq!(of_mysql(1296, "HY000", "Got error 168 'Unknown' from InnoDB"), None);
}

#[test]
fn mysqls_words_name_the_constraint() {
    for (number, words, name) in [
        (
            1062,
            "Duplicate entry 'it's' for key 'documents.slug_key'",
            Some("documents.slug_key"),
        ),
        (
            1062,
            "Duplicate entry 'for key 'x'' for key 'slug_key'",
            Some("slug_key"),
        ),
        (
            1452,
            "… a foreign key constraint fails (`d`.`c`, CONSTRAINT `c_p` FOREIGN KEY (`p`) …",
            Some("c_p"),
        ),
        (3819, "Check constraint 'positive' is violated.", Some("positive")),
        (4025, "CONSTRAINT `positive` failed for `d`.`t`", Some("positive")),
        (1048, "Column 'title' cannot be null", Some("title")),
        (1364, "Field 'title' doesn't have a default value", Some("title")),
        (1406, "Data too long for column 'title' at row 1", None),
    ] {
        assert_eq!(name_in_mysql(number, words), name, "{words}");
    }
}

/// Runs statements that the database has to refuse, and compares what is made of each error.
async fn refused(live: &Live, cases: &[(&str, Constraint, Option<&str>)]) {
    for (statement, constraint, name) in cases {
        let error = live.db.execute_unprepared(statement).await.expect_err(statement);
        let mut violation = violation(&error);
        // MySQL puts the table before the index.
        if live.db.get_database_backend() == sea_orm::DbBackend::MySql
            && let Some(name) = violation.as_mut().and_then(|violation| violation.name.as_mut())
        {
            *name = name.strip_prefix("c.").unwrap_or(name).to_owned();
        }
        let expected = Violation {
            constraint: *constraint,
            name: name.map(str::to_owned),
        };
        assert_eq!(violation, Some(expected), "{statement}: {error}");
        assert!(!error.is_transient(), "{statement}: {error}");
    }
    let error = live
        .db
        .execute_unprepared("INSERT INTO nowhere VALUES (1)")
        .await
        .expect_err("no such table");
    assert_eq!(violation(&error), None, "{error}");
}

#[tokio::test]
async fn sqlite_names_what_a_row_breaks() {
    live::sqlite(async |live| {
        live.run(&[
            "CREATE TABLE p (id TEXT PRIMARY KEY)",
            "CREATE TABLE c (id INTEGER PRIMARY KEY, a TEXT, b TEXT, p TEXT REFERENCES p (id), \
             t TEXT NOT NULL DEFAULT '', \
             n INTEGER CONSTRAINT positive CHECK (n > 0), UNIQUE (a, b))",
            "CREATE UNIQUE INDEX lower_a ON c (lower(a))",
            "CREATE TRIGGER no BEFORE DELETE ON c BEGIN SELECT RAISE(ABORT, 'it stays'); END",
            "INSERT INTO c (id, a, b) VALUES (1, 'x', 'y')",
        ])
        .await;
        refused(
            &live,
            &[
                (
                    "INSERT INTO c (id, a, b) VALUES (2, 'x', 'y')",
                    Constraint::Unique,
                    Some("index 'lower_a'"),
                ),
                ("INSERT INTO c (id) VALUES (1)", Constraint::Unique, Some("c.id")),
                (
                    "INSERT INTO c (id, p) VALUES (2, 'nobody')",
                    Constraint::ForeignKey,
                    None,
                ),
                (
                    "INSERT INTO c (id, t) VALUES (2, NULL)",
                    Constraint::NotNull,
                    Some("c.t"),
                ),
                (
                    "INSERT INTO c (id, n) VALUES (2, 0)",
                    Constraint::Check,
                    Some("positive"),
                ),
                ("INSERT INTO c (id) VALUES ('two')", Constraint::Value, None),
                ("DELETE FROM c", Constraint::Check, None),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn postgresql_names_what_a_row_breaks() {
    live::postgres(async |live| {
        live.run(&[
            "CREATE TABLE p (id text PRIMARY KEY)",
            "CREATE TYPE mood AS ENUM ('good', 'bad')",
            "CREATE TABLE c (id int PRIMARY KEY, a varchar(3), p text, t text NOT NULL DEFAULT '', m mood, j jsonb, \
             n numeric(4,2), during int4range, CONSTRAINT a_key UNIQUE (a), CONSTRAINT positive CHECK (n > 0), \
             CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p (id) ON DELETE RESTRICT, \
             CONSTRAINT apart EXCLUDE USING gist (during WITH &&))",
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE '1062 (23000): it stays'; END $$",
            "CREATE TRIGGER no BEFORE DELETE ON c FOR EACH ROW EXECUTE FUNCTION no()",
            "INSERT INTO p VALUES ('p')",
            "INSERT INTO c (id, a, p, during) VALUES (1, 'x', 'p', '[1,5)')",
        ])
        .await;
        refused(
            &live,
            &[
                (
                    "INSERT INTO c (id, a) VALUES (2, 'x')",
                    Constraint::Unique,
                    Some("a_key"),
                ),
                ("INSERT INTO c (id) VALUES (1)", Constraint::Unique, Some("c_pkey")),
                (
                    "INSERT INTO c (id, during) VALUES (2, '[4,6)')",
                    Constraint::Unique,
                    Some("apart"),
                ),
                (
                    "INSERT INTO c (id, p) VALUES (2, 'nobody')",
                    Constraint::ForeignKey,
                    Some("c_p"),
                ),
                ("DELETE FROM p", Constraint::ForeignKey, Some("c_p")),
                ("INSERT INTO c (id, t) VALUES (2, NULL)", Constraint::NotNull, None),
                (
                    "INSERT INTO c (id, n) VALUES (2, 0)",
                    Constraint::Check,
                    Some("positive"),
                ),
                ("INSERT INTO c (id, n) VALUES (2, 100)", Constraint::Value, None),
                ("INSERT INTO c (id, a) VALUES (2, 'long')", Constraint::Value, None),
                ("INSERT INTO c (id, m) VALUES (2, 'so-so')", Constraint::Value, None),
                ("INSERT INTO c (id, j) VALUES (2, '{')", Constraint::Value, None),
                ("DELETE FROM c", Constraint::Check, None),
            ],
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn mysql_names_what_a_row_breaks() {
    live::mysql(async |live| {
        live.run(&[
            "CREATE TABLE p (id varchar(20) PRIMARY KEY)",
            "CREATE TABLE c (id int PRIMARY KEY, a varchar(3), p varchar(20), t varchar(9) NOT NULL, \
             l varchar(9) CHARACTER SET latin1, \
             n decimal(4,2), d datetime, e enum('good', 'bad'), CONSTRAINT a_key UNIQUE (a), \
             CONSTRAINT positive CHECK (n > 0), CONSTRAINT c_p FOREIGN KEY (p) REFERENCES p (id))",
            "CREATE TRIGGER no BEFORE DELETE ON c FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'it stays'",
            "INSERT INTO p VALUES ('p')",
            "INSERT INTO c (id, a, p, t) VALUES (1, 'x''y', 'p', '')",
        ])
        .await;
        refused(
            &live,
            &[
                (
                    "INSERT INTO c (id, t, a) VALUES (2, '', 'x''y')",
                    Constraint::Unique,
                    Some("a_key"),
                ),
                (
                    "INSERT INTO c (id, t) VALUES (1, '')",
                    Constraint::Unique,
                    Some("PRIMARY"),
                ),
                (
                    "INSERT INTO c (id, t, p) VALUES (2, '', 'nobody')",
                    Constraint::ForeignKey,
                    Some("c_p"),
                ),
                ("DELETE FROM p", Constraint::ForeignKey, Some("c_p")),
                ("INSERT INTO c (id, t) VALUES (2, NULL)", Constraint::NotNull, Some("t")),
                ("INSERT INTO c (id) VALUES (2)", Constraint::NotNull, Some("t")),
                (
                    "INSERT INTO c (id, t, n) VALUES (2, '', 0)",
                    Constraint::Check,
                    Some("positive"),
                ),
                ("INSERT INTO c (id, t, n) VALUES (2, '', 100)", Constraint::Value, None),
                (
                    "INSERT INTO c (id, t, a) VALUES (2, '', 'long')",
                    Constraint::Value,
                    None,
                ),
                ("INSERT INTO c (id, t, l) VALUES (2, '', '🌳')", Constraint::Value, None),
                (
                    "INSERT INTO c (id, t, d) VALUES (2, '', 'noon')",
                    Constraint::Value,
                    None,
                ),
                (
                    "INSERT INTO c (id, t, e) VALUES (2, '', 'so-so')",
                    Constraint::Value,
                    None,
                ),
                ("DELETE FROM c", Constraint::Check, None),
            ],
        )
        .await;
    })
    .await;
}
