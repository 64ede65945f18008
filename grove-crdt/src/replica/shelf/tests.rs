use std::{convert::Infallible, sync::atomic::AtomicI64, time::Duration};

use rand::RngExt as _;
use tokio::{sync::oneshot, task::JoinSet};

use super::*;
use crate::clock::Hlc;

fn at(version: i64) -> Position {
    Position { version, within: None }
}

/// A change that says which version it has.
fn change(version: i64) -> Change {
    Change {
        table: "t".into(),
        pk: version.to_string(),
        field: String::new(),
        cell: String::new(),
        crdt_type: "record".into(),
        epoch: 1,
        hlc: Hlc::baseline(),
        node_id: Hlc::baseline().node,
        value: None,
        counter: None,
        set: None,
        tombstone: false,
    }
}

/// The changes after a version up to another, or so many of them.
fn page(from: i64, to: i64, most: usize, bytes: usize) -> Reading {
    let written = serde_json::to_string(&"x".repeat(bytes)).unwrap();
    let versions: Vec<_> = (from + 1..=to).take(most).collect();
    let end = versions.last().copied().unwrap_or(from);
    Reading {
        came_from: vec![None; versions.len()],
        changes: versions.into_iter().map(change).collect(),
        position: at(end),
        has_more: end < to,
        held_back: false,
        cursor: String::new(),
        latest_hlc: None,
        written: RawValue::from_string(written).unwrap(),
    }
}

async fn take(shelf: &Shelf, from: i64, since: Moment, read: Result<Reading, ()>) -> Result<(i64, bool), ()> {
    let taken = shelf.take(&at(from), since, true, 10, async { read }).await?;
    Ok((taken.page.position.version, taken.is_new))
}

#[tokio::test]
async fn whoever_stands_at_the_same_place_is_given_what_was_read() {
    let shelf = Shelf::default();
    let since = shelf.moment();
    assert_eq!(take(&shelf, 0, since, Ok(page(0, 2, 10, 1))).await, Ok((2, true)));
    assert_eq!(take(&shelf, 0, since, Err(())).await, Ok((2, true)));
    assert_eq!(take(&shelf, 1, since, Err(())).await, Err(()), "another place");
}

/// An old page is a part of the way; that there was nothing at the time says nothing of now.
#[tokio::test]
async fn an_old_page_is_taken_when_there_is_something_in_it() {
    let shelf = Shelf::default();
    let since = shelf.moment();
    assert_eq!(take(&shelf, 0, since, Ok(page(0, 2, 10, 1))).await, Ok((2, true)));
    assert_eq!(take(&shelf, 2, since, Ok(page(2, 2, 10, 1))).await, Ok((2, true)));
    assert_eq!(take(&shelf, 2, since, Err(())).await, Ok((2, true)));
    let later = shelf.moment();
    assert_eq!(take(&shelf, 0, later, Err(())).await, Ok((2, false)));
    let read = async { Ok::<_, Infallible>(page(0, 3, 10, 1)) };
    let Ok(new) = shelf.take(&at(0), later, false, 10, read).await;
    assert_eq!((&new.page.position, new.is_new), (&at(3), true));
    assert_eq!(take(&shelf, 0, later, Err(())).await, Ok((3, true)));
    assert_eq!(take(&shelf, 2, later, Ok(page(2, 3, 10, 1))).await, Ok((3, true)));
    assert_eq!(take(&shelf, 2, later, Err(())).await, Ok((3, true)));
}

#[tokio::test]
async fn who_takes_small_pages_reads_them_alone() {
    let shelf = Shelf::default();
    let since = shelf.moment();
    assert_eq!(take(&shelf, 0, since, Ok(page(0, 5, 10, 1))).await, Ok((5, true)));
    let read = async { Ok::<_, Infallible>(page(0, 5, 3, 1)) };
    let Ok(small) = shelf.take(&at(0), since, true, 3, read).await;
    assert_eq!(small.page.position, at(3));
    assert_eq!(
        take(&shelf, 0, since, Err(())).await,
        Ok((5, true)),
        "the large one stays"
    );
}

#[tokio::test]
async fn what_one_reads_the_others_wait_for() {
    let shelf = Arc::new(Shelf::default());
    let (begin, begun) = oneshot::channel();
    let since = shelf.moment();
    let first = tokio::spawn({
        let shelf = shelf.clone();
        async move {
            let read = async { begun.await.map(|()| page(0, 2, 10, 1)).map_err(drop) };
            shelf
                .take(&at(0), since, true, 10, read)
                .await
                .map(|taken| taken.page.position.clone())
        }
    });
    tokio::task::yield_now().await;
    let mut second = std::pin::pin!(take(&shelf, 0, since, Err(())));
    assert!(futures_util::poll!(&mut second).is_pending());
    begin.send(()).unwrap();
    assert_eq!(second.await, Ok((2, true)));
    assert_eq!(first.await.unwrap(), Ok(at(2)));
}

