//! Owns the recording REST API: routes, authentication, rate limit, CORS and error bodies, as HTTP; and the web console,
//! which is a client of it.
//!
//! Does not own what the calls mean: recordings are `control`'s (behind [`Recorder`]), webhooks are
//! `webhook`'s. Contract: every answer is JSON but the metrics, pictures and the console's files, and every error is
//! `application/problem+json`.

mod auth;
mod console;
mod cors;
#[cfg(fuzzing)]
pub mod fuzzing;
mod gate;
mod livekit;
mod openapi;
mod problem;
mod rate_limit;
mod recorder;
mod rest;

use std::future::IntoFuture;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use auth::{ApiKey, ApiKeys};
pub use console::ConsoleSettings;
pub use livekit::LivekitKey;
pub use rate_limit::RateLimit;
pub use recorder::{ActiveRecording, Recorder, RecorderError, RecordingState, StartStatus, Started};

use crate::webhook::Registry;

/// How long open requests may still take once the service is to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(10);

/// What the API is made of.
pub struct ApiState {
    pub recorder: Arc<dyn Recorder>,
    pub webhooks: Registry,
    /// What the LiveKit server signs its own webhooks with.
    pub livekit: LivekitKey,
    /// What was counted since the service started.
    pub metrics: PrometheusHandle,
    pub settings: ApiSettings,
}

/// What an operator decides.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    pub keys: ApiKeys,
    pub rate_limit: RateLimit,
    /// The origins that browsers may call from, exactly as they send them (`https://app.example`).
    pub cors_origins: Vec<String>,
    /// Bytes of a request's body.
    pub body_limit: usize,
    /// The web console; `None`: there is none.
    pub console: Option<ConsoleSettings>,
}

impl ApiSettings {
    /// The contract's default limit of a body.
    pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
}

/// Serves until it is cancelled; requests that are under way then are finished.
pub async fn serve(listener: TcpListener, state: ApiState, cancel: CancellationToken) -> io::Result<()> {
    let stop = cancel.clone().cancelled_owned();
    let server = axum::serve(listener, rest::router(state)).with_graceful_shutdown(stop);
    let deadline = async {
        cancel.cancelled().await;
        tokio::time::sleep(SHUTDOWN_GRACE).await;
    };
    tokio::select! {
        result = server.into_future() => result,
        () = deadline => Ok(()),
    }
}

#[cfg(test)]
mod tests;
