//! LiveKit's own webhooks: a room that is closed ends its recording, also where the recorder cannot hear of it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_token::AccessToken;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::picture::plain;
use crate::support::servers::LiveKit;
use crate::support::stage::{Options, Signalling, Stage};

const RED: [u8; 3] = [200, 40, 40];
const RECORDED: Duration = Duration::from_secs(3);
/// How long the recorder would look for a server that it has lost.
const RECONNECT_TIMEOUT: (&str, &str) = ("EGRESSD_RECONNECT_TIMEOUT_SECONDS", "600");
/// Far less.
const ENDED: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_closes_while_the_recorder_is_cut_off_ends_its_recording_and_not_the_next_one() {
    let options = Options {
        signalling: Signalling::Relayed,
        livekit_tells: true,
        settings: &[RECONNECT_TIMEOUT],
        ..Options::HALF
    };
    let mut stage = Stage::open_with("closing", options).await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    let first = stage.record().await;
    let earlier = stage.livekit.room_sid("closing").await;
    tokio::time::sleep(RECORDED).await;
    stage.signalling().cut(false);
    stage.livekit.delete_room("closing").await;
    let ended = stage.until(&first, ENDED, |state| state["status"] == "complete").await;
    assert!(ended["duration"].as_u64() >= Some(RECORDED.as_secs() - 1), "{ended}");

    stage.signalling().cut(true);
    stage.participants.join("ben", plain("vp8", RED, 400));
    let second = stage.record().await;
    assert_ne!(first.egress_id, second.egress_id);
    let later = stage.livekit.room_sid("closing").await;
    assert_ne!(earlier, later, "a room of the same name is another room");
    assert_eq!(told(&stage, "room_finished", &earlier).await, json!({"ended": false}), "it comes late");
    assert_eq!(told(&stage, "room_started", &later).await, json!({"ended": false}));
    let state = stage.caller().get(&stage.path("")).await.json;
    assert_eq!((&state["active"], &state["egressId"]), (&json!(true), &json!(second.egress_id)));
    assert_eq!(told(&stage, "room_finished", &later).await, json!({"ended": true}));
    stage.until(&second, ENDED, |state| state["status"] == "complete").await;
}

/// What egressd answers to LiveKit when it says this of a room.
async fn told(stage: &Stage, event: &str, sid: &str) -> Value {
    let body = json!({"event": event, "room": {"sid": sid, "name": "closing"}}).to_string();
    let hash = STANDARD.encode(Sha256::digest(&body));
    let token = AccessToken::with_api_key(LiveKit::KEY, LiveKit::SECRET).with_sha256(&hash).to_jwt();
    let answer = reqwest::Client::new()
        .post(stage.service.livekit_hook())
        .header("Authorization", token.expect("a token can be made"))
        .body(body)
        .send()
        .await
        .expect("egressd answers");
    assert_eq!(answer.status(), 200);
    answer.json().await.expect("egressd answers in JSON")
}
