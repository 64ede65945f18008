//! Tenant isolation: a peer neither sees nor writes others' rows.
//!
//! There are two right ways to tell whose a change is. One is the key: it is part of every change, deletions included. The
//! other is a column that no one changes, looked up in the database; a deleted row is not there to be looked up, so what
//! its birth said is asked where the merge has it. On the way out, a deletion says nothing but the key: with keys that say
//! nothing either, everybody may hear of it.

use std::collections::HashMap;

use grove_crdt::{
    Change, OrSet, Replica,
    server::SyncServer,
    sync::{HookError, OutboundPage, Peer, SyncHook, Syncer},
    transport::{HttpTransport, MemoryTransport},
};
use grove_crdt_tests::{builder, create_table, entities::document, new_database};
use sea_orm::{
    ActiveValue::Set, ColumnTrait as _, DatabaseConnection, EntityTrait, QueryFilter as _, QuerySelect as _,
};

use super::{letters, plain, replica, titles, write};

/// Keys begin with the tenant: `acme/doc-1`.
struct TenantInKey;

impl TenantInKey {
    fn owns(peer: &Peer, change: &Change) -> bool {
        let owner = change.pk.split_once('/').map(|(owner, _)| owner);
        owner.is_some() && owner == peer.attribute("tenant")
    }
}

#[async_trait::async_trait]
impl SyncHook for TenantInKey {
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        if Self::owns(peer, &change) {
            return Ok(Some(change));
        }
        Err(HookError::new("not_yours", "a key begins with your tenant's name"))
    }

    async fn before_outbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        Ok(Self::owns(peer, &change).then_some(change))
    }
}

fn of(tenant: &str) -> Peer {
    Peer::new(format!("edge of {tenant}")).with_attribute("tenant", tenant)
}

fn as_tenant(edge: &Replica, cloud: &Replica, tenant: &str) -> Syncer {
    let line = MemoryTransport::new(cloud).asking_as(of(tenant));
    Syncer::builder(edge).peer(line).build().unwrap()
}

async fn delete(replica: &Replica, id: &str) {
    document::Entity::delete_by_id(id).exec(replica).await.unwrap();
}

#[apply(on_each_database!)]
async fn a_peer_sees_and_writes_its_own_tenants_rows_only() {
    let cloud = replica("cloud", TenantInKey).await;
    let (acme, bolt) = (plain("acme-edge").await, plain("bolt-edge").await);
    let (to_acme, to_bolt) = (as_tenant(&acme, &cloud, "acme"), as_tenant(&bolt, &cloud, "bolt"));
    write(&acme, "acme/1", "of acme").await;
    write(&bolt, "bolt/1", "of bolt").await;
    for _ in 0..2 {
        to_acme.sync().await.unwrap();
        to_bolt.sync().await.unwrap();
    }
    assert_eq!(titles(&cloud).await, ["acme/1=of acme", "bolt/1=of bolt"]);
    assert_eq!(titles(&acme).await, ["acme/1=of acme"]);
    assert_eq!(titles(&bolt).await, ["bolt/1=of bolt"]);

    // Neither by writing another's row nor by deleting it.
    write(&acme, "bolt/1", "stolen").await;
    write(&acme, "no tenant", "stray").await;
    let report = to_acme.sync().await.unwrap();
    assert_eq!((report.pushed, report.rejected), (0, 2), "{report}");
    delete(&acme, "bolt/1").await;
    assert_eq!(to_acme.sync().await.unwrap().rejected, 1);
    assert_eq!(titles(&cloud).await, ["acme/1=of acme", "bolt/1=of bolt"]);
    assert!(
        letters(&acme)
            .await
            .contains(&"out bolt/1  not_yours: a key begins with your tenant's name".to_owned())
    );

    // A deletion goes where the row went, and nowhere else.
    delete(&bolt, "bolt/1").await;
    to_bolt.sync().await.unwrap();
    assert_eq!(titles(&cloud).await, ["acme/1=of acme"]);
    assert_eq!(to_acme.sync().await.unwrap().pulled, 0);
}

#[apply(on_each_database!)]
async fn so_it_is_over_http_where_a_token_names_the_tenant() {
    let cloud = replica("cloud", TenantInKey).await;
    let tokens = [("a", of("acme")), ("b", of("bolt"))];
    let routes = SyncServer::builder(&cloud).bearer_tokens(tokens).unwrap().router();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/sync", listener.local_addr().unwrap());
    let app = axum::Router::new().nest("/sync", routes);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let edges = [(plain("acme-edge").await, "a"), (plain("bolt-edge").await, "b")];
    write(&edges[0].0, "acme/1", "of acme").await;
    write(&edges[0].0, "bolt/2", "stolen").await;
    write(&edges[1].0, "bolt/1", "of bolt").await;
    for (edge, token) in edges.iter().chain(&edges) {
        let line = HttpTransport::new(url.as_str()).unwrap().bearer_token(token).unwrap();
        Syncer::builder(edge).peer(line).build().unwrap().sync().await.unwrap();
    }
    assert_eq!(titles(&cloud).await, ["acme/1=of acme", "bolt/1=of bolt"]);
    assert_eq!(titles(&edges[0].0).await, ["acme/1=of acme", "bolt/2=stolen"]);
    assert_eq!(titles(&edges[1].0).await, ["bolt/1=of bolt"]);
}

