//! LiveKit's own webhooks, with tokens made as LiveKit makes them.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use livekit_token::AccessToken;

use super::*;

const RECORDED: &str =
    r#"{"event":"room_finished","room":{"sid":"RM_recorded","name":"room"},"id":"EV_1","createdAt":"1"}"#;

impl Api {
    /// Posts this body as LiveKit would.
    async fn hears(&self, body: &str) -> Answer {
        let hash = STANDARD.encode(Sha256::digest(body));
        let token = AccessToken::with_api_key("devkey", LIVEKIT_SECRET).with_sha256(&hash).to_jwt().unwrap();
        self.hears_with(&format!("Authorization: {token}\r\n"), body).await
    }

    async fn hears_with(&self, headers: &str, body: &str) -> Answer {
        let headers = format!("Content-Type: application/webhook+json\r\n{headers}");
        self.with_headers("POST", "/livekit/webhook", &headers, body).await
    }

    async fn is_recording(&self) -> bool {
        self.get("/v1/rooms/room/recording").await.json()["active"].as_bool().unwrap()
    }
}

#[tokio::test]
async fn a_room_that_livekit_has_closed_ends_its_recording() {
    let api = Api::start().await;
    api.post("/v1/rooms/room/recording/start", "").await;
    let answer = api.hears(RECORDED).await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"ended":true}"#));
    assert!(!api.is_recording().await);
    let answer = api.hears(RECORDED).await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"ended":false}"#), "LiveKit may say it twice");
}

#[tokio::test]
async fn everything_else_that_livekit_says_is_taken_and_changes_nothing() {
    let api = Api::start().await;
    api.post("/v1/rooms/room/recording/start", "").await;
    for body in [
        r#"{"event":"room_started","room":{"sid":"RM_recorded","name":"room"}}"#,
        r#"{"event":"participant_left","room":{"sid":"RM_recorded","name":"room"},"participant":{"identity":"x"}}"#,
        r#"{"event":"room_finished","room":{"sid":"RM_earlier","name":"room"}}"#,
        r#"{"event":"room_finished","room":{"sid":"RM_recorded","name":"other"}}"#,
        r#"{"event":"room_finished","room":{"sid":"RM_recorded","name":"no/recording/has/it"}}"#,
        r#"{"event":"room_finished"}"#,
        r#"{"event":"something_new","of":{"later":"versions"}}"#,
        "{}",
    ] {
        let answer = api.hears(body).await;
        assert_eq!((answer.status, &*answer.body), (200, r#"{"ended":false}"#), "{body}");
    }
    assert!(api.is_recording().await);
}

#[tokio::test]
async fn what_is_not_signed_with_livekits_key_is_refused_before_its_body_is_read() {
    let api = Api::start().await;
    api.post("/v1/rooms/room/recording/start", "").await;
    let jwt = |key, secret, body: &str| {
        let hash = STANDARD.encode(Sha256::digest(body));
        AccessToken::with_api_key(key, secret).with_sha256(&hash).to_jwt().unwrap()
    };
    let of_another_secret = jwt("devkey", "another-secret-of-as-many-letters", RECORDED);
    let of_another_key = jwt("key", LIVEKIT_SECRET, RECORDED);
    let of_another_body = jwt("devkey", LIVEKIT_SECRET, "{}");
    for token in [of_another_secret, of_another_key, of_another_body] {
        let answer = api.hears_with(&format!("Authorization: {token}\r\n"), RECORDED).await;
        assert_eq!(answer.problem("unauthorized").0, 401);
    }
    let unsigned = api.hears_with("", RECORDED).await;
    assert_eq!(unsigned.problem("unauthorized").0, 401);
    // The API's own signature does not count here.
    let signed = signed("POST", "/livekit/webhook", RECORDED);
    assert_eq!(api.hears_with(&signed, RECORDED).await.problem("unauthorized").0, 401);
    // The announced body never comes, and the answer does not wait for it.
    let head =
        "POST /livekit/webhook HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 900\r\n\r\n";
    assert_eq!(api.raw(head).await.status, 401);
    assert!(api.is_recording().await);
}

#[tokio::test]
async fn a_signed_body_that_is_no_event_or_too_large_is_refused() {
    let api = Api::start().await;
    assert_eq!(api.hears("no JSON").await.problem("bad-request").0, 400);
    assert_eq!(api.hears("[]").await.problem("bad-request").0, 400);
    assert_eq!(api.hears(&"x".repeat(BODY_LIMIT + 1)).await.problem("payload-too-large").0, 413);
    let answer = api.with_headers("GET", "/livekit/webhook", "", "").await;
    assert_eq!(answer.status, 405);
}
