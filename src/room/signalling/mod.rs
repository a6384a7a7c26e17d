//! The signalling that the recorder and the test publisher share (options, candidates, leaving), and its
//! websocket.
//!
//! Not here: when a message is sent. The session and the publisher decide that.

mod tls;
mod websocket;

pub use tls::is_tls_fault;
pub use websocket::install;

use livekit_protocol as proto;
use livekit_signaling::SignalOptions;

use crate::ids::TrackSid;
use crate::media::Size;

/// Signal protocol of the pinned livekit-signaling; livekit-server 1.11 speaks 18.
const SIGNAL_PROTOCOL: u32 = 18;

/// Whether the server sends every track without being asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum AutoSubscribe {
    Yes,
    No,
}

pub fn options(subscribe: AutoSubscribe) -> SignalOptions {
    // The struct is non-exhaustive, so a literal is not possible.
    let mut options = SignalOptions::default();
    options.auto_subscribe = subscribe == AutoSubscribe::Yes;
    options.adaptive_stream = false;
    options.single_peer_connection = false;
    options.region_failover = false;
    options.protocol_version = SIGNAL_PROTOCOL;
    // No capability: with packet trailers, frames would contain bytes that no decoder knows.
    options.client_capabilities = Vec::new();
    options.client_protocol = 0;
    options
}

/// Returns the host and port of a signalling URL.
pub fn host(url: &str) -> (String, u16) {
    let parsed = url::Url::parse(url).ok();
    let host = parsed.as_ref().and_then(|u| u.host_str()).unwrap_or("localhost");
    let port = parsed.as_ref().and_then(url::Url::port_or_known_default).unwrap_or(443);
    (host.trim_matches(['[', ']']).to_owned(), port)
}

/// Returns a candidate for trickling: `RTCIceCandidateInit` as JSON.
pub fn candidate_init(address: std::net::SocketAddr) -> Option<String> {
    let candidate = str0m::Candidate::host(address, "udp").ok()?;
    let init = serde_json::json!({
        "candidate": candidate.to_sdp_string(), "sdpMid": "0", "sdpMLineIndex": 0
    });
    Some(init.to_string())
}

/// Returns the candidate of a trickle message for `target`. A message without one marks the end of the
/// candidates.
pub fn candidate(trickle: &proto::TrickleRequest, target: proto::SignalTarget) -> Option<String> {
    if trickle.target() != target {
        return None;
    }
    let init: serde_json::Value = serde_json::from_str(&trickle.candidate_init).unwrap_or_default();
    init["candidate"].as_str().filter(|c| !c.is_empty()).map(str::to_owned)
}

/// Asks the server for the smallest layer of a track that is at least this large.
pub fn shown_at(sid: &TrackSid, size: Size) -> proto::UpdateTrackSettings {
    // LiveKit compares the height only, and accepts a layer that is a tenth too low (livekit-server,
    // `layerSelectionTolerance`).
    let height = (size.height * 10).div_ceil(9);
    proto::UpdateTrackSettings {
        track_sids: vec![sid.0.clone()],
        width: size.width,
        height,
        ..Default::default()
    }
}

/// Asks the server to send nothing of a track.
pub fn hidden(sid: &TrackSid) -> proto::UpdateTrackSettings {
    proto::UpdateTrackSettings { track_sids: vec![sid.0.clone()], disabled: true, ..Default::default() }
}

pub fn leave() -> proto::LeaveRequest {
    proto::LeaveRequest {
        reason: proto::DisconnectReason::ClientInitiated as i32,
        action: proto::leave_request::Action::Disconnect as i32,
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_that_is_a_little_too_low_is_not_taken() {
        // As livekit-server compares: a layer suffices if it has at least 0.9 times the asked height.
        let least_layer = |height: u32| {
            let asked = shown_at(&TrackSid("TR_a".into()), Size { width: 16, height }).height;
            (asked as f32 * 0.9) as u32
        };
        for height in [132, 180, 234, 360, 720] {
            assert!((height - 1..=height + 1).contains(&least_layer(height)), "{height}");
        }
        assert_eq!(least_layer(180), 180);
        assert_eq!(least_layer(360), 360);
    }
}
