//! The three recording calls, body by body.

use super::*;

#[tokio::test]
async fn a_recording_is_started_shown_and_stopped_in_the_contracts_words() {
    let api = Api::start().await;
    let started = api.post("/v1/rooms/room-abc/recording/start", "").await;
    assert_eq!(started.status, 201);
    assert_eq!(started.header("content-type"), Some("application/json"));
    let id = started.json()["egressId"].as_str().unwrap().to_owned();
    assert_eq!(
        started.body,
        format!(r#"{{"egressId":"{id}","status":"starting","startedAt":"{STARTED_AT}"}}"#)
    );

    let again = api.post("/v1/rooms/room-abc/recording/start", "{}").await;
    assert_eq!(again.status, 200);
    assert_eq!(again.body, format!(r#"{{"egressId":"{id}","status":"active","startedAt":"{STARTED_AT}"}}"#));
    let shown = api.get("/v1/rooms/room-abc/recording").await;
    assert_eq!(shown.body, format!(r#"{{"active":true,"egressId":"{id}","startedAt":"{STARTED_AT}"}}"#));

    let stopped = api.post("/v1/rooms/room-abc/recording/stop", "").await;
    assert_eq!(stopped.status, 200);
    assert_eq!(stopped.body, format!(r#"{{"egressId":"{id}","status":"stopping"}}"#));
    assert_eq!(api.get("/v1/rooms/room-abc/recording").await.body, r#"{"active":false}"#);
}

#[tokio::test]
async fn a_stop_of_nothing_is_a_404_in_the_contracts_words() {
    let api = Api::start().await;
    let answer = api.post("/v1/rooms/room/recording/stop", "").await;
    assert_eq!(
        answer.body,
        r#"{"type":"https://rtcstack.dev/errors/not-found","title":"Not Found","status":404,"detail":"No active recording for this room"}"#
    );
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let api = Api::start().await;
    let start = async |room: &str| api.post(&format!("/v1/rooms/{room}/recording/start"), "").await;
    assert_eq!(start("nowhere").await.problem("not-found").0, 404);
    assert_eq!(start("unreachable").await.problem("unavailable").0, 503);
    let full = start("full").await;
    assert_eq!(full.problem("unavailable").0, 503);
    assert_eq!(full.header("retry-after"), Some("7"));
    let (status, detail) = start("broken").await.problem("internal");
    assert_eq!(status, 500);
    assert!(!detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn an_option_that_cannot_be_honoured_starts_nothing() {
    let api = Api::start().await;
    let answer = api.post("/v1/rooms/room/recording/start", r#"{"wdith":1}"#).await;
    assert_eq!(answer.problem("bad-request"), (400, "Unknown key \"wdith\"".to_owned()));
    assert_eq!(api.get("/v1/rooms/room/recording").await.body, r#"{"active":false}"#);
}

#[tokio::test]
async fn a_watermark_that_there_is_none_for_is_a_400() {
    let api = Api::start().await;
    let answer = api.post("/v1/rooms/room/recording/start", r#"{"watermark":true}"#).await;
    let detail = "watermark must be left out or false: this service has no picture for it";
    assert_eq!(answer.problem("bad-request"), (400, detail.to_owned()));
}

#[tokio::test]
async fn a_change_of_the_view_answers_as_the_state_does() {
    let api = Api::start().await;
    let change = async |body: &str| api.call("PATCH", "/v1/rooms/room/recording", body).await;
    let layout = r#"{"layout":"grid-light"}"#;
    let nothing = (404, "No active recording for this room".to_owned());
    assert_eq!(change(layout).await.problem("not-found"), nothing);

    api.post("/v1/rooms/room/recording/start", "").await;
    let changed = change(layout).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body, api.get("/v1/rooms/room/recording").await.body);
    assert_eq!(change(r#"{"layout":"mosaic"}"#).await.problem("bad-request").0, 400);
    assert_eq!(change("").await.problem("bad-request").0, 400);
}

#[tokio::test]
async fn a_room_name_is_percent_decoded_and_signed_as_sent() {
    let api = Api::start().await;
    for room in ["Z%C3%BCrich%20a", "a+b", "%2e%2e%2e", "x?query=%2F"] {
        let (name, query) = room.split_once('?').unwrap_or((room, ""));
        let target = format!("/v1/rooms/{name}/recording/start?{query}");
        assert_eq!(api.post(&target, "").await.status, 201, "{target}");
    }
}

#[tokio::test]
async fn a_room_name_that_is_none_is_a_400() {
    let api = Api::start().await;
    let long = "x".repeat(257);
    for room in ["", "a%2Fb", "%ff", "%00", "a%0Ab", ".", "..", "%2e%2E", &long] {
        let answer = api.get(&format!("/v1/rooms/{room}/recording")).await;
        assert_eq!(answer.problem("bad-request").0, 400, "{room}");
    }
}
