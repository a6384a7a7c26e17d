//! Sets up logging and metrics of a process. Owns the format, not what is logged or counted.
//!
//! Contract: text on a terminal, one JSON object a line elsewhere; always on standard error, as a
//! worker's standard output belongs to its protocol. Secrets are never logged: they are `SecretString`s.

use std::io::{self, IsTerminal};

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// The log level of processes without a configuration of their own. A worker inherits it from its service.
pub const LEVEL_VARIABLE: &str = "LOG_LEVEL";

/// Libraries that log every packet are limited to `warn` unless the filter names them. So is tungstenite,
/// which logs requests with the token in them. `room` logs what matters of LiveKit's signalling crate, with
/// the recording's span.
const QUIET: &str = "str0m=warn,hyper=warn,aws=warn,livekit_signaling=off,tungstenite=warn";

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("\"{level}\" is no log level; expected error, warn, info, debug or trace")]
    Level {
        level: String,
        #[source]
        source: ParseError,
    },
    #[error("logging was set up before")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("metrics were set up before")]
    Metrics(#[source] BuildError),
}

/// `level` is a level, or a filter in the syntax of `tracing_subscriber`.
pub fn init(level: &str) -> Result<(), TelemetryError> {
    let filter = filter(level)?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let set = if io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder.json().flatten_event(true).with_span_list(false).try_init()
    };
    set.map_err(TelemetryError::Twice)
}

/// Keeps all metrics of this process from now on. The result's `render` returns them.
pub fn count() -> Result<PrometheusHandle, TelemetryError> {
    PrometheusBuilder::new().install_recorder().map_err(TelemetryError::Metrics)
}

/// Returns the level from the environment, or else `default`.
pub fn inherited_level(default: &str) -> String {
    let named = std::env::var(LEVEL_VARIABLE).ok().filter(|level| !level.trim().is_empty());
    named.unwrap_or_else(|| default.to_owned())
}

fn filter(level: &str) -> Result<EnvFilter, TelemetryError> {
    let wrong = |source| TelemetryError::Level { level: level.to_owned(), source };
    EnvFilter::try_new(format!("{QUIET},{level}")).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_a_filter_are_both_taken() {
        for level in ["info", "debug", "info,egressd::control=trace"] {
            assert!(filter(level).is_ok(), "{level}");
        }
    }

    #[test]
    fn a_level_that_is_none_is_named_in_the_error() {
        let error = filter("info,=loud=").expect_err("no filter");
        assert!(error.to_string().contains("loud"), "{error}");
    }
}
