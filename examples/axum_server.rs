//! An ordinary JSON API over a table, with sync beside it.
//!
//! ```sh
//! cargo run --example axum_server
//! curl localhost:3000/documents -H 'content-type: application/json' -d '{"id":"doc-1","title":"Hello","tags":["new"]}'
//! curl localhost:3000/documents
//! ```
//!
//! The handlers know nothing of sync: they are given a SeaORM connection, and what they write is recorded. Nodes that send
//! the token sync at `/sync`; [edge_sync](./edge_sync.rs) and [presence](./presence.rs) do.

use std::error::Error;

use axum::{
    Json, Router,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::get,
    serve::ListenerExt as _,
};
use clap::Parser;
use document::{ActiveModel, Entity, Model};
use grove_crdt::prelude::*;
use sea_orm::{ActiveValue::Set, DbErr, EntityTrait as _, SqlErr, TransactionSession as _, TransactionTrait as _};
use serde::Deserialize;

mod document;

/// Serves documents as JSON at /documents, and sync at /sync.
#[derive(Parser)]
struct Args {
    /// The database; PostgreSQL and MySQL work as well when their driver is enabled.
    #[arg(long, default_value = "sqlite://cloud.db?mode=rwc")]
    database: String,
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: String,
    /// What a node has to send as its bearer token.
    #[arg(long, default_value = "secret", env = "GROVE_TOKEN")]
    token: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let replica = document::open("cloud", &args.database).await?;
    // All nodes share a token here. Give each its own, bound to its node id, where they don't trust each other.
    let server = SyncServer::builder(&replica).bearer_tokens([(args.token, Peer::new("edges").may_see_metrics())])?;
    let service = Service::builder(&replica).server(server).start()?;
    let app = Router::new()
        .route("/documents", get(list).post(create))
        .route("/documents/{id}", get(view).patch(edit).delete(delete))
        .with_state(replica)
        .merge(service.router());

    let listener = tokio::net::TcpListener::bind(&args.listen).await?;
    println!("listening at http://{}", listener.local_addr()?);
    let stopping = service.stopping();
    let ended = service.clone();
    tokio::spawn(async move {
        // Where no signal can be waited for, the process is ended another way.
        if tokio::signal::ctrl_c().await.is_ok() {
            ended.stop().await;
        }
    });
    // A small event of a stream does not wait until the one before has been acknowledged.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    axum::serve(listener, app).with_graceful_shutdown(stopping).await?;
    service.stop().await;
    println!("stopped");
    Ok(())
}

/// What a new document is made of.
#[derive(Deserialize)]
struct NewDocument {
    id: String,
    title: String,
    #[serde(default)]
    tags: Vec<String>,
}

/// What is to be different; what is left out stays as it is.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Edit {
    title: Option<String>,
    add_tags: Vec<String>,
    remove_tags: Vec<String>,
}

async fn list(State(db): State<Replica>) -> Result<Json<Vec<Model>>, Problem> {
    Ok(Json(Entity::find().order_by_id_asc().all(&db).await?))
}

async fn create(State(db): State<Replica>, Json(new): Json<NewDocument>) -> Result<(StatusCode, Json<Model>), Problem> {
    let document = ActiveModel {
        id: Set(new.id),
        title: Set(new.title),
        view_count: Set(0),
        tags: Set(new.tags.into_iter().collect()),
    };
    Ok((StatusCode::CREATED, Json(document.insert(&db).await?)))
}

/// A document; looking at it counts.
async fn view(State(db): State<Replica>, Path(id): Path<String>) -> Result<Json<Model>, Problem> {
    find(&db, &id).await?;
    ActiveModel::increment_view_count(&db, id.as_str(), 1).await?;
    Ok(Json(find(&db, &id).await?))
}

async fn edit(
    State(db): State<Replica>,
    Path(id): Path<String>,
    Json(edit): Json<Edit>,
) -> Result<Json<Model>, Problem> {
    let tx = db.begin().await?;
    let Model { id, mut tags, .. } = find(&tx, &id).await?;
    for tag in edit.add_tags {
        tags.insert(tag);
    }
    for tag in &edit.remove_tags {
        tags.remove(tag);
    }
    let document = ActiveModel {
        id: Set(id),
        title: edit.title.map_or_else(Default::default, Set),
        tags: Set(tags),
        ..Default::default()
    };
    let edited = document.update(&tx).await?;
    tx.commit().await?;
    Ok(Json(edited))
}

async fn delete(State(db): State<Replica>, Path(id): Path<String>) -> Result<StatusCode, Problem> {
    let deleted = Entity::delete_by_id(id).exec(&db).await?;
    if deleted.rows_affected == 0 {
        return Err(Problem::NotFound);
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn find(db: &impl sea_orm::ConnectionTrait, id: &str) -> Result<Model, Problem> {
    Entity::find_by_id(id).one(db).await?.ok_or(Problem::NotFound)
}

/// Why a request is not answered with what it asks for.
enum Problem {
    NotFound,
    Database(DbErr),
}

impl From<DbErr> for Problem {
    fn from(error: DbErr) -> Self {
        Self::Database(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        match self {
            Self::NotFound => (StatusCode::NOT_FOUND, "there is no such document\n").into_response(),
            Self::Database(error) if matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_))) => {
                (StatusCode::CONFLICT, "there is such a document already\n").into_response()
            }
            Self::Database(error) => {
                eprintln!("{error}");
                (StatusCode::INTERNAL_SERVER_ERROR, "the database failed\n").into_response()
            }
        }
    }
}
