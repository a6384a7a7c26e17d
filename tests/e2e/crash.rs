//! Proof 7: what a worker had written when it was killed is saved, and the failure is told.

use std::time::Duration;

use serde_json::json;

use crate::picture::{
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, the_streams_are_h264_and_aac,
};
use crate::support::hooks::Receiver;
use crate::support::rest::keys;
use crate::support::service::kill_hard;
use crate::support::stage::{Stage, object_key};

const KILLED_AFTER: Duration = Duration::from_secs(10);
/// 10 s less the playout delay of about 1 s and the fragment that was being written (0.5 s).
const SAVED_AT_LEAST_S: f64 = 8.0;
const DELIVERED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_worker_costs_the_last_moment_and_its_recording_fails_with_an_error() {
    let mut stage = Stage::open("crash").await;
    let receiver = Receiver::start().await;
    let webhook = json!({"url": receiver.url(), "secret": "s", "events": ["egress_ended"]}).to_string();
    assert_eq!(stage.caller().post("/v1/webhooks", &webhook).await.status, 201);
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    tokio::time::sleep(KILLED_AFTER).await;
    let workers = stage.service.workers();
    assert_eq!(workers.len(), 1, "one recording, one worker");
    kill_hard(workers[0]);

    let event = receiver.first(DELIVERED).await.json();
    assert_eq!(keys(&event), ["duration", "egressId", "error", "event", "file", "roomId", "size"]);
    assert_eq!(event["egressId"], running.egress_id.as_str());
    assert!(event["error"].as_str().is_some_and(|error| !error.is_empty()), "{event}");
    let key = object_key("crash", &running.started_at);
    assert_eq!((&event["file"], &event["size"]), (&key.as_str().into(), &stage.minio.head(&key)["size"]));

    let recording = stage.fetch(&running).await;
    the_streams_are_h264_and_aac(&recording);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    let saved = recording.duration("v");
    assert!(saved >= SAVED_AT_LEAST_S, "{saved} s were saved");

    let state = stage.caller().get(&stage.path("")).await;
    assert_eq!(state.json, json!({"active": false}), "the room can be recorded again");
}
