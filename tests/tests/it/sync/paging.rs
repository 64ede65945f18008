//! Pages: whole transactions, in commit order, each change once.

use std::collections::BTreeSet;

use grove_crdt::Replica;
use grove_crdt_tests::{cells, written};
use sea_orm::{
    ActiveValue::Set, EntityTrait, ExprTrait as _, TransactionSession as _, TransactionTrait as _, sea_query::Expr,
};
use serde_json::Value as Json;

use crate::merge::{
    library::{TABLES, book, books_of, library, put_shelf, shelf},
    support::{Dice, carry, changes_of, pull, push},
};

/// A transaction that makes so many shelves, and a book on each.
async fn put_many(replica: &Replica, from: usize, count: usize) {
    let shelves = (from..from + count).map(|n| shelf::ActiveModel {
        id: Set(format!("s{n}")),
        name: Set(format!("shelf {n}")),
        within: Set(None),
    });
    let books = (from..from + count).map(|n| book::ActiveModel {
        id: Set(format!("b{n}")),
        shelf: Set(Some(format!("s{n}"))),
        title: Set(None),
        copies: Set(1),
        pages: Set(1),
        note: Set(None),
    });
    let tx = replica.begin().await.unwrap();
    shelf::Entity::insert_many(shelves).exec(&tx).await.unwrap();
    book::Entity::insert_many(books).exec(&tx).await.unwrap();
    tx.commit().await.unwrap();
}

/// All pages of `limit` changes, as `asker` gets them.
async fn pages(asker: &Replica, of: &Replica, limit: usize) -> Vec<Vec<Json>> {
    let mut pages = Vec::new();
    let mut cursor = None;
    loop {
        let page = pull(asker, of, TABLES, cursor.as_deref(), limit).await;
        assert!(page.changes.len() <= limit);
        assert!(
            !page.changes.is_empty() || !page.has_more,
            "an empty page that is not the last"
        );
        pages.push(
            page.changes
                .iter()
                .map(|change| serde_json::to_value(change).unwrap())
                .collect(),
        );
        if !page.has_more {
            let again = pull(asker, of, TABLES, Some(&page.cursor), limit).await;
            assert_eq!(
                (again.changes.len(), again.has_more, &again.cursor),
                (0, false, &page.cursor)
            );
            return pages;
        }
        cursor = Some(page.cursor);
    }
}

/// Which transaction a birth belongs to: all that one transaction writes has one clock value.
fn transaction(change: &Json) -> String {
    change["hlc"].to_string()
}

#[apply(on_each_database!)]
async fn a_page_splits_no_transaction_unless_it_alone_is_larger_than_a_page() {
    let (origin, _) = library("origin").await;
    let (asker, _) = library("asker").await;
    // Transactions of 2, 6, 2, 16, 2 and 4 changes.
    let mut from = 0;
    for count in [1, 3, 1, 8, 1, 2] {
        put_many(&origin, from, count).await;
        from += count;
    }
    let all = changes_of(&origin, TABLES).await;
    assert_eq!(all.len(), 32);
    for limit in 1..40 {
        let pages = pages(&asker, &origin, limit).await;
        // Everything, in order, each once.
        assert_eq!(pages.concat(), all, "limit {limit}");
        for page in &pages {
            let transactions: BTreeSet<_> = page.iter().map(transaction).collect();
            for transaction in &transactions {
                let whole = all
                    .iter()
                    .filter(|change| self::transaction(change) == *transaction)
                    .count();
                let here = page
                    .iter()
                    .filter(|change| self::transaction(change) == *transaction)
                    .count();
                // The rest of a large one may be followed by others.
                assert!(whole == here || whole > limit, "limit {limit}: {here} of {whole}");
            }
        }
    }
}

#[apply(on_each_database!)]
async fn a_huge_transaction_over_several_tables_is_gone_through_once_in_order() {
    let (origin, _) = library("origin").await;
    let (asker, _) = library("asker").await;
    put_many(&origin, 0, 1_234).await;
    put_shelf(&origin, "last", "last").await;
    let all = changes_of(&origin, TABLES).await;
    assert_eq!(all.len(), 2_469);
    for limit in [100, 997, 1_233, 1_234, 1_235, 2_468] {
        assert_eq!(pages(&asker, &origin, limit).await.concat(), all, "limit {limit}");
    }
    // Children come first in the order of tables; they wait, and in the end all is there.
    for page in pages(&asker, &origin, 997).await {
        assert_eq!(push(&origin, &asker, &page).await.rejected, []);
    }
    assert_eq!(books_of(&asker).await, books_of(&origin).await);
    assert_eq!(crate::merge::support::parked(&asker).await, Vec::<String>::new());
}

