//! Documents as JSON.

use grove_crdt::OrSet;
use loco_rs::prelude::*;
use sea_orm::ActiveValue::Set;
use serde::Deserialize;

use crate::{
    initializers::replica,
    models::{ActiveModel, Entity},
};

/// What a new document is made of.
#[derive(Debug, Deserialize)]
struct NewDocument {
    id: String,
    title: String,
}

async fn list(State(ctx): State<AppContext>) -> Result<Response> {
    // Reads may go through `ctx.db` as well.
    format::json(Entity::find().order_by_id_asc().all(&ctx.db).await?)
}

async fn add(State(ctx): State<AppContext>, Json(new): Json<NewDocument>) -> Result<Response> {
    let document = ActiveModel {
        id: Set(new.id),
        title: Set(new.title),
        view_count: Set(0),
        tags: Set(OrSet::new()),
    };
    // Writes go through the replica; `ctx.db` would refuse this one.
    format::json(document.insert(&replica(&ctx)?).await?)
}

/// The routes.
pub fn routes() -> Routes {
    Routes::new()
        .prefix("documents")
        .add("/", get(list))
        .add("/", post(add))
}
