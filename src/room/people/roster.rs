//! The participants in the room and what they publish, from LiveKit's participant updates. Pure: an update
//! in, the changes out.

use std::collections::HashMap;

use livekit_protocol::{ParticipantInfo, TrackInfo, TrackSource, TrackType, participant_info};

use super::absent::{Absent, Succession};
use super::published::PublishedTrack;
use crate::ids::TrackSid;
use crate::media::{Participant, TrackKind, VideoSource};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Comes before the participant's tracks.
    Joined(Participant),
    /// The participant's identity. Comes after the end of their tracks.
    Left(String),
    Published(PublishedTrack),
    Muted(TrackSid, bool),
    Unpublished(TrackSid),
}

#[derive(Default)]
pub struct Roster {
    /// By identity.
    members: HashMap<String, Member>,
    absent: Absent,
    /// Counts participants and tracks, to order those of the same millisecond.
    seen: u64,
}

struct Member {
    /// The sid of this identity's present session.
    sid: String,
    presence: Presence,
    tracks: Vec<PublishedTrack>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Present,
    /// The participant was in the room before the connection to the server was lost and has not been seen
    /// since. They count as present until they are given up.
    Absent,
}

/// How many bits of an order hold the count; those above hold the join time in milliseconds.
const ORDER_COUNT_BITS: u32 = 22;

impl Roster {
    /// Applies an update. A participant whom it does not name stays unchanged.
    pub fn update(&mut self, infos: &[ParticipantInfo]) -> Vec<Change> {
        // LiveKit lists those who joined before the recorder in no order.
        let mut infos: Vec<_> = infos.iter().collect();
        infos.sort_by_key(|info| joined_ms(info));
        infos.into_iter().flat_map(|info| self.update_one(info)).collect()
    }

    /// Applies the list of participants after a rejoin. Missing participants and tracks count as present
    /// until they are given up. A new track may replace a missing one and takes over its place in the order.
    pub fn rejoined(&mut self, infos: &[ParticipantInfo]) -> Vec<Change> {
        for member in self.members.values_mut() {
            member.presence = Presence::Absent;
            self.absent.add(member.tracks.drain(..));
        }
        self.update(infos)
    }

    /// Returns whether a participant or track is missing and may still come back.
    pub fn has_absent(&self) -> bool {
        !self.absent.is_empty() || self.members.values().any(|m| m.presence == Presence::Absent)
    }

    /// Takes note of the first picture of `sid`; returns the track that it replaces, if any.
    pub fn succeeded(&mut self, sid: &TrackSid) -> Option<TrackSid> {
        self.absent.succeeded(sid)
    }

    /// Treats everybody and everything that has not come back by now as gone.
    pub fn give_up_absent(&mut self) -> Vec<Change> {
        let mut changes: Vec<_> = self.absent.give_up().into_iter().map(Change::Unpublished).collect();
        let gone = self.members.extract_if(|_, member| member.presence == Presence::Absent);
        changes.extend(gone.map(|(identity, _)| Change::Left(identity)));
        changes
    }

    /// Returns how many participants are in the room. LiveKit does not show hidden ones to one another.
    pub fn participants(&self) -> usize {
        self.members.len()
    }

    pub fn track(&self, sid: &TrackSid) -> Option<&PublishedTrack> {
        self.members.values().flat_map(|m| &m.tracks).find(|t| t.sid == *sid)
    }

    /// Returns the identity whose session is `participant_sid`.
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
        let member = Member { sid: info.sid.clone(), presence: Presence::Present, tracks: now };
        self.members.insert(info.identity.clone(), member);
        changes
    }

    fn left(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        // This may be the late end of an earlier session of a participant who is back already.
        let is_present_session = |m: &Member| info.sid.is_empty() || m.sid == info.sid;
        if !self.members.get(&info.identity).is_some_and(is_present_session) {
            return Vec::new();
        }
        let Some(member) = self.members.remove(&info.identity) else { return Vec::new() };
        let mut changes: Vec<_> = member.tracks.into_iter().map(|t| Change::Unpublished(t.sid)).collect();
        changes.extend(self.absent.gone(&info.identity).into_iter().map(Change::Unpublished));
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
            let known = before.iter().find(|b| b.sid.as_str() == track.sid).cloned();
            let Some(known) = known.or_else(|| self.absent.returned(&track.sid)) else {
                let mut published = self.published(info, track, kind);
                let succession = self.absent.succeed(&mut published);
                changes.push(Change::Published(published.clone()));
                now.push(published);
                match succession {
                    Succession::AtOnce(old) => changes.push(Change::Unpublished(old)),
                    Succession::None | Succession::WithItsFirstPicture => {}
                }
                continue;
            };
            if known.muted != track.muted {
                changes.push(Change::Muted(known.sid.clone(), track.muted));
            }
            now.push(PublishedTrack { muted: track.muted, ..known });
        }
        (now, changes)
    }

    fn published(&mut self, info: &ParticipantInfo, track: &TrackInfo, kind: TrackKind) -> PublishedTrack {
        PublishedTrack {
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
        }
    }

    fn next_order(&mut self, info: &ParticipantInfo) -> u64 {
        self.seen += 1;
        (joined_ms(info).cast_unsigned() << ORDER_COUNT_BITS) | (self.seen & ((1 << ORDER_COUNT_BITS) - 1))
    }
}

/// Returns the join time in milliseconds. Older servers send whole seconds only.
fn joined_ms(info: &ParticipantInfo) -> i64 {
    if info.joined_at_ms > 0 { info.joined_at_ms } else { info.joined_at.saturating_mul(1000) }
}

#[cfg(test)]
mod tests;