#[tokio::test]
async fn a_reader_that_fails_or_goes_leaves_the_others_to_read() {
    let shelf = Shelf::default();
    let since = shelf.moment();
    assert_eq!(take(&shelf, 0, since, Err(())).await, Err(()));
    assert_eq!(take(&shelf, 0, since, Ok(page(0, 1, 10, 1))).await, Ok((1, true)));

    let never = std::future::pending::<Result<Reading, ()>>();
    let place = at(1);
    let mut gone = Box::pin(shelf.take(&place, since, true, 10, never));
    assert!(futures_util::poll!(&mut gone).is_pending());
    let mut waiting = std::pin::pin!(take(&shelf, 1, since, Ok(page(1, 2, 10, 1))));
    assert!(futures_util::poll!(&mut waiting).is_pending());
    drop(gone);
    assert_eq!(waiting.await, Ok((2, true)));
    assert_eq!(take(&shelf, 1, since, Ok(page(1, 3, 10, 1))).await, Ok((3, true)));
    assert_eq!(take(&shelf, 1, since, Err(())).await, Ok((3, true)));
}

#[tokio::test]
async fn so_many_pages_and_bytes_are_kept_and_the_newest_of_them() {
    let shelf = Shelf::default();
    let since = shelf.moment();
    for version in 0..300 {
        take(&shelf, version, since, Ok(page(version, version + 1, 1, 1)))
            .await
            .unwrap();
    }
    assert_eq!(shelf.pages().places.len(), MOST);
    assert_eq!(take(&shelf, 299, since, Err(())).await, Ok((300, true)));
    for version in 300..310 {
        take(&shelf, version, since, Ok(page(version, version + 1, 1, KEPT / 4 - 2)))
            .await
            .unwrap();
    }
    assert_eq!(shelf.pages().places.len(), 4);
    take(&shelf, 310, since, Ok(page(310, 311, 1, KEPT + 1))).await.unwrap();
    assert_eq!(
        take(&shelf, 310, since, Err(())).await,
        Err(()),
        "one that is too large alone"
    );
}

/// Whoever opens streams of many choices of tables fills no memory with it.
#[tokio::test]
async fn all_shelves_together_keep_so_many_bytes() {
    let shelves = Shelves::default();
    let many: Vec<_> = (0..20).map(|n| shelves.of(&[n.to_string()])).collect();
    for shelf in &many {
        let since = shelf.moment();
        for version in 0..20 {
            take(shelf, version, since, Ok(page(version, version + 1, 1, KEPT / 4 - 2)))
                .await
                .unwrap();
        }
    }
    let kept = || shelves.bytes.load(Ordering::SeqCst);
    assert_eq!(kept(), KEPT_IN_ALL);
    let pages = many.iter().map(|shelf| shelf.pages().places.len());
    assert_eq!(pages.sum::<usize>(), KEPT_IN_ALL / (KEPT / 4));
    drop(many);
    assert_eq!(kept(), 0);
}

#[tokio::test]
async fn a_shelf_is_there_as_long_as_somebody_has_it() {
    let shelves = Shelves::default();
    let (notes, drafts) = (["notes".to_owned()], ["drafts".to_owned()]);
    let shelf = shelves.of(&notes);
    assert!(!shelf.is_shared());
    assert!(!shelves.of(&drafts).is_shared());
    let other = shelves.of(&notes);
    assert!(Arc::ptr_eq(&shelf, &other) && shelf.is_shared());
    let both = ["b", "a"].map(str::to_owned);
    let (one, same) = (shelves.of(&both), shelves.of(&["a".to_owned(), "b".to_owned()]));
    assert!(Arc::ptr_eq(&one, &same));
    drop((shelf, other, one, same));
    assert!(!shelves.of(&notes).is_shared());
    assert_eq!(shelves.shelves.lock().unwrap().len(), 1);
}

/// Gives way so that others come in between, or not.
async fn give_way() {
    let times = rand::rng().random_range(0..4);
    for _ in 0..times {
        tokio::task::yield_now().await;
    }
}

/// Readers that wait for news get everything that is committed, once and in order, however they and the writer meet.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_misses_anything_or_is_given_it_twice() {
    const COMMITS: i64 = 3_000;
    let (shelf, newest) = (Arc::new(Shelf::default()), Arc::new(AtomicI64::new(0)));
    let posts = watch::Sender::new(());
    let reads = Arc::new(AtomicU64::new(0));
    let mut readers = JoinSet::new();
    for most in [1, 2, 7, 100, 100, 100, 100, 100] {
        let (shelf, newest, reads, mut news) = (shelf.clone(), newest.clone(), reads.clone(), posts.subscribe());
        readers.spawn(async move {
            let mut seen = Vec::new();
            let mut end = 0;
            while end < COMMITS {
                let since = shelf.moment();
                let read = async {
                    reads.fetch_add(1, Ordering::Relaxed);
                    give_way().await;
                    let to = newest.load(Ordering::SeqCst);
                    give_way().await;
                    Ok::<_, Infallible>(page(end, to, most, 10))
                };
                let Ok(taken) = shelf.take(&at(end), since, true, most, read).await;
                seen.extend(taken.page.changes.iter().map(|change| change.pk.clone()));
                end = taken.page.position.version;
                give_way().await;
                if end < COMMITS && taken.is_new && !taken.page.has_more {
                    news.changed().await.unwrap();
                }
            }
            seen
        });
    }
    for _ in 0..COMMITS {
        newest.fetch_add(1, Ordering::SeqCst);
        posts.send_replace(());
        give_way().await;
    }
    let all = tokio::time::timeout(Duration::from_mins(1), readers.join_all()).await;
    let expected: Vec<_> = (1..=COMMITS).map(|version| version.to_string()).collect();
    for seen in all.expect("somebody waits for what is there") {
        assert_eq!(seen, expected);
    }
}
