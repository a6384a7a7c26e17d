//! Owns the routes of the REST API, and what is answered where there is none.

#[cfg(fuzzing)]
pub mod fuzzing;
mod json;
mod options;
mod path;
mod recording;
mod recordings;
mod webhooks;

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, State};
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Serialize;

use super::gate::{self, Gate};
use super::problem::{Kind, Problem};
use super::{ApiState, cors};
use crate::store::Store;

/// All routes, with everything that stands in front of them.
pub fn router(state: ApiState) -> Router {
    let ApiState { recorder, webhooks, store, settings } = state;
    let gate = Arc::new(Gate::new(&settings));
    let origins: Arc<[String]> = settings.cors_origins.into();

    let recordings = Router::new()
        .route("/v1/rooms/{room}/recording/start", post(recording::start))
        .route("/v1/rooms/{room}/recording/stop", post(recording::stop))
        .route("/v1/rooms/{room}/recording", get(recording::show).patch(recording::change))
        .route("/v1/recordings/{id}", get(recordings::show))
        .with_state(recorder);
    let webhooks = Router::new()
        .route("/v1/webhooks", post(webhooks::register).get(webhooks::list))
        .route("/v1/webhooks/{id}", get(webhooks::show).delete(webhooks::remove))
        .with_state(webhooks);
    let signed = recordings
        .merge(webhooks)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // The gate has a limit of its own, and leaves a body in memory.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(gate, gate::pass));
    let open = Router::new()
        .route("/v1/health", get(health))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(store);
    open.merge(signed).layer(from_fn_with_state(origins, cors::check))
}

/// Whether recordings can be started: the service answers and its database does.
async fn health(State(store): State<Store>) -> Result<Json<Health>, Problem> {
    match store.ping().await {
        Ok(()) => Ok(Json(Health { status: "ok" })),
        Err(error) => {
            let logged = Problem::internal(&error);
            Err(Problem {
                kind: Kind::Unavailable,
                detail: "The database does not answer".to_owned(),
                ..logged
            })
        }
    }
}

#[derive(Serialize)]
struct Health {
    status: &'static str,
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path")
}

/// The router adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path does not take this method")
}
