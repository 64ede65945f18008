use super::*;

#[track_caller]
fn is_random(backend: DbBackend, text: &str) -> bool {
    let source = Source::read(text, backend).unwrap();
    source.is_random(0..source.tokens())
}

/// Columns and tables that are called so were once taken for it.
#[test]
fn only_a_call_is_random() {
    for text in ["random() > 0", "id = UUID ( )", "x IN (SELECT randomblob(4))"] {
        for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
            assert!(is_random(backend, text), "{text}");
        }
    }
    assert!(is_random(DbBackend::MySql, "a = (@n := @n + 1)"));
    assert!(is_random(DbBackend::MySql, "a = NEXT VALUE FOR s"));
    assert!(is_random(
        DbBackend::Postgres,
        "a < clock_timestamp() AND b = pg_catalog.nextval('s')"
    ));
    for text in [
        "\"devices\".\"uuid\" = ?1",
        "uuid IN (?1)",
        "brand(x) = 1",
        "name = 'random()'",
        "user_uuids.random = 1",
    ] {
        assert!(!is_random(DbBackend::Sqlite, text), "{text}");
    }
    assert!(!is_random(DbBackend::MySql, r"name = 'it\'s random()'"));
    assert!(!is_random(DbBackend::Postgres, "name = $$random()$$ -- random()"));
}

#[test]
fn tokens_are_cut_at_their_bytes() {
    let text = "SELECT 'ü𝄞'\r\n,\t\"é\"\n  -- ö\n  , 'x'";
    for backend in [DbBackend::Sqlite, DbBackend::Postgres, DbBackend::MySql] {
        let source = Source::read(text, backend).unwrap();
        let all: String = (0..source.tokens()).map(|index| source.text_of(index)).collect();
        assert_eq!(all, text);
        assert_eq!(source.write(2..3, |_| String::new()), "'ü𝄞'");
    }
}

#[test]
fn the_time_of_day_is_no_name() {
    let timed = |backend, text: &str| {
        let source = Source::read(text, backend).unwrap();
        source.is_timed(0..source.tokens())
    };
    assert!(timed(DbBackend::Sqlite, "SELECT strftime('%f', 'now')"));
    assert!(timed(DbBackend::MySql, "SELECT NOW()"));
    assert!(timed(DbBackend::MySql, "SELECT CURRENT_TIMESTAMP"));
    assert!(!timed(DbBackend::Postgres, "SELECT now(), CURRENT_TIMESTAMP"));
    assert!(!timed(DbBackend::Sqlite, "SELECT now, 'current_time'"));
}
