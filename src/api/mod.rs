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
mod replays;
mod rest;
mod server;

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
use gate::BodyLimits;
use server::Limits;

/// More than any number of collectors.
const METRICS_CONNECTIONS: usize = 32;

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
    /// Whether a signature that was used before is refused.
    pub refuse_replays: bool,
    /// Whether the figures are here, or on a port of their own.
    pub metrics_here: bool,
    /// How many connections there may be.
    pub connections: usize,
    pub patience: Patience,
    /// The web console; `None`: there is none.
    pub console: Option<ConsoleSettings>,
}

/// How long others may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For a request's head, the wait for it on a connection that is kept open included. Those who sign calls send a head
    /// in one piece.
    pub head: Duration,
    /// For a request's body; a mebibyte takes a second on a slow line.
    pub body: Duration,
    /// For any part of an answer: only who reads nothing at all takes long.
    pub answer: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let [head, body, answer] = [10, 20, 20].map(Duration::from_secs);
        Self { head, body, answer }
    }
}

impl ApiSettings {
    fn body_limits(&self) -> BodyLimits {
        BodyLimits { bytes: self.body_limit, time: self.patience.body }
    }

    /// The contract's default limit of a body.
    pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
}

/// Serves until it is cancelled; requests that are under way then are finished.
pub async fn serve(listener: TcpListener, state: ApiState, cancel: CancellationToken) {
    let limits = Limits { connections: state.settings.connections, patience: state.settings.patience };
    server::serve(listener, rest::router(state), limits, cancel).await;
}

/// Serves the figures alone, to everybody.
pub async fn serve_metrics(
    listener: TcpListener,
    recorder: Arc<dyn Recorder>,
    metrics: PrometheusHandle,
    cancel: CancellationToken,
) {
    let limits = Limits { connections: METRICS_CONNECTIONS, patience: Patience::default() };
    server::serve(listener, rest::metrics_router(recorder, metrics), limits, cancel).await;
}

#[cfg(test)]
mod tests;
