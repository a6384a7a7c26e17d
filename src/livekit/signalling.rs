//! Tries LiveKit's signalling as far as possible without joining a room.
//!
//! The server checks first whether a websocket is asked for (404 if not), then the token, and only then lets
//! the caller join (livekit-server, `pkg/service/rtcservice.go`). So a request without a token that is
//! refused for that reason shows that the upgrade to a websocket reaches the server.

use reqwest::header::{CONNECTION, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::ExposeSecret;

use super::{ANY_ROOM, Livekit, LivekitError, TOKEN_TTL, transport};

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
    let token = livekit.recorder_token(ANY_ROOM, ANY_ROOM, TOKEN_TTL)?;
    let request = livekit.client.get(format!("{}/rtc/validate", livekit.url));
    let response = request.bearer_auth(token.expose_secret()).send().await.map_err(transport)?;
    match response.status() {
        status if status.is_success() => Ok(()),
        refused => Err(LivekitError::NotLetIn(refused)),
    }
}

fn as_websocket(request: RequestBuilder) -> RequestBuilder {
    request
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_VERSION, "13")
        .header(SEC_WEBSOCKET_KEY, KEY)
}
