//! Who is in the room and what they publish, from LiveKit's participant updates. Pure: an update in,
//! the changes out.

use std::collections::HashMap;

use livekit_protocol::{ParticipantInfo, TrackSource, TrackType, participant_info};

use crate::ids::TrackSid;
use crate::media::{Participant, TrackKind, VideoSource};

/// A published track, as the rest of egressd knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTrack {
    pub sid: TrackSid,
    /// The publisher's identity: one per participant and room.
    pub publisher: String,
    pub kind: TrackKind,
    /// What a video track shows; of no meaning for sound.
    pub source: VideoSource,
    /// The codec that it is published in, as its MIME type (`video/VP8`); may be empty.
    pub mime: String,
    pub muted: bool,
    /// Tiles are filled in this order: by when the participant joined, then by when the track came.
    pub order: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Told before his tracks.
    Joined(Participant),
    /// His identity; told after his tracks.
    Left(String),
    Published(PublishedTrack),
    Muted(TrackSid, bool),
    Unpublished(TrackSid),
}

#[derive(Default)]
pub struct Roster {
    /// By identity.
    members: HashMap<String, Member>,
    /// Participants and tracks, to tell apart those of the same millisecond.
    seen: u64,
}

struct Member {
    /// Of the present session of this identity.
    sid: String,
    tracks: Vec<PublishedTrack>,
}

/// Bits of an order that count; those above are the join time in milliseconds.
const ORDER_COUNT_BITS: u32 = 22;

impl Roster {
    /// Takes an update in; a participant that it does not name is unchanged.
    pub fn update(&mut self, infos: &[ParticipantInfo]) -> Vec<Change> {
        infos.iter().flat_map(|info| self.update_one(info)).collect()
    }

    /// How many participants are in the room. LiveKit does not show hidden ones to one another.
    pub fn participants(&self) -> usize {
        self.members.len()
    }

    pub fn track(&self, sid: &TrackSid) -> Option<&PublishedTrack> {
        self.members.values().flat_map(|m| &m.tracks).find(|t| t.sid == *sid)
    }

    /// Whose session `participant_sid` is.
    pub fn identity_of(&self, participant_sid: &str) -> Option<&str> {
        self.members.iter().find(|(_, m)| m.sid == participant_sid).map(|(identity, _)| identity.as_str())
    }

    fn update_one(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        if info.state() == participant_info::State::Disconnected {
            return self.left(info);
        }
        let mut changes = Vec::new();
        let before = match self.members.remove(&info.identity) {
            Some(member) => member.tracks,
            None => {
                changes.push(Change::Joined(self.participant(info)));
                Vec::new()
            }
        };
        let (now, compared) = self.compare(info, &before);
        changes.extend(compared);
        let gone = before.into_iter().filter(|t| !now.iter().any(|n| n.sid == t.sid));
        changes.extend(gone.map(|t| Change::Unpublished(t.sid)));
        self.members.insert(info.identity.clone(), Member { sid: info.sid.clone(), tracks: now });
        changes
    }

    fn left(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        let Some(member) = self.members.remove(&info.identity) else { return Vec::new() };
        let mut changes: Vec<_> = member.tracks.into_iter().map(|t| Change::Unpublished(t.sid)).collect();
        changes.push(Change::Left(info.identity.clone()));
        changes
    }

    fn participant(&mut self, info: &ParticipantInfo) -> Participant {
        Participant { identity: info.identity.clone(), name: info.name.clone(), order: self.next_order(info) }
    }

