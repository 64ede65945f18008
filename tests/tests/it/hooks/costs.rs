//! A hook costs no statement.

use grove_crdt_tests::{Statements, builder, create_table, entities::document};

use super::{Rules, plain, retitle, write};
use crate::merge::support::{changes_of, push};

async fn statements(hook: bool) -> Vec<usize> {
    let (db, statements) = Statements::of_new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let builder = builder("hub").0.entity::<document::Entity>();
    let builder = if hook { builder.hook(Rules::default()) } else { builder };
    let hub = builder.open(db).await.unwrap();
    let edge = plain("edge").await;
    write(&edge, "1", "one").await;
    let mut counts = Vec::new();
    statements.take();
    for title in ["two", "three"] {
        retitle(&edge, "1", title).await;
        let changes = changes_of(&edge, &["documents"]).await;
        push(&edge, &hub, &changes).await;
        counts.push(statements.take().len());
    }
    changes_of(&hub, &["documents"]).await;
    counts.push(statements.take().len());
    counts
}

/// A reader that is held back by a transaction under way, be it the database's own, looks again: what it takes is the fewest of
/// some tries.
async fn fewest(hook: bool) -> Vec<usize> {
    let mut fewest = statements(hook).await;
    for _ in 0..2 {
        for (fewest, again) in fewest.iter_mut().zip(statements(hook).await) {
            *fewest = (*fewest).min(again);
        }
    }
    fewest
}

#[apply(on_each_database!)]
async fn a_hook_costs_no_statement() {
    assert_eq!(fewest(true).await, fewest(false).await);
}
