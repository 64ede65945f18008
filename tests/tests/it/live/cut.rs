//! Connections that break at any byte.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use grove_crdt::{sync::Syncer, transport::HttpTransport};
use grove_crdt_tests::serve::serve;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{Running, equal, events::Events};
use crate::{merge::support::Dice, notes};

/// A way to a server that breaks off every answer after some bytes, until it has done so often enough.
struct Cutter {
    url: String,
    /// How often it still cuts.
    left: Arc<AtomicUsize>,
}

impl Cutter {
    async fn before(url: &str, cuts: usize, seed: u64) -> Self {
        let target = url.trim_start_matches("http://").trim_end_matches("/sync").to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/sync", listener.local_addr().unwrap());
        let left = Arc::new(AtomicUsize::new(cuts));
        let still = left.clone();
        tokio::spawn(async move {
            let mut dice = Dice(seed);
            while let Ok((client, _)) = listener.accept().await {
                let cut = still.load(Ordering::SeqCst) > 0;
                let most = cut.then(|| 200 + dice.below(4_000));
                tokio::spawn(carry(client, target.clone(), most, still.clone()));
            }
        });
        Self { url, left }
    }
}

/// Carries bytes both ways; when so many have come back, breaks off.
async fn carry(mut client: TcpStream, target: String, most: Option<usize>, left: Arc<AtomicUsize>) {
    let mut server = TcpStream::connect(target).await.unwrap();
    let Some(mut most) = most else {
        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    };
    let (mut up, mut down) = ([0; 1_024], [0; 1_024]);
    loop {
        tokio::select! {
            sent = client.read(&mut up) => match sent {
                Ok(count @ 1..) if server.write_all(&up[..count]).await.is_ok() => {}
                _ => return,
            },
            answered = server.read(&mut down) => match answered {
                Ok(count @ 1..) => {
                    let passed = count.min(most);
                    let _ = client.write_all(&down[..passed]).await;
                    most -= passed;
                    if most == 0 {
                        // Others may be cut at once with the last.
                        let one_less = |left: usize| left.checked_sub(1);
                        let _ = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}

fn seed() -> u64 {
    let seed = match std::env::var("GROVE_CUT_SEED") {
        Ok(seed) => seed.parse().expect("a number"),
        Err(_) => rand::random(),
    };
    println!("GROVE_CUT_SEED={seed}");
    seed
}

/// A reader that goes on from the last event it has seen whole gets everything, in order.
#[apply(on_each_database!)]
async fn ten_reconnects_at_any_byte_lose_nothing() {
    const COUNT: usize = 400;
    let hub = notes::replica("hub").await;
    let cutter = Cutter::before(&serve(&hub).await, 10, seed()).await;
    let writer = tokio::spawn(async move {
        for n in 0..COUNT {
            notes::write(&hub, &format!("{n:04}"), "a title of some length").await;
        }
        hub
    });
    let (mut seen, mut last) = (Vec::new(), None);
    while seen.len() < COUNT {
        let mut events = Events::open(&cutter.url, "tables=notes", last.as_deref()).await;
        while seen.len() < COUNT
            && let Some(event) = events.next_or_comment().await
        {
            if event.kind == "changes" {
                seen.extend(event.keys());
                last = Some(event.id);
            }
        }
    }
    let expected: Vec<_> = (0..COUNT).map(|n| format!("{n:04}")).collect();
    assert_eq!(seen, expected);
    assert_eq!(cutter.left.load(Ordering::SeqCst), 0, "it was never cut");
    writer.await.unwrap();
}

/// The same for a syncer, whose pulls and pushes break as well.
#[apply(on_each_database!)]
async fn a_syncer_behind_a_line_that_breaks_ends_with_the_same_tables() {
    let (hub, edge) = (notes::replica("hub").await, notes::replica("edge").await);
    let cutter = Cutter::before(&serve(&hub).await, 30, seed()).await;
    let builder = Syncer::builder(&edge).peer(HttpTransport::new(&cutter.url).unwrap());
    let running = Running::new(builder.interval(Duration::from_millis(200)));
    let mut n = 0;
    while cutter.left.load(Ordering::SeqCst) > 0 {
        notes::write(&hub, &format!("hub-{n}"), "a title of some length").await;
        notes::write(&edge, &format!("edge-{n}"), "a title of some length").await;
        n += 1;
        assert!(n < 20_000, "it was not cut often enough");
    }
    equal(&hub, &edge).await;
    running.stop().await;
}
