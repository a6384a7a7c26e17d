//! The store goes away while a recording runs, and stays away beyond its end: whoever looks sees it and why, and the file
//! is whole once the store is back. `EGRESSD_OUTAGE_SECONDS` says for how long it stays away at each side of the end.

use std::time::Duration;

use serde_json::Value;

use crate::picture::{
    both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before,
    the_streams_are_h264_and_aac,
};
use crate::support::participants::Act;
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Stage, object_key};

/// Parts of 5 MiB are ready soon.
const BUSY: &str = r#"{"videoBitrate":10000}"#;
const BEFORE: Duration = Duration::from_secs(10);
const AWAY: Duration = Duration::from_secs(5);
/// Two parts' worth of media, and then some.
const NOTICED: Duration = Duration::from_secs(60);
/// The longest pause between two attempts is half a minute.
const BACK: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_is_away_beyond_the_end_of_a_recording_is_seen_and_costs_nothing() {
    let mut stage = Stage::open_with("outage", Options::HALF).await;
    for name in ["ann", "bob"] {
        stage.participants.join(name, Act::Noise);
    }
    let started = stage.caller().post(&stage.path("/start"), BUSY).await;
    assert_eq!(started.status, 201, "{started:?}");
    let running = stage.record().await;
    tokio::time::sleep(BEFORE).await;
    kill_hard(stage.minio.id());
    let state = stage.until(&running, NOTICED, |state| state["upload"]["trouble"].is_object()).await;
    let reason = state["upload"]["trouble"]["reason"].as_str().unwrap_or_default();
    assert!(state["status"] == "active" && !reason.is_empty(), "the recording goes on: {state}");
    assert!(state["upload"]["waitingBytes"].as_u64() > Some(0), "{state}");
    tokio::time::sleep(away()).await;
    let lasted = stage.stop().await - running.active_at;

    let state = stage.until(&running, NOTICED, |state| state["status"] == "uploading").await;
    assert!(state["upload"]["trouble"].is_object() && state["file"].is_null(), "{state}");
    let health = stage.caller().get("/v1/health").await;
    assert_eq!((health.status, &health.json["status"]), (200, &"degraded".into()), "{health:?}");
    assert_eq!(health.json["components"]["store"]["status"], "degraded", "{health:?}");
    let metrics = stage.caller().get("/metrics").await;
    for line in [r#"egressd_recordings{phase="uploading"} 1"#, "egressd_uploads_in_trouble 1"] {
        assert!(metrics.text.lines().any(|found| found == line), "no {line} in {}", metrics.text);
    }

    tokio::time::sleep(away()).await;
    stage.minio.start_again().await;
    let state = stage.until(&running, BACK, |state| !state["endedAt"].is_null()).await;
    assert_eq!((&state["status"], &state["upload"]), (&"complete".into(), &Value::Null), "{state}");
    let recording = stage.fetch(&running).await;
    the_streams_are_h264_and_aac(&recording);
    both_streams_last(&recording, lasted);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    assert!(stage.minio.unfinished_parts(&object_key("outage", &running.started_at)).is_empty());
    assert_eq!(stage.caller().get("/v1/health").await.json["status"], "ok");
}

fn away() -> Duration {
    let asked = std::env::var("EGRESSD_OUTAGE_SECONDS").ok();
    asked.map_or(AWAY, |seconds| Duration::from_secs(seconds.parse().expect("a number of seconds")))
}