/// The tenant is a column that is given at birth (here the title) and may not be changed. The hook has the database from
/// before it became a replica's, to look up what a change does not say.
struct TenantInColumn {
    db: DatabaseConnection,
}

impl TenantInColumn {
    fn refusal() -> HookError {
        HookError::new("not_yours", "the row belongs to another tenant")
    }
}

#[async_trait::async_trait]
impl SyncHook for TenantInColumn {
    /// A record that is there is its tenant's; one that is not belongs to whom its birth says. Here it is locked, so
    /// nobody else can be giving birth to it meanwhile, and a deleted one is known by its tombstone.
    async fn before_merge(
        &self,
        peer: &Peer,
        remote: Change,
        local: Option<&Change>,
    ) -> Result<Option<Change>, HookError> {
        let tenant = peer.attribute("tenant");
        // What names the tenant already, here and in what came, names this one.
        let named = [remote.lww("title"), local.and_then(|local| local.lww("title"))];
        let is_others = named.into_iter().flatten().any(|named| named.as_str() != tenant);
        if is_others || tenant.is_none() {
            return Err(Self::refusal());
        }
        Ok(Some(remote))
    }

    /// A change that does not name its tenant, such as an increment or a deletion, is of the row that is there.
    async fn before_inbound(&self, peer: &Peer, change: Change) -> Result<Option<Change>, HookError> {
        let row = document::Entity::find_by_id(change.pk.as_str()).one(&self.db).await?;
        match row {
            Some(row) if Some(row.title.as_str()) != peer.attribute("tenant") => Err(Self::refusal()),
            _ => Ok(Some(change)),
        }
    }

    /// One query for the whole page, of what does not name its tenant itself. A deletion tells a key that nobody else knows,
    /// and nothing more.
    async fn before_page(&self, peer: &Peer, page: &mut OutboundPage) -> Result<(), HookError> {
        let keys = page.changes().map(|change| change.pk.as_str());
        let owners: HashMap<String, String> = document::Entity::find()
            .select_only()
            .columns([document::Column::Id, document::Column::Title])
            .filter(document::Column::Id.is_in(keys))
            .into_tuple()
            .all(&self.db)
            .await?
            .into_iter()
            .collect();
        let tenant = peer.attribute("tenant");
        page.retain(|change| {
            let named = change.lww("title").and_then(|title| title.as_str());
            let owner = named.or_else(|| owners.get(&change.pk).map(String::as_str));
            change.is_deletion() || tenant.is_some() && owner == tenant
        });
        Ok(())
    }
}

async fn cloud_with_tenants_in_a_column() -> Replica {
    let db = new_database().await;
    create_table(&db, document::Entity).await.unwrap();
    let hook = TenantInColumn { db: db.clone() };
    builder("cloud")
        .0
        .entity::<document::Entity>()
        .hook(hook)
        .open(db)
        .await
        .unwrap()
}

#[apply(on_each_database!)]
async fn a_tenant_in_a_column_is_looked_up() {
    let cloud = cloud_with_tenants_in_a_column().await;
    let (acme, bolt) = (plain("acme-edge").await, plain("bolt-edge").await);
    let (to_acme, to_bolt) = (as_tenant(&acme, &cloud, "acme"), as_tenant(&bolt, &cloud, "bolt"));
    write(&acme, "1", "acme").await;
    write(&bolt, "2", "bolt").await;
    for _ in 0..2 {
        to_acme.sync().await.unwrap();
        to_bolt.sync().await.unwrap();
    }
    assert_eq!(titles(&acme).await, ["1=acme"]);
    assert_eq!(titles(&bolt).await, ["2=bolt"]);
    // Another's row is neither born again, nor counted up, nor given away, nor deleted.
    write(&acme, "2", "acme").await;
    document::ActiveModel::increment_view_count(&acme, "2", 5)
        .await
        .unwrap();
    document::ActiveModel {
        id: Set("1".into()),
        title: Set("bolt".into()),
        view_count: Set(2),
        tags: Set(OrSet::new()),
        author: Set(None),
    }
    .update(&acme)
    .await
    .unwrap();
    let report = to_acme.sync().await.unwrap();
    assert!(report.rejected >= 3, "{report}");
    delete(&acme, "2").await;
    assert_eq!(to_acme.sync().await.unwrap().pushed, 0);
    to_bolt.sync().await.unwrap();
    assert_eq!(titles(&cloud).await, ["1=acme", "2=bolt"]);
    let doc = document::Entity::find_by_id("2").one(&bolt).await.unwrap().unwrap();
    assert_eq!(doc.view_count, 2);
    // One's own row can be deleted, and one's other device hears of it.
    let second = plain("bolt-second").await;
    let to_second = as_tenant(&second, &cloud, "bolt");
    to_second.sync().await.unwrap();
    assert_eq!(titles(&second).await, ["2=bolt"]);
    delete(&bolt, "2").await;
    to_bolt.sync().await.unwrap();
    to_second.sync().await.unwrap();
    assert_eq!(titles(&cloud).await, ["1=acme"]);
    assert_eq!(titles(&second).await, Vec::<String>::new());
}
