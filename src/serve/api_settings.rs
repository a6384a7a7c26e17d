//! The state and the settings of the API, from the configuration.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;

use crate::config::{Config, KeyPair};
use crate::control::Handle;
use crate::front::{
    ApiKey, ApiKeys, ApiSettings, ApiState, ConsoleSettings, LivekitKey, RateLimit, Timeouts,
};
use crate::storage::StorageConfig;
use crate::webhook::Registry;

pub fn api_state(config: Config, handle: Handle, webhooks: Registry, metrics: PrometheusHandle) -> ApiState {
    let console = config.api.console.then(|| ConsoleSettings { stores: endpoints(&config) });
    let first = ApiKey { key: config.api.key, secret: config.api.secret };
    let second = config.api.second.map(|KeyPair { key, secret }| ApiKey { key, secret });
    let livekit = LivekitKey { key: config.livekit.api_key, secret: config.livekit.api_secret };
    ApiState {
        livekit,
        recorder: Arc::new(handle),
        webhooks,
        metrics,
        settings: ApiSettings {
            keys: ApiKeys::new([first].into_iter().chain(second).collect()),
            rate_limit: RateLimit {
                max: usize::try_from(config.api.rate_limit.max.get()).unwrap_or(usize::MAX),
                window: config.api.rate_limit.window,
            },
            cors_origins: config.api.cors_origins,
            body_limit: ApiSettings::DEFAULT_BODY_LIMIT,
            refuse_replays: config.api.refuse_replays,
            metrics_here: config.api.metrics_listen.is_none(),
            connections: usize::try_from(config.api.max_connections.get()).unwrap_or(usize::MAX),
            timeouts: Timeouts::default(),
            console,
        },
    }
}

/// Returns the endpoints of the stores, to which the URLs of files lead.
fn endpoints(config: &Config) -> Vec<String> {
    let stores = [Some(&config.storage), config.fallback.as_ref().map(|fallback| &fallback.storage)];
    let endpoint = |store: &StorageConfig| match store {
        StorageConfig::S3(s3) => Some(s3.endpoint.clone()),
        StorageConfig::Folder { .. } => None,
    };
    stores.into_iter().flatten().filter_map(endpoint).collect()
}
