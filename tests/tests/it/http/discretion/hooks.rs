//! Hooks that fail.

use std::sync::Arc;

use grove_crdt::{
    Change,
    server::SyncServer,
    sync::{HookError, OutboundPage, Peer, SyncHook},
};
use grove_crdt_tests::new_database;
use sea_orm::DbErr;
use serde_json::json;

use super::{Log, Told, birth, entries, ledger, push_body, serve};

/// How a hook fails.
#[derive(Clone, Copy, Debug)]
enum Way {
    Error,
    Panic,
    /// Makes something of the change that it must not.
    Misuse,
}

/// Fails in one of its methods.
#[derive(Debug)]
struct Fails(&'static str, Way);

const REASON: &str = "no such table: secret_tenants";

impl Fails {
    fn pass(&self, method: &str, mut change: Change) -> Result<Option<Change>, HookError> {
        if self.0 != method {
            return Ok(Some(change));
        }
        match self.1 {
            Way::Error => Err(DbErr::Custom(REASON.to_owned()).into()),
            Way::Panic => panic!("{REASON}"),
            Way::Misuse => {
                change.value = Some(json!({ "lww": { "voucher": { REASON: 1 } } }));
                change.epoch += u32::from(method == "before_outbound");
                Ok(Some(change))
            }
        }
    }
}

#[async_trait::async_trait]
impl SyncHook for Fails {
    async fn before_inbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.pass("before_inbound", change)
    }

    async fn before_merge(&self, _: &Peer, remote: Change, _: Option<&Change>) -> Result<Option<Change>, HookError> {
        self.pass("before_merge", remote)
    }

    async fn before_outbound(&self, _: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        self.pass("before_outbound", change)
    }

    async fn before_page(&self, _: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        let first = page.changes().next().cloned();
        first.map_or(Ok(()), |change| self.pass("before_page", change).map(drop))
    }
}

async fn server(hook: Fails) -> String {
    let replica = ledger(new_database().await, |builder| builder.hook(Arc::new(hook))).await;
    serve(SyncServer::builder(&replica).allow_anonymous().router()).await
}

#[apply(on_each_database!)]
async fn a_hook_that_fails_on_the_way_in() {
    for method in ["before_inbound", "before_merge"] {
        for way in [Way::Error, Way::Panic, Way::Misuse] {
            let (log, _logging) = Log::begin();
            let url = server(Fails(method, way)).await;
            let told = Told::post(&url, "push", &push_body(&json!([birth(2, json!({}))]))).await;
            told.is(200, "hook_failed");
            let log = log.take();
            assert!(log.contains("secret_tenants"), "{method} {way:?}: {log}");
        }
    }
}

#[apply(on_each_database!)]
async fn a_hook_that_fails_on_the_way_out() {
    for (method, way) in [
        ("before_outbound", Way::Error),
        ("before_outbound", Way::Panic),
        ("before_outbound", Way::Misuse),
        ("before_page", Way::Error),
        ("before_page", Way::Panic),
    ] {
        let (log, _logging) = Log::begin();
        let url = server(Fails(method, way)).await;
        let pulled = Told::post(&url, "pull", &entries()).await;
        if method == "before_page" {
            pulled.is(403, "hook_failed");
            // The first event has no changes while a transaction under way holds them back.
            let streamed = Told::stream(&url, "tables=entries", "event: error").await;
            streamed.is(200, "hook_failed");
        } else {
            let streamed = Told::stream(&url, "tables=entries", "data: {").await;
            assert!(pulled.text.contains("\"changes\":[]"), "{}", pulled.text);
            assert!(streamed.text.contains("\"changes\":[]"), "{}", streamed.text);
        }
        let log = log.take();
        let reason = match way {
            Way::Misuse => "another change",
            _ => REASON,
        };
        assert!(log.contains(reason), "{method} {way:?}: {log}");
    }
}
