//! Scenarios that are known to happen, each by itself.

use grove_crdt_tests::{
    backend,
    database::{DbBackend, Places},
};

use super::{
    combinations::{WAYS, carry_out},
    program::Log,
    scenarios::{Kinds, scenarios},
    schema::{Action, When},
};

/// The scenarios whose names begin so arrive whole, in all ways, with keys and constraints of these kinds.
async fn arrive(names: &[&str], kinds: &[Kinds]) {
    let places = Places::default();
    let mut failing = Vec::new();
    let mut count = 0;
    for kinds in kinds {
        for scenario in scenarios(*kinds) {
            if !names.iter().any(|name| scenario.name.starts_with(name)) {
                continue;
            }
            count += 1;
            for way in scenario.ways(&WAYS) {
                let log = Log::default();
                if let Err(wrong) = carry_out(&scenario, way, &places, &log).await {
                    failing.push(format!(
                        "{}, {way:?}, {kinds:?}:\n{}\n{wrong}",
                        scenario.name,
                        log.text()
                    ));
                }
            }
        }
    }
    assert!(count >= names.len(), "a scenario has another name");
    assert!(failing.is_empty(), "{}", failing.join("\n\n"));
}

fn plain(on_delete: Action) -> Kinds {
    Kinds {
        on_delete,
        key: When::AtOnce,
        unique: When::AtOnce,
    }
}

/// Keys that are checked at once, and where there are such, keys that are checked at the end.
fn keys(on_delete: Action) -> Vec<Kinds> {
    let at_once = plain(on_delete);
    let mut kinds = vec![at_once];
    if backend() != DbBackend::MySql {
        kinds.push(Kinds {
            key: When::AtTheEnd,
            ..at_once
        });
    }
    kinds
}

#[apply(on_each_database!)]
async fn tables_that_refer_to_each_other() {
    arrive(&["teams with captains", "a team dissolved"], &keys(Action::NoAction)).await;
    arrive(&["teams with captains", "a team dissolved"], &keys(Action::Cascade)).await;
}

#[apply(on_sqlite_and_postgres!)]
async fn tables_that_require_each_other() {
    arrive(&["two tables that require each other"], &keys(Action::NoAction)[1..]).await;
}

#[apply(on_each_database!)]
async fn rows_of_a_table_that_refer_to_each_other_in_a_circle() {
    // A row can't be deleted with the one that it has to refer to where each is checked at once.
    let names: &[&str] = match backend() {
        DbBackend::MySql => &["x, y and z"],
        _ => &["x, y and z", "a circle of rows"],
    };
    arrive(names, &keys(Action::NoAction)).await;
    arrive(names, &keys(Action::Cascade)).await;
}

#[apply(on_each_database!)]
async fn positions_that_shift() {
    arrive(&["positions shifted"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn a_slug_that_is_handed_on() {
    arrive(&["slug handed on", "row deleted, its key"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn slugs_that_are_swapped() {
    arrive(&["slug swapped"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn small_integers_that_go_round() {
    arrive(&["ring of four on SMALLINT"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn uuids_that_go_round() {
    arrive(&["ring of four on UUID"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn short_texts_that_go_round() {
    arrive(&["ring of four on VARCHAR(4)"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn checked_integers_that_go_round() {
    arrive(&["ring of four on INT with a CHECK"], &[plain(Action::Cascade)]).await;
}

#[apply(on_each_database!)]
async fn a_hundred_and_fifty_rows_that_are_reordered() {
    arrive(&["150 rows"], &[plain(Action::Cascade)]).await;
}

#[apply(on_postgres!)]
async fn unique_values_that_are_checked_at_the_end() {
    let kinds = [When::Deferrable, When::AtTheEnd].map(|unique| Kinds {
        unique,
        ..plain(Action::Cascade)
    });
    arrive(&["ring of four", "slug swapped", "positions shifted"], &kinds).await;
}
