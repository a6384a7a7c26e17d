//! SIGTERM: nothing new, what runs goes on for a while and is stored, and the exit code tells.

use std::time::Duration;

use serde_json::json;

use crate::picture::{plain, the_streams_are_h264_and_aac};
use crate::support::process::free_tcp_port;
use crate::support::rest::keys;
use crate::support::service::terminate;
use crate::support::stage::{Options, Stage};

const RED: [u8; 3] = [200, 40, 40];
/// sysexits.h: somebody has to try again.
const EX_TEMPFAIL: i32 = 75;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recordings_go_on_after_sigterm_until_the_second_one_and_are_stored() {
    let settings = &[("EGRESSD_SHUTDOWN_GRACE_SECONDS", "300")];
    let mut stage = Stage::open_with("graceful", Options { settings, ..Options::HALF }).await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    let running = stage.record().await;
    terminate(stage.service.id());
    // The room exists, but is not being recorded: start is refused for the service's sake.
    let other = stage.livekit.create_room("another").await;
    let refused = loop {
        let answer = stage.caller().post(&format!("/v1/rooms/{other}/recording/start"), "").await;
        match answer.status {
            503 => break answer,
            // Taken in before the signal was.
            status => assert!(matches!(status, 200 | 201), "{answer:?}"),
        }
    };
    assert_eq!(keys(&refused.json), ["detail", "status", "title", "type"]);
    assert_eq!(refused.json["detail"], "The service is shutting down");
    tokio::time::sleep(Duration::from_secs(3)).await;
    let state = stage.caller().get(&stage.path("")).await.json;
    assert_eq!((&state["active"], &state["egressId"]), (&json!(true), &json!(running.egress_id)));
    terminate(stage.service.id());
    assert_eq!(stage.service.gone().await, Some(0), "all is stored");
    let recording = stage.fetch(&running).await;
    the_streams_are_h264_and_aac(&recording);
    assert!(recording.duration("v") >= 3.0, "it did not go on after the signal");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_exit_code_says_that_something_is_left() {
    let mut stage = Stage::open_with("left", Options::HALF).await;
    let nobody = format!("http://127.0.0.1:{}/", free_tcp_port());
    let webhook = json!({"url": nobody, "secret": "s", "events": ["egress_ended"]}).to_string();
    assert_eq!(stage.caller().post("/v1/webhooks", &webhook).await.status, 201);
    stage.participants.join("ann", plain("vp8", RED, 400));
    let running = stage.record().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    terminate(stage.service.id());
    assert_eq!(stage.service.gone().await, Some(EX_TEMPFAIL), "an event is to be told");
    the_streams_are_h264_and_aac(&stage.fetch(&running).await);
}