    fn compare(
        &mut self,
        info: &ParticipantInfo,
        before: &[PublishedTrack],
    ) -> (Vec<PublishedTrack>, Vec<Change>) {
        let (mut now, mut changes) = (Vec::with_capacity(info.tracks.len()), Vec::new());
        for track in &info.tracks {
            let kind = match track.r#type() {
                TrackType::Audio => TrackKind::Audio,
                TrackType::Video => TrackKind::Video,
                TrackType::Data => continue,
            };
            match before.iter().find(|b| b.sid.as_str() == track.sid) {
                Some(known) => {
                    if known.muted != track.muted {
                        changes.push(Change::Muted(known.sid.clone(), track.muted));
                    }
                    now.push(PublishedTrack { muted: track.muted, ..known.clone() });
                }
                None => {
                    let published = PublishedTrack {
                        sid: TrackSid(track.sid.clone()),
                        publisher: info.identity.clone(),
                        kind,
                        mime: track.mime_type.clone(),
                        source: match track.source() {
                            TrackSource::ScreenShare => VideoSource::ScreenShare,
                            TrackSource::Unknown
                            | TrackSource::Camera
                            | TrackSource::Microphone
                            | TrackSource::ScreenShareAudio => VideoSource::Camera,
                        },
                        muted: track.muted,
                        order: self.next_order(info),
                    };
                    changes.push(Change::Published(published.clone()));
                    now.push(published);
                }
            }
        }
        (now, changes)
    }

    fn next_order(&mut self, info: &ParticipantInfo) -> u64 {
        let joined_ms = if info.joined_at_ms > 0 { info.joined_at_ms } else { info.joined_at * 1000 };
        self.seen += 1;
        (joined_ms.cast_unsigned() << ORDER_COUNT_BITS) | (self.seen & ((1 << ORDER_COUNT_BITS) - 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::TrackInfo;

    fn participant(identity: &str, joined_at_ms: i64, tracks: &[(&str, TrackType, bool)]) -> ParticipantInfo {
        let track = |&(sid, kind, muted): &(&str, TrackType, bool)| TrackInfo {
            sid: sid.into(),
            r#type: kind as i32,
            muted,
            ..Default::default()
        };
        ParticipantInfo {
            sid: format!("PA_{identity}"),
            identity: identity.into(),
            joined_at_ms,
            state: participant_info::State::Active as i32,
            tracks: tracks.iter().map(track).collect(),
            ..Default::default()
        }
    }

    fn sid(s: &str) -> TrackSid {
        TrackSid(s.into())
    }

    #[test]
    fn a_track_is_published_once() {
        let mut roster = Roster::default();
        let alice = participant("alice", 5, &[("TR_a", TrackType::Video, false)]);
        let changes = roster.update(std::slice::from_ref(&alice));
        let [Change::Joined(joined), Change::Published(track)] = &changes[..] else {
            panic!("first the participant, then the track: {changes:?}");
        };
        assert_eq!((joined.identity.as_str(), track.publisher.as_str()), ("alice", "alice"));
        assert_eq!(roster.identity_of("PA_alice"), Some("alice"));
        assert_eq!(roster.update(&[alice]), []);
    }

    #[test]
    fn mute_and_unmute_are_changes() {
        let mut roster = Roster::default();
        roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, false)])]);
        let muted = roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, true)])]);
        assert_eq!(muted, [Change::Muted(sid("TR_a"), true)]);
        let unmuted = roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, false)])]);
        assert_eq!(unmuted, [Change::Muted(sid("TR_a"), false)]);
    }

    #[test]
    fn tracks_end_with_their_participant_or_alone() {
        let mut roster = Roster::default();
        let both = [("TR_a", TrackType::Video, false), ("TR_b", TrackType::Audio, false)];
        roster.update(&[participant("alice", 5, &both)]);
        assert_eq!(roster.update(&[participant("alice", 5, &both[1..])]), [Change::Unpublished(sid("TR_a"))]);
        let mut left = participant("alice", 5, &both[1..]);
        left.state = participant_info::State::Disconnected as i32;
        let gone = [Change::Unpublished(sid("TR_b")), Change::Left("alice".into())];
        assert_eq!(roster.update(std::slice::from_ref(&left)), gone);
        assert_eq!(roster.update(&[left]), [], "who has left cannot leave");
        assert_eq!(roster.participants(), 0);
    }

    #[test]
    fn tiles_are_ordered_by_joining_then_by_publishing() {
        let mut roster = Roster::default();
        let changes = roster.update(&[
            participant("late", 2000, &[("TR_3", TrackType::Video, false)]),
            participant(
                "early",
                1000,
                &[("TR_1", TrackType::Video, false), ("TR_2", TrackType::Video, false)],
            ),
        ]);
        let mut tracks: Vec<_> = changes
            .iter()
            .filter_map(|c| match c {
                Change::Published(t) => Some(t),
                Change::Joined(_) | Change::Left(_) | Change::Muted(..) | Change::Unpublished(_) => None,
            })
            .collect();
        tracks.sort_by_key(|t| t.order);
        let sids: Vec<_> = tracks.iter().map(|t| t.sid.as_str()).collect();
        assert_eq!(sids, ["TR_1", "TR_2", "TR_3"]);
    }
}
