//! `GET /health`: whether the server can do its work, for those who watch over it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Json, extract::State, http::StatusCode};
use serde_json::{Value, json};
use tokio::{sync::OwnedMutexGuard, time::Instant};

use crate::server::SyncServer;

/// How long a database may take to say that it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long what it said stays true. Anybody may ask, so asking must cost nothing.
const FRESH: Duration = Duration::from_secs(1);

/// What was found out last. At most one question to the database is under way, however many ask.
#[derive(Clone, Debug, Default)]
pub(super) struct Health {
    asking: Arc<tokio::sync::Mutex<()>>,
    last: Arc<Mutex<Option<(Instant, bool)>>>,
}

/// `GET /health`
pub(super) async fn health(State(server): State<SyncServer>) -> (StatusCode, Json<Value>) {
    if server.is_well().await {
        (StatusCode::OK, Json(json!({ "status": "ok" })))
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "unavailable" })),
        )
    }
}

impl SyncServer {
    /// Whether the database answers, and the server is not about to end.
    async fn is_well(&self) -> bool {
        let health = self.health();
        let asked = async {
            if let Ok(turn) = health.asking.clone().try_lock_owned() {
                self.ask_database(turn).await;
            } else {
                let _asked = health.asking.lock().await;
            }
        };
        if health.fresh().is_none() {
            // Only the waiting ends: a question that is given up could hang its connection.
            let _ = tokio::time::timeout(PATIENCE, asked).await;
        }
        health.fresh().unwrap_or(false) && !self.shutdown_token().is_cancelled()
    }

    async fn ask_database(&self, turn: OwnedMutexGuard<()>) {
        let (health, db) = (self.health().clone(), self.replica().connection().clone());
        let asked = self.running().spawn(async move {
            let well = db.ping().await.inspect_err(|error| {
                tracing::warn!(error = error as &dyn std::error::Error, "the database does not answer");
            });
            health.note(well.is_ok());
            drop(turn);
        });
        let _ = asked.await;
    }
}

impl Health {
    fn fresh(&self) -> Option<bool> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.filter(|(at, _)| at.elapsed() < FRESH).map(|(_, well)| well)
    }

    fn note(&self, well: bool) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), well));
    }
}
