//! What the fuzz targets (`fuzz/`) reach of this folder's private readers. In no other build.

use livekit_protocol as proto;
use prost::Message;

pub use super::access_unit::can_start_decoder;
pub use super::framing::{has_datagram, next_datagram, put_datagram};
pub use super::keyframes::{KeyframeGate, Verdict};
pub use super::roster::{Change, Roster};
pub use super::sdp::{
    MediaSection, as_sent_to_a_subscriber, candidates, ice_ufrag, is_recycled, media_sections,
};
pub use super::speakers::Speakers;
pub use super::timeline::{SenderReport, Timeline};

/// Takes in a `ParticipantUpdate` as it comes from LiveKit; `None` if it is none.
pub fn update_roster(roster: &mut Roster, message: &[u8]) -> Option<Vec<Change>> {
    let update = proto::ParticipantUpdate::decode(message).ok()?;
    Some(roster.update(&update.participants))
}

/// Likewise of those whom a server names when the room is joined anew.
pub fn rejoin_roster(roster: &mut Roster, message: &[u8]) -> Option<Vec<Change>> {
    let update = proto::ParticipantUpdate::decode(message).ok()?;
    Some(roster.rejoined(&update.participants))
}

/// Likewise a `SpeakersChanged`.
pub fn update_speakers(speakers: &mut Speakers, message: &[u8]) {
    if let Ok(changed) = proto::SpeakersChanged::decode(message) {
        speakers.update(&changed.speakers);
    }
}

/// The candidate of a `TrickleRequest`.
pub fn candidate(message: &[u8]) -> Option<String> {
    let trickle = proto::TrickleRequest::decode(message).ok()?;
    super::signalling::candidate(&trickle, proto::SignalTarget::Subscriber)
}
