//! Who is in the room and what they publish, from LiveKit's participant updates. Pure: an update in,
//! the changes out.

use std::collections::HashMap;

use livekit_protocol::{ParticipantInfo, TrackInfo, TrackSource, TrackType, participant_info};

use super::absent::{Absent, Succession};
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
    absent: Absent,
    /// Participants and tracks, to tell apart those of the same millisecond.
    seen: u64,
}

struct Member {
    /// Of the present session of this identity.
    sid: String,
    presence: Presence,
    tracks: Vec<PublishedTrack>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Presence {
    Present,
    /// Was there before the connection to the server was lost, has not been seen since, and counts as there
    /// until he is given up.
    Absent,
}

/// Bits of an order that count; those above are the join time in milliseconds.
const ORDER_COUNT_BITS: u32 = 22;

impl Roster {
    /// Takes an update in; a participant that it does not name is unchanged.
    pub fn update(&mut self, infos: &[ParticipantInfo]) -> Vec<Change> {
        // LiveKit lists those who were there before us in no order.
        let mut infos: Vec<_> = infos.iter().collect();
        infos.sort_by_key(|info| joined_ms(info));
        infos.into_iter().flat_map(|info| self.update_one(info)).collect()
    }

    /// Takes in who is in the room after joining it anew. Who and what is missing counts as there until it is
    /// given up; what comes in its place takes its place.
    pub fn rejoined(&mut self, infos: &[ParticipantInfo]) -> Vec<Change> {
        for member in self.members.values_mut() {
            member.presence = Presence::Absent;
            self.absent.add(member.tracks.drain(..));
        }
        self.update(infos)
    }

    /// Whether anybody or anything is waited for.
    pub fn has_absent(&self) -> bool {
        !self.absent.is_empty() || self.members.values().any(|m| m.presence == Presence::Absent)
    }

    /// A picture of `sid` is there: the track in whose place it came, if that is over now.
    pub fn succeeded(&mut self, sid: &TrackSid) -> Option<TrackSid> {
        self.absent.succeeded(sid)
    }

    /// Who and what has not come back by now has gone.
    pub fn give_up_absent(&mut self) -> Vec<Change> {
        let mut changes: Vec<_> = self.absent.give_up().into_iter().map(Change::Unpublished).collect();
        let gone = self.members.extract_if(|_, member| member.presence == Presence::Absent);
        changes.extend(gone.map(|(identity, _)| Change::Left(identity)));
        changes
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
        let member = Member { sid: info.sid.clone(), presence: Presence::Present, tracks: now };
        self.members.insert(info.identity.clone(), member);
        changes
    }

    fn left(&mut self, info: &ParticipantInfo) -> Vec<Change> {
        // The end of an earlier session of somebody who is back already is none of the present one.
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

/// Older servers tell whole seconds only.
fn joined_ms(info: &ParticipantInfo) -> i64 {
    if info.joined_at_ms > 0 { info.joined_at_ms } else { info.joined_at.saturating_mul(1000) }
}

#[cfg(test)]
mod tests;
