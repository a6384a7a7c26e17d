//! What egressd 0.1 left behind when it was killed (`tests/old_version/make.py` made it) is taken over and finished.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::probe::Recording;
use crate::support::stage::{Options, Running, Stage};

/// Frames of these recordings are this long, in seconds.
const FRAME_S: f64 = 0.1;
/// An end of sound and an end of pictures may be this far from one another, in seconds.
const END_TOLERANCE_S: f64 = 0.1;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_that_version_0_1_left_unfinished_are_finished() {
    let options = Options { left_over: Some("old_version/0.1"), ..Options::HALF };
    let stage = Stage::open_with("upgrade", options).await;
    // Its room is gone, so what there is of it is what it will ever be.
    let active = is_over(&stage, "active", "failed").await;
    the_file_is_whole(&stage, &active);
    let uploading = is_over(&stage, "uploading", "complete").await;
    the_file_is_whole(&stage, &uploading);

    let complete = is_over(&stage, "complete", "complete").await;
    assert!(
        complete["size"].as_u64() > Some(10_000) && complete["duration"].as_u64() >= Some(3),
        "{complete}"
    );
    let failed = is_over(&stage, "failed", "failed").await;
    assert!(failed["error"].as_str().is_some_and(|error| error.contains("was restarted")), "{failed}");
    every_end_is_to_be_told(&stage).await;
}

/// Waits until the room's recording has ended in this way, and returns its state.
async fn is_over(stage: &Stage, room: &str, status: &str) -> Value {
    let listed = stage.caller().get(&format!("/v1/recordings?roomId={room}")).await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let recordings = listed.json["recordings"].as_array().expect("a list of recordings");
    assert_eq!(recordings.len(), 1, "{listed:?}");
    let text = |key: &str| recordings[0][key].as_str().expect("a text").to_owned();
    let running = Running {
        egress_id: text("egressId"),
        started_at: text("startedAt"),
        active_at: std::time::Instant::now(),
    };
    let ended =
        |state: &Value| ["complete", "failed"].contains(&state["status"].as_str().unwrap_or_default());
    let state = stage.until(&running, LIMIT, ended).await;
    assert_eq!(state["status"], status, "{state}");
    state
}

fn the_file_is_whole(stage: &Stage, state: &Value) {
    let key = state["file"].as_str().unwrap_or_else(|| panic!("no file: {state}"));
    assert_eq!(state["size"], stage.minio.head(key)["size"], "{state}");
    let recording = Recording::new(stage.minio.download(key));
    assert_eq!(recording.complaints(), "");
    let times = recording.frame_times();
    assert!(times.windows(2).all(|two| (two[1] - two[0] - FRAME_S).abs() < 0.001), "{times:?}");
    let (video, audio) = (recording.duration("v"), recording.duration("a"));
    assert!((video - audio).abs() <= END_TOLERANCE_S, "{video} s of pictures, {audio} s of sound");
    assert_eq!(state["duration"], json!(video.round() as u64));
}

/// The receiver that 0.1 knew is away; all four ends wait for it.
async fn every_end_is_to_be_told(stage: &Stage) {
    let webhooks = stage.caller().get("/v1/webhooks").await.json;
    let id = webhooks["webhooks"][0]["id"].as_str().unwrap_or_else(|| panic!("no webhook: {webhooks}"));
    let told = stage.caller().get(&format!("/v1/webhooks/{id}/deliveries")).await.json;
    let deliveries = told["deliveries"].as_array().unwrap_or_else(|| panic!("no deliveries: {told}"));
    let ends = deliveries.iter().filter(|delivery| delivery["event"] == "egress_ended").count();
    assert_eq!(ends, 4, "{told}");
}