#[apply(on_each_database!)]
async fn what_is_written_while_someone_pages_through_is_not_missed() {
    let (origin, _) = library("origin").await;
    let (asker, _) = library("asker").await;
    put_many(&origin, 0, 20).await;
    let mut dice = Dice(7);
    let mut cursor: Option<String> = None;
    let mut written = 20;
    loop {
        let limit = 1 + dice.below(9);
        let page = pull(&asker, &origin, TABLES, cursor.as_deref(), limit).await;
        let changes: Vec<_> = page
            .changes
            .iter()
            .map(|change| serde_json::to_value(change).unwrap())
            .collect();
        push(&origin, &asker, &changes).await;
        cursor = Some(page.cursor);
        if written < 60 {
            put_many(&origin, written, 1).await;
            book::Entity::update_many()
                .col_expr(book::Column::Copies, Expr::col(book::Column::Copies).add(1))
                .exec(&origin)
                .await
                .unwrap();
            book::Entity::delete_by_id(format!("b{}", dice.below(written)))
                .exec(&origin)
                .await
                .unwrap();
            written += 1;
        } else if !page.has_more {
            break;
        }
    }
    for table in TABLES {
        assert_eq!(cells(&asker, table).await, cells(&origin, table).await);
    }
    assert_eq!(books_of(&asker).await, books_of(&origin).await);
}

#[apply(on_each_database!)]
async fn nothing_is_told_to_where_it_came_from_but_what_was_joined_is() {
    let (a, _) = library("a").await;
    let (b, _) = library("b").await;
    put_many(&a, 0, 2).await;
    carry(&a, &b, TABLES).await;
    assert_eq!(pull(&a, &b, TABLES, None, 100).await.changes, []);
    // What a third one has not, it is told.
    assert_eq!(changes_of(&b, TABLES).await.len(), 4);
    // A cell that both have written is neither's alone.
    book::ActiveModel::increment_copies(&b, "b0", 1).await.unwrap();
    let mut shelf = <shelf::ActiveModel as Default>::default();
    (shelf.id, shelf.name) = (Set("s0".into()), Set("by b".into()));
    shelf.update(&b).await.unwrap();
    let told = pull(&a, &b, TABLES, None, 100).await.changes;
    let told: Vec<_> = told
        .iter()
        .map(|change| (change.field.as_str(), change.cell.as_str()))
        .collect();
    assert_eq!(told, [("copies", "b"), ("name", "")]);
    // Births that meet: the one that came of both goes back to both.
    put_shelf(&a, "s9", "nine").await;
    put_shelf(&b, "s9", "neuf").await;
    carry(&a, &b, TABLES).await;
    let told = pull(&a, &b, TABLES, None, 100).await.changes;
    assert!(
        told.iter()
            .any(|change| change.pk == "s9" && change.node_id.as_str() == "b"),
        "{told:?}"
    );
}

#[apply(on_each_database!)]
async fn an_old_change_that_arrives_late_by_way_of_a_third_node_is_told_to_those_who_were_there_before() {
    let (hub, clock) = library("hub").await;
    clock.advance(std::time::Duration::from_secs(1));
    let (early, _) = library("early").await;
    let (late, _) = library("late").await;
    put_shelf(&late, "s1", "written first").await;
    put_many(&hub, 10, 3).await;
    let before = pull(&early, &hub, TABLES, None, 100).await;
    carry(&late, &hub, TABLES).await;
    let after = pull(&early, &hub, TABLES, Some(&before.cursor), 100).await;
    let told: Vec<_> = after.changes.iter().map(|change| change.pk.as_str()).collect();
    assert_eq!(told, ["s1"]);
    assert!(after.changes[0].hlc < before.changes.iter().map(|change| &change.hlc).max().unwrap().clone());
}

#[apply(on_each_database!)]
async fn asking_writes_nothing() {
    let (origin, _) = library("origin").await;
    let (asker, _) = library("asker").await;
    put_many(&origin, 0, 3).await;
    pages(&asker, &origin, 4).await;
    let before = written(&origin).await;
    pages(&asker, &origin, 4).await;
    assert_eq!(written(&origin).await, before);
}
