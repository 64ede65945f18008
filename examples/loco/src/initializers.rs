//! Replication starts with the application.

use grove_crdt::{Replica, Service, server::SyncServer, sync::Peer};
use loco_rs::prelude::*;
use serde::Deserialize;

use crate::models;

/// The block `initializers: grove_crdt:` of the configuration.
#[derive(Deserialize)]
struct Settings {
    /// This node's id.
    node: String,
    /// What the nodes that sync with it send as their bearer token.
    token: String,
}

/// Opens the replica, and serves it at `/sync`.
pub struct GroveCrdt;

#[async_trait]
impl Initializer for GroveCrdt {
    fn name(&self) -> String {
        "grove_crdt".to_owned()
    }

    /// Before the routes are made, so that handlers find the replica.
    async fn before_run(&self, ctx: &AppContext) -> Result<()> {
        let settings = settings(ctx)?;
        let opened = Replica::builder(settings.node)
            .entity::<models::Entity>()
            .open(ctx.db.clone())
            .await;
        ctx.shared_store.insert(opened.map_err(Error::wrap)?);
        Ok(())
    }

    async fn after_routes(&self, router: axum::Router, ctx: &AppContext) -> Result<axum::Router> {
        let replica = replica(ctx)?;
        let token = [(settings(ctx)?.token, Peer::new("edges"))];
        let server = SyncServer::builder(&replica)
            .bearer_tokens(token)
            .map_err(Error::wrap)?;
        let service = Service::builder(&replica).server(server).start().map_err(Error::wrap)?;
        let router = router.merge(service.router());
        ctx.shared_store.insert(service);
        Ok(router)
    }
}

/// Ends replication, when the application is told to end.
pub async fn shut_down(ctx: &AppContext) {
    if let Some(service) = ctx.shared_store.get::<Service>() {
        service.stop().await;
    }
}

/// The replica: the connection to write through.
///
/// # Errors
///
/// The initializer has not run.
pub fn replica(ctx: &AppContext) -> Result<Replica> {
    let replica = ctx.shared_store.get::<Replica>();
    replica.ok_or_else(|| Error::string("add the initializer `GroveCrdt` to the application"))
}

fn settings(ctx: &AppContext) -> Result<Settings> {
    let initializers = ctx.config.initializers.as_ref();
    let block = initializers.and_then(|initializers| initializers.get("grove_crdt"));
    let block = block.ok_or_else(|| Error::string("add `initializers: grove_crdt:` to the configuration"))?;
    Ok(serde_json::from_value(block.clone())?)
}
