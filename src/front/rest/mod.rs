//! Owns the routes of the REST API, and the answers to unknown paths.

mod auth;
mod bodies;
mod cursor;
mod deliveries;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod health;
mod json;
mod livekit;
mod livekit_signature;
mod metrics;
pub mod openapi;
mod options;
mod path;
mod query;
mod rate_limit;
mod recording;
mod recordings;
mod replays;
mod running_metrics;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::IntoResponse;
use metrics_exporter_prometheus::PrometheusHandle;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiState, console};
use crate::control::Recorder;
use crate::front::http::cors;
use crate::front::http::problem::{Kind, Problem};
use crate::webhook::Registry;
use gate::Gate;
use livekit::LivekitHook;
use metrics::Metrics;

pub use auth::{ApiKey, ApiKeys, AuthError};
pub use gate::BodyLimits;
pub use livekit_signature::{LivekitKey, NotLivekit};
pub use rate_limit::RateLimit;
pub use replays::ReplayError;

/// Returns all routes, with the middleware in front of them.
pub fn router(state: ApiState) -> Router {
    let ApiState { recorder, webhooks, livekit, metrics, settings } = state;
    let metrics = Metrics { recorder: Arc::clone(&recorder), handle: metrics };
    let gate = Arc::new(Gate::new(&settings));
    let hook = LivekitHook { recorder: Arc::clone(&recorder), key: livekit, body: settings.body_limits() };
    let console = console::router(&settings);
    let origins: Arc<[String]> = settings.cors_origins.into();

    let signed =
        recording_calls().with_state(Arc::clone(&recorder)).merge(webhook_calls().with_state(webhooks));
    let (mut signed, _) = signed.split_for_parts();
    if settings.metrics_here {
        signed = signed.merge(metrics_call().with_state(metrics).split_for_parts().0);
    }
    let signed = signed
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        // The gate limits bodies itself, and passes them on in memory.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(gate, gate::pass));
    let open =
        health_call().with_state(recorder).merge(document_call().with_state(Document(document().into())));
    let (open, _) = open.split_for_parts();
    let open = open.method_not_allowed_fallback(method_not_allowed);
    // LiveKit signs with its own key. Its bodies have the same limits as those that the gate reads.
    let (from_livekit, _) = livekit_call().with_state(hook).split_for_parts();
    let from_livekit =
        from_livekit.method_not_allowed_fallback(method_not_allowed).layer(DefaultBodyLimit::disable());
    open.merge(console)
        .merge(from_livekit)
        .merge(signed)
        .layer(from_fn_with_state(origins, cors::check))
        .layer(from_fn(gate::bound_target))
}

/// Returns the route of the metrics alone, unsigned, for a port of its own.
pub fn metrics_router(recorder: Arc<dyn Recorder>, handle: PrometheusHandle) -> Router {
    let (router, _) = metrics_call().with_state(Metrics { recorder, handle }).split_for_parts();
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(from_fn(gate::bound_target))
}

/// Returns the OpenAPI document of all routes.
pub fn document() -> String {
    let mut signed = recording_calls().into_openapi();
    signed.merge(webhook_calls().into_openapi());
    signed.merge(metrics_call().into_openapi());
    openapi::signed(&mut signed);
    let mut open = health_call().into_openapi();
    open.merge(document_call().into_openapi());
    openapi::open(&mut open);
    let mut from_livekit = livekit_call().into_openapi();
    openapi::from_livekit(&mut from_livekit);
    openapi::text(openapi::empty().merge_from(signed).merge_from(open).merge_from(from_livekit))
}

fn recording_calls() -> OpenApiRouter<Arc<dyn Recorder>> {
    OpenApiRouter::new()
        .routes(routes!(recording::start))
        .routes(routes!(recording::stop))
        .routes(routes!(recording::show, recording::change))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::show))
        .routes(routes!(recordings::url))
        .routes(routes!(recordings::preview))
}

fn webhook_calls() -> OpenApiRouter<Registry> {
    OpenApiRouter::new()
        .routes(routes!(webhooks::register, webhooks::list))
        .routes(routes!(webhooks::show, webhooks::replace, webhooks::change, webhooks::remove))
        .routes(routes!(webhooks::try_out))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::show))
        .routes(routes!(deliveries::resend))
}

fn metrics_call() -> OpenApiRouter<Metrics> {
    OpenApiRouter::new().routes(routes!(metrics::show))
}

fn livekit_call() -> OpenApiRouter<LivekitHook> {
    OpenApiRouter::new().routes(routes!(livekit::hear))
}

fn health_call() -> OpenApiRouter<Arc<dyn Recorder>> {
    OpenApiRouter::new().routes(routes!(health::show))
}

fn document_call() -> OpenApiRouter<Document> {
    OpenApiRouter::new().routes(routes!(show_document))
}

/// The text of the OpenAPI document.
#[derive(Clone)]
struct Document(Bytes);

/// This document.
#[utoipa::path(
    get,
    path = "/v1/openapi.json",
    operation_id = "showOpenApi",
    tag = "service",
    responses((status = 200, description = "OpenAPI 3.1.", content_type = "application/json", body = serde_json::Value))
)]
async fn show_document(State(Document(text)): State<Document>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "application/json")], text)
}

async fn not_found() -> Problem {
    Problem::new(Kind::NotFound, "There is nothing at this path")
}

/// The router adds `Allow`.
async fn method_not_allowed() -> Problem {
    Problem::new(Kind::MethodNotAllowed, "This path does not take this method")
}
