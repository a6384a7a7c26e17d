//! Owns the recording REST API over HTTP (routes, authentication, rate limit, CORS and error bodies), and the
//! web console, which is a client of the API.
//!
//! Does not own what the calls do: recordings belong to `control` (behind [`Recorder`]), webhooks to
//! `webhook`. Contract: every answer is JSON, except for the metrics, pictures and the console's files. Every
//! error is `application/problem+json`.

mod http;

mod rest;

mod console;

#[cfg(fuzzing)]
pub mod fuzzing;

use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use console::ConsoleSettings;
pub use rest::{ApiKey, ApiKeys, LivekitKey, RateLimit};

use crate::control::Recorder;
use crate::webhook::Registry;
use http::server::{self, Limits};
use rest::BodyLimits;

/// More than any deployment has Prometheus servers.
const METRICS_CONNECTIONS: usize = 32;

/// What the API needs to answer calls.
pub struct ApiState {
    pub recorder: Arc<dyn Recorder>,
    pub webhooks: Registry,
    /// The key with which the LiveKit server signs its own webhooks.
    pub livekit: LivekitKey,
    /// The counters since the service started.
    pub metrics: PrometheusHandle,
    pub settings: ApiSettings,
}

/// What an operator configures.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    pub keys: ApiKeys,
    pub rate_limit: RateLimit,
    /// The origins that browsers may call from, exactly as they send them (`https://app.example`).
    pub cors_origins: Vec<String>,
    /// Limit of a request's body, in bytes.
    pub body_limit: usize,
    /// Whether a signature is refused when it is used a second time.
    pub refuse_replays: bool,
    /// Whether the metrics are served here. Otherwise they have a port of their own.
    pub metrics_here: bool,
    /// How many connections may be open.
    pub connections: usize,
    pub timeouts: Timeouts,
    /// `None`: the web console is switched off.
    pub console: Option<ConsoleSettings>,
}

/// How long clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a request's head, including the wait for the next request on a connection that is kept open.
    /// Clients that sign calls send a head in one piece.
    pub head: Duration,
    /// For a request's body; a mebibyte takes a second on a slow line.
    pub body: Duration,
    /// For any progress of an answer. Only a client that reads nothing takes this long.
    pub answer: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let [head, body, answer] = [10, 20, 20].map(Duration::from_secs);
        Self { head, body, answer }
    }
}

impl ApiSettings {
    fn body_limits(&self) -> BodyLimits {
        BodyLimits { bytes: self.body_limit, time: self.timeouts.body }
    }

    /// The default limit of a body, as the contract says.
    pub const DEFAULT_BODY_LIMIT: usize = 1024 * 1024;
}

/// Serves until it is cancelled; then finishes the requests that are under way.
pub async fn serve(listener: TcpListener, state: ApiState, cancel: CancellationToken) {
    let limits = Limits { connections: state.settings.connections, timeouts: state.settings.timeouts };
    server::serve(listener, rest::router(state), limits, cancel).await;
}

/// Serves the metrics alone, to everybody.
pub async fn serve_metrics(
    listener: TcpListener,
    recorder: Arc<dyn Recorder>,
    metrics: PrometheusHandle,
    cancel: CancellationToken,
) {
    let limits = Limits { connections: METRICS_CONNECTIONS, timeouts: Timeouts::default() };
    server::serve(listener, rest::metrics_router(recorder, metrics), limits, cancel).await;
}

#[cfg(test)]
mod tests;
