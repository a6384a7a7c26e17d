//! A disk that fills up while the store is away: the recording is ended while there is still room to end it properly, new
//! ones are refused, and what was recorded is in the bucket once the store is back.

use std::time::Duration;

use serde_json::Value;

use crate::picture::{
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before, the_streams_are_h264_and_aac,
};
use crate::support::participants::Act;
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Stage};

const DISK: Option<u64> = Some(48 << 20);
/// Recordings are ended when a quarter of it is left.
const MIN_FREE_MB: (&str, &str) = ("EGRESSD_MIN_FREE_DISK_MB", "20");
const BUSY: &str = r#"{"videoBitrate":10000}"#;
/// What is left of the disk without the database and what must stay free.
const RECORDED_AT_LEAST: u64 = 20_000_000;
const FULL_WITHIN: Duration = Duration::from_secs(180);
/// The longest pause between two attempts is half a minute.
const BACK: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_disk_fills_up_ends_properly_and_is_stored() {
    let options = Options { settings: &[MIN_FREE_MB], disk: DISK, ..Options::HALF };
    let mut stage = Stage::open_with("full", options).await;
    if !stage.has_small_disk() {
        // Without root the same is proved by parts: the monitor's units, and the worker on a limit of its process.
        return println!("this machine makes no small disk");
    }
    for name in ["ann", "bob"] {
        stage.participants.join(name, Act::Noise);
    }
    let started = stage.caller().post(&stage.path("/start"), BUSY).await;
    assert_eq!(started.status, 201, "{started:?}");
    let running = stage.record().await;
    kill_hard(stage.minio.id());

    let state = stage.until(&running, FULL_WITHIN, |state| state["status"] == "uploading").await;
    assert!(state["upload"]["waitingBytes"].as_u64() > Some(RECORDED_AT_LEAST), "{state}");
    let refused = stage.caller().post(&stage.path("/start"), "").await;
    assert_eq!(refused.status, 503, "{refused:?}");
    assert!(refused.json["detail"].as_str().is_some_and(|detail| detail.contains("disk")), "{refused:?}");
    assert_eq!(stage.caller().get("/v1/health").await.status, 503);

    stage.minio.start_again().await;
    let state = stage.until(&running, BACK, |state| !state["endedAt"].is_null()).await;
    assert_eq!((&state["status"], &state["upload"]), (&"failed".into(), &Value::Null), "{state}");
    assert!(state["error"].as_str().is_some_and(|error| error.contains("disk")), "{state}");
    let recording = stage.fetch(&running).await;
    assert_eq!(std::fs::metadata(recording.path()).expect("the file is there").len(), state["size"]);
    the_streams_are_h264_and_aac(&recording);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    let spools = std::fs::read_dir(stage.service.data().join("spool")).expect("the folder of spools");
    assert_eq!(spools.count(), 0, "the spool is removed, and there is room again");
    assert_eq!(stage.caller().get("/v1/health").await.status, 200);
}
