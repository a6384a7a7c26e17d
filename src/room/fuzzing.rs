//! Gives the fuzz targets (`fuzz/`) access to this folder's private readers. Compiled in no other build.

use livekit_protocol as proto;
use prost::Message;

pub use super::people::{Change, Roster, Speakers};
pub use super::timeline::{SenderReport, Timeline};
pub use super::tracks::{GateDecision, KeyframeGate, can_start_decoder};
pub use super::transport::{
    MediaSection, as_sent_to_a_subscriber, candidates, has_datagram, ice_ufrag, is_recycled, media_sections,
    next_datagram, put_datagram,
};

/// Applies a `ParticipantUpdate` as LiveKit sends it; returns `None` if the bytes are not one.
pub fn update_roster(roster: &mut Roster, message: &[u8]) -> Option<Vec<Change>> {
    let update = proto::ParticipantUpdate::decode(message).ok()?;
    Some(roster.update(&update.participants))
}

/// Applies a `ParticipantUpdate` as the list of participants after a rejoin; returns `None` if the
/// bytes are not one.
pub fn rejoin_roster(roster: &mut Roster, message: &[u8]) -> Option<Vec<Change>> {
    let update = proto::ParticipantUpdate::decode(message).ok()?;
    Some(roster.rejoined(&update.participants))
}

/// Applies a `SpeakersChanged`.
pub fn update_speakers(speakers: &mut Speakers, message: &[u8]) {
    if let Ok(changed) = proto::SpeakersChanged::decode(message) {
        speakers.update(&changed.speakers);
    }
}

/// Returns the candidate of a `TrickleRequest`.
pub fn candidate(message: &[u8]) -> Option<String> {
    let trickle = proto::TrickleRequest::decode(message).ok()?;
    super::signalling::candidate(&trickle, proto::SignalTarget::Subscriber)
}
