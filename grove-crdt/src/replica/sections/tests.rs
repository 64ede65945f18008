use sea_orm::DbBackend;
use sqlparser::ast::Statement;

use super::*;
use crate::replica::source::Source;

const ALL: [DbBackend; 3] = [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql];

fn sections(source: &Source) -> Option<Sections> {
    match source.parse().unwrap().pop().unwrap() {
        Statement::Update(update) => Sections::of_update(source, &update),
        Statement::Delete(delete) => Sections::of_delete(source, &delete),
        Statement::Insert(insert) => Sections::of_insert(source, &insert),
        other => panic!("{other}"),
    }
}

fn text(source: &Source, range: &Range<usize>) -> String {
    source.write(range.clone(), |value| format!("<{value}>"))
}

/// The parts of a statement, in the order of their fields.
#[track_caller]
fn parts(backend: DbBackend, sql: &str) -> Vec<String> {
    let source = Source::read(sql, backend).unwrap_or_else(|| panic!("{sql}"));
    let sections = sections(&source).unwrap_or_else(|| panic!("{sql}"));
    let one = [sections.tables, sections.selection, sections.order_by, sections.limit];
    let one = one.into_iter().flatten();
    let all = one.chain(sections.assigned).chain(sections.query);
    all.map(|range| text(&source, &range)).collect()
}

#[test]
fn clauses_are_found_in_every_dialect() {
    for backend in ALL {
        let sql = "UPDATE t AS x SET a = (SELECT 1 FROM b WHERE c), d = CASE WHEN e THEN 1 ELSE f END -- why\n\
                   WHERE g IN (1, 2) /* ; */ AND x.h IS NOT NULL;";
        let expected = [
            "g IN (1, 2)   AND x.h IS NOT NULL",
            "(SELECT 1 FROM b WHERE c)",
            "CASE WHEN e THEN 1 ELSE f END",
        ];
        let found: Vec<_> = parts(backend, sql)
            .iter()
            .map(|part| part.replace(" LOCK IN SHARE MODE", ""))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(parts(backend, "DELETE FROM t"), [""; 0]);
        assert_eq!(
            parts(
                backend,
                "INSERT INTO t (a, b) SELECT x.a, 'ON CONFLICT' FROM x JOIN y ON x.c = y.c"
            ),
            ["SELECT x.a, 'ON CONFLICT' FROM x JOIN y ON x.c = y.c"]
        );
    }
}

/// A printed literal may be another one to the database; one that is copied is not.
#[test]
fn literals_and_operators_are_copied() {
    for (backend, condition) in [
        (
            DbBackend::Sqlite,
            r"a = 'it''s \' AND b GLOB '*x' AND c -> '$.d' ->> 'e' = x'00ff'",
        ),
        (
            DbBackend::Postgres,
            r"a = E'it\'s \\ ' AND b = $$don't$$ AND c = $x$ $$ ; $x$",
        ),
        (
            DbBackend::Postgres,
            r"a = '\' AND j ? 'x' AND j ?| array['a', 'b'] AND k @> '{}'::jsonb",
        ),
        (
            DbBackend::Postgres,
            r"a = ANY('{1,2}'::int[]) AND b ILIKE 'x%' AND c > now() - INTERVAL '1 day'",
        ),
        (
            DbBackend::Postgres,
            r"a IS DISTINCT FROM b AND c[1:2] = ARRAY[1, 2] AND d #>> '{a}' = U&'\0061'",
        ),
        (
            DbBackend::Postgres,
            r#""a""b" AT TIME ZONE 'utc' < now() AND (b).c !~* 'x' AND "WHERE" = 1"#,
        ),
        (
            DbBackend::MySql,
            r"a = 'it\'s \\' AND b LIKE '50\%' AND c = 'x' 'y' AND d = 'a''b'",
        ),
        (
            DbBackend::MySql,
            r#"a = "it's" AND b = "say ""x"" \" -- " AND `c``d` REGEXP '\\d' AND e = @f"#,
        ),
        (
            DbBackend::MySql,
            r"a->>'$.b' = CAST(c AS CHAR) AND d = _utf8mb4'x' AND e = 0xff AND f = b'1'",
        ),
        (
            DbBackend::MySql,
            r"a < NOW() - INTERVAL 1 DAY AND b <=> c AND MATCH (d) AGAINST ('x' IN BOOLEAN MODE)",
        ),
    ] {
        assert_eq!(parts(backend, &format!("DELETE FROM t WHERE {condition}")), [condition]);
    }
}

