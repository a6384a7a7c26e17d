//! Owns the routes of the REST API, and what is answered where there is none.

mod cursor;
mod deliveries;
#[cfg(fuzzing)]
pub mod fuzzing;
mod health;
mod json;
mod livekit;
mod metrics;
mod options;
mod path;
mod query;
mod recording;
mod recordings;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};

use super::gate::{self, Gate};
use super::problem::{Kind, Problem};
use super::{ApiState, console, cors};
use livekit::LivekitHook;
use metrics::Metrics;

/// All routes, with everything that stands in front of them.
pub fn router(state: ApiState) -> Router {
    let ApiState { recorder, webhooks, livekit, metrics, settings } = state;
    let metrics = Metrics { recorder: Arc::clone(&recorder), handle: metrics };
    let gate = Arc::new(Gate::new(&settings));
    let hook = LivekitHook { recorder: Arc::clone(&recorder), key: livekit, body_limit: settings.body_limit };
    let console = settings.console.as_ref().map(console::router).unwrap_or_default();
    let origins: Arc<[String]> = settings.cors_origins.into();

    let recordings = Router::new()
        .route("/v1/rooms/{room}/recording/start", post(recording::start))
        .route("/v1/rooms/{room}/recording/stop", post(recording::stop))
        .route("/v1/rooms/{room}/recording", get(recording::show).patch(recording::change))
        .route("/v1/recordings", get(recordings::list))
        .route("/v1/recordings/{id}", get(recordings::show))
        .route("/v1/recordings/{id}/url", get(recordings::url))
        .route("/v1/recordings/{id}/preview.jpg", get(recordings::preview))
        .with_state(Arc::clone(&recorder));
    let health = recorder;
    let webhooks = Router::new()
        .route("/v1/webhooks", post(webhooks::register).get(webhooks::list))
        .route(
            "/v1/webhooks/{id}",
            get(webhooks::show).put(webhooks::replace).patch(webhooks::change).delete(webhooks::remove),
        )
        .route("/v1/webhooks/{id}/test", post(webhooks::try_out))
        .route("/v1/webhooks/{id}/deliveries", get(deliveries::list))
        .route("/v1/webhooks/{id}/deliveries/{delivery}", get(deliveries::show))
        .route("/v1/webhooks/{id}/deliveries/{delivery}/resend", post(deliveries::resend))
        .with_state(webhooks);
    let metrics = Router::new().route("/metrics", get(metrics::show)).with_state(metrics);
    let signed = recordings
        .merge(webhooks)
        .merge(metrics)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // The gate has a limit of its own, and leaves a body in memory.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(gate, gate::pass));
    let open = Router::new()
        .route("/v1/health", get(health::show))
        .method_not_allowed_fallback(method_not_allowed)
        .with_state(health);
    // LiveKit signs with its own key; the body is read and limited as the gate's.
    let from_livekit = Router::new()
        .route("/livekit/webhook", post(livekit::hear))
        .method_not_allowed_fallback(method_not_allowed)
        .layer(DefaultBodyLimit::disable())
        .with_state(hook);
    open.merge(console).merge(from_livekit).merge(signed).layer(from_fn_with_state(origins, cors::check))
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path")
}

/// The router adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path does not take this method")
}
