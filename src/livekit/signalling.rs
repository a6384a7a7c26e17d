//! Tries LiveKit's signalling as far as possible without joining a room.
//!
//! The server checks first whether a websocket is asked for (404 if not), then the token, and only then lets
//! the caller join (livekit-server, `pkg/service/rtcservice.go`). So a request without a token that is
//! refused for that reason shows that the upgrade to a websocket reaches the server.

use livekit_token::VideoGrants;
use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{RequestBuilder, StatusCode};

use super::{ANY_ROOM, Livekit, LivekitError, transport};

/// Sixteen bytes in base64 (RFC 6455, section 4.1). They need not be secret, as nothing will be connected.
const KEY: &str = "ZWdyZXNzZC1jaGVja2luZw==";

/// Checks that a websocket reaches LiveKit: many proxies do not pass it on.
pub async fn try_websocket(livekit: &Livekit) -> Result<(), LivekitError> {
    let request = livekit.client.get(format!("{}/rtc", livekit.url));
    let response = as_websocket(request).send().await.map_err(transport)?;
    match response.status() {
        StatusCode::UNAUTHORIZED => Ok(()),
        other => Err(LivekitError::NoWebsocket(other)),
    }
}

/// Checks that LiveKit would accept a recorder's token.
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

/// Returns the grants with which a worker joins.
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