#[test]
fn values_stand_where_their_placeholders_stood() {
    let sql = "UPDATE t SET a = ?, b = '?' WHERE c = ? -- ?\n AND d IN (?, ?)";
    for backend in [DbBackend::Sqlite, DbBackend::MySql] {
        let found = parts(backend, sql);
        assert_eq!(
            found[0].split_whitespace().collect::<Vec<_>>().join(" "),
            "c = <1> AND d IN (<2>, <3>)"
        );
        assert_eq!(found[1..], ["<0>", "'?'"]);
    }
    let sql = "UPDATE t SET a = $2 FROM o WHERE j ? 'x' AND c = $1 OR d = $2::text AND e = '$1'";
    let expected = ["o", "j ? 'x' AND c = <0> OR d = <1>::text AND e = '$1'", "<1>"];
    assert_eq!(parts(DbBackend::Postgres, sql), expected);
}

#[test]
fn other_tables_orders_and_limits() {
    let sql = "UPDATE s.t SET a = x IS DISTINCT FROM y, b = 1 FROM (VALUES (1)) AS v(n) JOIN o ON o.n = v.n \
               WHERE o.a = 1 RETURNING *";
    let expected = [
        "(VALUES (1)) AS v(n) JOIN o ON o.n = v.n",
        "o.a = 1",
        "x IS DISTINCT FROM y",
        "1",
    ];
    assert_eq!(parts(DbBackend::Postgres, sql), expected);
    let sql = "DELETE FROM t USING a, b AS c WHERE a.x = t.x RETURNING t.y";
    assert_eq!(parts(DbBackend::Postgres, sql), ["a, b AS c", "a.x = t.x"]);
    let sql = "UPDATE LOW_PRIORITY IGNORE t SET a = 1 WHERE t.`order` = 2 ORDER BY b DESC, c LIMIT ?";
    assert_eq!(parts(DbBackend::MySql, sql), ["t.`order` = 2", "b DESC, c", "<0>", "1"]);
    let sql = "DELETE QUICK FROM t ORDER BY b LIMIT 3";
    assert_eq!(parts(DbBackend::MySql, sql), ["b", "3"]);
}

#[test]
fn queries_of_inserts() {
    let query = "WITH x AS (SELECT 1) SELECT a FROM x JOIN y ON true WHERE a > 1";
    let sql = format!("INSERT INTO t (a) {query} ON CONFLICT (a) WHERE b > 1 DO UPDATE SET a = excluded.a RETURNING *");
    assert_eq!(parts(DbBackend::Postgres, &sql), [query]);
    assert_eq!(
        parts(DbBackend::Postgres, "INSERT INTO t (a) (SELECT 1)"),
        ["(SELECT 1)"]
    );
    let sql = "INSERT INTO t SELECT a FROM x WHERE b IN (SELECT c FROM d) ON DUPLICATE KEY UPDATE a = VALUES(a)";
    let expected = "SELECT a FROM x WHERE b IN (SELECT c FROM d LOCK IN SHARE MODE)";
    assert_eq!(parts(DbBackend::MySql, sql), [expected]);
    assert_eq!(parts(DbBackend::MySql, "INSERT INTO t TABLE x"), ["TABLE x"]);
    assert_eq!(parts(DbBackend::MySql, "INSERT INTO t VALUES (1), (2)"), [""; 0]);
}

#[test]
fn queries_in_a_condition_read_what_is() {
    let sql = "DELETE FROM t WHERE a = (SELECT 1 FROM x FOR UPDATE) AND b IN (SELECT (c) FROM (SELECT 1) AS d)";
    let lock = "LOCK IN SHARE MODE";
    assert_eq!(
        parts(DbBackend::MySql, sql),
        [format!(
            "a = (SELECT 1 FROM x FOR UPDATE) AND b IN (SELECT (c) FROM (SELECT 1 {lock}) AS d {lock})"
        )]
    );
}
