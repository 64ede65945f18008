//! Hooks: what an application sees, alters, skips and refuses of what is exchanged. The worked examples of `docs/hooks.md`
//! come first.

mod altering;
mod audit;
mod chain;
mod convergence;
mod costs;
mod merging;
mod pages;
mod panics;
mod paths;
mod refusing;
mod skipping;
mod tenants;
mod validation;

use grove_crdt::{
    Change, FakeClock, OrSet, Replica,
    sync::{HookError, OutboundPage, Peer, SyncHook, SyncReport, Syncer},
    transport::MemoryTransport,
};
use grove_crdt_tests::{builder, create_table, entities::document, new_database};
use sea_orm::{ActiveValue::Set, EntityTrait};

type Verdict = Result<Option<Change>, HookError>;
type OnChange = Box<dyn Fn(&Peer, Change) -> Verdict + Send + Sync>;
type OnMerge = Box<dyn Fn(&Peer, Change, Option<&Change>) -> Verdict + Send + Sync>;
type OnPage = Box<dyn Fn(&Peer, &mut OutboundPage) -> Result<(), HookError> + Send + Sync>;

/// A hook of closures.
#[derive(Default)]
struct Rules {
    inbound: Option<OnChange>,
    merge: Option<OnMerge>,
    outbound: Option<OnChange>,
    page: Option<OnPage>,
}

impl Rules {
    fn inbound(rule: impl Fn(&Peer, Change) -> Verdict + Send + Sync + 'static) -> Self {
        Self {
            inbound: Some(Box::new(rule)),
            ..Self::default()
        }
    }

    fn outbound(rule: impl Fn(&Peer, Change) -> Verdict + Send + Sync + 'static) -> Self {
        Self {
            outbound: Some(Box::new(rule)),
            ..Self::default()
        }
    }

    fn merge(rule: impl Fn(&Peer, Change, Option<&Change>) -> Verdict + Send + Sync + 'static) -> Self {
        Self {
            merge: Some(Box::new(rule)),
            ..Self::default()
        }
    }

    fn page(rule: impl Fn(&Peer, &mut OutboundPage) -> Result<(), HookError> + Send + Sync + 'static) -> Self {
        Self {
            page: Some(Box::new(rule)),
            ..Self::default()
        }
    }
}

#[async_trait::async_trait]
impl SyncHook for Rules {
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Verdict {
        match &self.inbound {
            Some(rule) => rule(peer, change),
            None => Ok(Some(change)),
        }
    }

    async fn before_merge(&self, peer: &Peer, remote: Change, local: Option<&Change>) -> Verdict {
        match &self.merge {
            Some(rule) => rule(peer, remote, local),
            None => Ok(Some(remote)),
        }
    }

    async fn before_outbound(&self, peer: &Peer, change: Change) -> Verdict {
        match &self.outbound {
            Some(rule) => rule(peer, change),
            None => Ok(Some(change)),
        }
    }

    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        self.page.as_ref().map_or(Ok(()), |rule| rule(peer, page))
    }
}

/// A replica of documents with a hook.
async fn replica(node: &str, hook: impl SyncHook) -> Replica {
    replica_at(node, hook).await.0
}

/// The same, with its clock.
async fn replica_at(node: &str, hook: impl SyncHook) -> (Replica, FakeClock) {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let (builder, clock) = builder(node);
    let builder = builder.entity::<document::Entity>().hook(hook);
    (builder.open(db).await.unwrap(), clock)
}

/// A replica of documents without one.
async fn plain(node: &str) -> Replica {
    grove_crdt_tests::replica_of::<document::Entity>(node).await
}

async fn write(replica: &Replica, id: &str, title: &str) {
    let doc = document::ActiveModel {
        id: Set(id.into()),
        title: Set(title.into()),
        view_count: Set(2),
        tags: Set(OrSet::from(["new".to_owned()])),
        author: Set(None),
    };
    doc.insert(replica).await.unwrap();
}

async fn retitle(replica: &Replica, id: &str, title: &str) {
    let doc = document::ActiveModel {
        id: sea_orm::ActiveValue::Unchanged(id.into()),
        title: Set(title.into()),
        ..Default::default()
    };
    doc.update(replica).await.unwrap();
}

/// The documents, as `id=title`.
async fn titles(replica: &Replica) -> Vec<String> {
    let docs = document::Entity::find().all(replica).await.unwrap();
    let mut titles: Vec<_> = docs.iter().map(|doc| format!("{}={}", doc.id, doc.title)).collect();
    titles.sort();
    titles
}

/// A syncer from one replica to another, whose name is `memory:` and the other's node id.
fn syncer(from: &Replica, to: &Replica) -> Syncer {
    let line = MemoryTransport::new(to);
    Syncer::builder(from).peer(line).page_size(5).build().unwrap()
}

async fn sync(from: &Replica, to: &Replica) -> SyncReport {
    syncer(from, to).sync().await.unwrap()
}

/// The dead letters, as `in|out pk field code: message`.
async fn letters(replica: &Replica) -> Vec<String> {
    let letters = replica.dead_letters().await.unwrap();
    let mut texts: Vec<_> = letters
        .iter()
        .map(|letter| {
            let change: Change = serde_json::from_str(&letter.change).unwrap();
            let way = if letter.inbound { "in" } else { "out" };
            format!(
                "{way} {} {} {}: {}",
                change.pk, change.field, letter.code, letter.message
            )
        })
        .collect();
    texts.sort();
    texts
}
