//! Tries LiveKit's signalling as far as one can without joining a room.
//!
//! The server looks first whether a websocket is asked for (404 if not), then who asks, and only then does it let somebody
//! in (livekit-server, `pkg/service/rtcservice.go`). So one that brings no token, and is turned away for that, tells
//! that the wish for a websocket gets there.

use livekit_token::VideoGrants;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{RequestBuilder, StatusCode};

use super::{ANY_ROOM, Livekit, LivekitError, transport};

/// Sixteen bytes in base64 (RFC 6455, section 4.1). They need not be a secret, as nothing is going to be connected.
const KEY: &str = "ZWdyZXNzZC1jaGVja2luZw==";

/// Whether a websocket reaches LiveKit: many a proxy does not let one through.
pub async fn try_websocket(livekit: &Livekit) -> Result<(), LivekitError> {
    let request = livekit.client.get(format!("{}/rtc", livekit.url));
    let response = as_websocket(request).send().await.map_err(transport)?;
    match response.status() {
        StatusCode::UNAUTHORIZED => Ok(()),
        other => Err(LivekitError::NoWebsocket(other)),
    }
}

/// Whether a recorder's token would be taken.
pub async fn try_token(livekit: &Livekit) -> Result<(), LivekitError> {
    let token =
        livekit.token(|token| token.with_identity(ANY_ROOM).with_kind("egress").with_grants(recorder()))?;
    let request = livekit.client.get(format!("{}/rtc/validate", livekit.url));
    let response = request.bearer_auth(token).send().await.map_err(transport)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        refused => Err(LivekitError::NotLetIn(refused)),
    }
}

/// As the worker joins.
fn recorder() -> VideoGrants {
    VideoGrants {
        room_join: true,
        room: ANY_ROOM.to_owned(),
        can_subscribe: Some(true),
        can_publish: Some(false),
        can_publish_data: Some(false),
        hidden: true,
        recorder: true,
        ..VideoGrants::default()
    }
}

fn as_websocket(request: RequestBuilder) -> RequestBuilder {
    request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, KEY)
}
