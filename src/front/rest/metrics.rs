//! Owns the metrics about all recordings for Prometheus (`docs/operations.md` lists the names).
//!
//! A scrape sets the gauges from one overview of the database and the uploads. Counters are incremented where
//! the counted thing happens.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use jiff::Timestamp;
use metrics::{counter, gauge};
use metrics_exporter_prometheus::PrometheusHandle;

use super::running_metrics;
use crate::admission::Space;
use crate::control::{Overview, Recorder};
use crate::front::http::problem::Problem;
use crate::store::Phase;
use crate::upload::PART_RETRIES;

/// The text exposition format, version 0.0.4.
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

#[derive(Clone)]
pub struct Metrics {
    pub recorder: Arc<dyn Recorder>,
    pub handle: PrometheusHandle,
}

/// Figures for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "showMetrics",
    tag = "service",
    responses(
        (status = 200, description = "Prometheus' text format.", body = String, content_type = "text/plain"),
        (status = 404, description = "The service has a port of its own for them."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn show(State(state): State<Metrics>) -> Result<impl IntoResponse, Problem> {
    let overview = state.recorder.overview().await?;
    set(&overview, Timestamp::now());
    state.handle.run_upkeep();
    let text = state.handle.render() + &running_metrics::render(&overview.running);
    Ok(([(CONTENT_TYPE, FORMAT)], text))
}

fn set(overview: &Overview, now: Timestamp) {
    let census = &overview.census;
    for phase in Phase::ALL {
        let number =
            census.recordings.iter().find(|(found, _)| *found == phase).map_or(0, |(_, number)| *number);
        gauge!("egressd_recordings", "phase" => phase.as_str()).set(number as f64);
    }
    gauge!("egressd_webhook_deliveries", "state" => "pending").set(census.pending_deliveries as f64);
    gauge!("egressd_webhook_deliveries", "state" => "failed").set(census.failed_deliveries as f64);

    let statuses = || overview.uploads.iter().map(|(_, status)| status);
    let backlog: u64 = statuses().map(|status| status.waiting_bytes).sum();
    let oldest = statuses().filter_map(|status| status.since).min();
    let age = oldest.map_or(0.0, |since| now.duration_since(since).as_secs_f64().max(0.0));
    let stuck = statuses().filter(|status| status.trouble.is_some()).count();
    gauge!("egressd_upload_backlog_bytes").set(backlog as f64);
    gauge!("egressd_upload_backlog_age_seconds").set(age);
    gauge!("egressd_uploads_in_trouble").set(stuck as f64);
    let short = match overview.space {
        Space::Ample => 0.0,
        Space::Short | Space::Exhausted => 1.0,
    };
    gauge!("egressd_disk_short").set(short);
    // The counter is there from the first scrape on, not only after the first retry.
    counter!(PART_RETRIES).increment(0);
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;
    use crate::ids::EgressId;
    use crate::store::Census;
    use crate::upload::UploadStatus;

    #[test]
    fn what_waits_and_for_how_long_is_told_of_all_uploads_together() {
        let at = |second| Some(Timestamp::from_second(second).unwrap());
        let upload = |waiting_bytes, since| {
            (EgressId::random(), UploadStatus { waiting_bytes, since, ..UploadStatus::default() })
        };
        let overview = Overview {
            census: Census {
                recordings: vec![(Phase::Active, 2)],
                pending_deliveries: 3,
                failed_deliveries: 0,
            },
            running: Vec::new(),
            uploads: vec![upload(5, at(100)), upload(7, at(90)), upload(0, None)],
            space: Space::Short,
        };
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || set(&overview, Timestamp::from_second(102).unwrap()));
        let text = recorder.handle().render();
        for line in [
            r#"egressd_recordings{phase="active"} 2"#,
            r#"egressd_recordings{phase="uploading"} 0"#,
            r#"egressd_webhook_deliveries{state="pending"} 3"#,
            "egressd_upload_backlog_bytes 12",
            "egressd_upload_backlog_age_seconds 12",
            "egressd_uploads_in_trouble 0",
            "egressd_disk_short 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in {text}");
        }
    }
}
