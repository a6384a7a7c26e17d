//! A recording that ends without a stop: the room is closed, or the LiveKit server dies.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::picture::{
    both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, tiles_show,
};
use crate::support::hooks::Receiver;
use crate::support::rest::keys;
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Running, Stage};

const RED: [u8; 3] = [200, 40, 40];
const RECORDED: Duration = Duration::from_secs(5);
/// A server that is out of reach is given up after this.
const RECONNECT_TIMEOUT: (&str, &str) = ("EGRESSD_RECONNECT_TIMEOUT_SECONDS", "5");
const ENDED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_room_ends_its_recording_as_a_stop_would() {
    let (stage, receiver, running) = recording("closed").await;
    tokio::time::sleep(RECORDED).await;
    stage.livekit.delete_room("closed").await;
    let lasted = Instant::now() - running.active_at;

    let event = receiver.first(ENDED).await.json();
    assert_eq!(keys(&event), ["duration", "egressId", "event", "file", "roomId", "size"]);
    let recording = stage.fetch(&running).await;
    both_streams_last(&recording, lasted);
    tiles_show(&recording, 3.0, &[RED]);
    is_inactive(&stage).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_livekit_server_that_dies_fails_the_recording_and_loses_nothing_of_it() {
    let (stage, receiver, running) = recording("lost").await;
    tokio::time::sleep(RECORDED).await;
    kill_hard(stage.livekit.id());
    let died_after = (Instant::now() - running.active_at).as_secs_f64();

    let event = receiver.first(ENDED).await.json();
    assert_eq!(keys(&event), ["duration", "egressId", "error", "event", "file", "roomId", "size"]);
    let error = event["error"].as_str().unwrap_or_default();
    assert!(error.contains("livekit"), "the sentence names what was lost: {event}");
    let recording = stage.fetch(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let lasts = recording.duration("v");
    assert!(lasts >= died_after, "{lasts} s of {died_after} s");
    tiles_show(&recording, 3.0, &[RED]);
    is_inactive(&stage).await;
}

async fn recording(room: &'static str) -> (Stage, Receiver, Running) {
    let options = Options { settings: &[RECONNECT_TIMEOUT], ..Options::HALF };
    let mut stage = Stage::open_with(room, options).await;
    let receiver = Receiver::start().await;
    let webhook = json!({"url": receiver.url(), "secret": "s", "events": ["egress_ended"]}).to_string();
    assert_eq!(stage.caller().post("/v1/webhooks", &webhook).await.status, 201);
    stage.participants.join("ann", plain("vp8", RED, 400));
    let running = stage.record().await;
    (stage, receiver, running)
}

async fn is_inactive(stage: &Stage) {
    let state: Value = stage.caller().get(&stage.path("")).await.json;
    assert_eq!(state, json!({"active": false}));
}
