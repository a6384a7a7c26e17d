//! What the session knows of the room, and how it tells: who is there, which tracks there are, and their frames on
//! the timeline. Owns neither signalling nor sockets; what it learns comes in by calls, what it tells goes out as
//! [`RoomEvent`]s.

use std::collections::HashMap;
use std::time::Instant;

use livekit_protocol::{ParticipantInfo, SpeakerInfo};
use tokio::sync::mpsc;

use super::RoomEvent;
use super::keyframes::Verdict;
use super::peer::IngressCounts;
use super::received::ReceivedFrame;
use super::roster::{Change, Roster};
use super::speakers::Speakers;
use super::timeline::{SenderReport, Timeline};
use super::track::Track;
use crate::ids::TrackSid;
use crate::media::{EncodedFrame, MediaTime, TrackKind};

pub struct Observer {
    epoch: Instant,
    roster: Roster,
    speakers: Speakers,
    timeline: Timeline,
    /// Those whose media comes in.
    tracks: HashMap<TrackSid, Track>,
    /// Those whose media came in before the room was joined anew, until it comes again or they are over.
    dormant: HashMap<TrackSid, Track>,
    events: mpsc::Sender<RoomEvent>,
}

/// Whether somebody should ask for a keyframe.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyframe {
    Ask,
    NotNow,
}

impl Observer {
    /// `epoch` is zero of the timeline.
    pub fn new(epoch: Instant, events: mpsc::Sender<RoomEvent>) -> Self {
        Self {
            epoch,
            roster: Roster::default(),
            speakers: Speakers::default(),
            timeline: Timeline::default(),
            tracks: HashMap::new(),
            dormant: HashMap::new(),
            events,
        }
    }

    pub async fn participants(&mut self, infos: &[ParticipantInfo]) {
        let before = self.roster.participants();
        let changes = self.roster.update(infos);
        self.tell_changes(changes, before).await;
    }

    /// The room was joined anew, and `infos` is who was there: what is missing may still come back.
    pub async fn rejoined(&mut self, infos: &[ParticipantInfo]) {
        for (sid, mut track) in self.tracks.drain() {
            self.timeline.remove(&sid);
            track.renegotiate();
            self.dormant.insert(sid, track);
        }
        let before = self.roster.participants();
        let changes = self.roster.rejoined(infos);
        self.tell_changes(changes, before).await;
        // Those of before are known by the sids of sessions that are over.
        self.speakers = Speakers::default();
        self.tell_speakers().await;
    }

    /// Whether anybody or anything of before the last rejoin is waited for.
    pub fn has_absent(&self) -> bool {
        self.roster.has_absent()
    }

    /// What has not come back by now has gone.
    pub async fn give_up_absent(&mut self) {
        let before = self.roster.participants();
        let changes = self.roster.give_up_absent();
        self.tell_changes(changes, before).await;
    }

    pub async fn speakers(&mut self, infos: &[SpeakerInfo]) {
        self.speakers.update(infos);
        self.tell_speakers().await;
    }

    /// The track's media comes in from now on.
    pub fn add_track(&mut self, sid: TrackSid, kind: TrackKind) {
        // An offer may overtake the update that tells whose its tracks are; until that comes, the
        // track stands for a publisher of its own.
        let publisher = self.roster.track(&sid).map_or_else(|| sid.0.clone(), |t| t.publisher.clone());
        tracing::debug!(track = %sid, publisher, ?kind, "track negotiated");
        self.timeline.add(sid.clone(), publisher, kind);
        let track = self.dormant.remove(&sid).unwrap_or_default();
        self.tracks.insert(sid, track);
    }

    /// No media of the track comes in any more.
    pub async fn remove_track(&mut self, sid: &TrackSid) {
        self.tell_figures(sid).await;
        self.tracks.remove(sid);
        self.timeline.remove(sid);
    }

    pub fn is_published(&self, sid: &TrackSid) -> bool {
        self.roster.track(sid).is_some()
    }

    pub async fn frame(&mut self, sid: TrackSid, received: ReceivedFrame) -> Keyframe {
        let arrival = self.media_time(received.arrival);
        let Some(track) = self.tracks.get_mut(&sid) else { return Keyframe::NotNow };
        match track.receive(&received, Instant::now()) {
            Verdict::Pass => {}
            Verdict::Drop => return Keyframe::NotNow,
            Verdict::DropAndRequest => return Keyframe::Ask,
        }
        let Some(time) = self.timeline.place(&sid, received.rtp, arrival) else { return Keyframe::NotNow };
        let frame = EncodedFrame {
            codec: received.codec,
            time,
            data: received.data,
            keyframe: received.keyframe,
            rotation: received.rotation,
            discontinuity: !received.contiguous,
        };
        let predecessor = self.roster.succeeded(&sid);
        self.tell(RoomEvent::Frame { sid, frame }).await;
        if let Some(sid) = predecessor {
            self.dormant.remove(&sid);
            self.tell(RoomEvent::Unpublished { sid, at: time }).await;
        }
        Keyframe::NotNow
    }

    pub fn sender_report(&mut self, sid: &TrackSid, report: SenderReport) {
        self.timeline.sender_report(sid, report);
    }

    pub async fn counts(&mut self, sid: &TrackSid, counts: IngressCounts) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.counted(counts);
            self.tell_figures(sid).await;
        }
    }

    /// Somebody downstream wants a keyframe.
    pub fn keyframe_wanted(&mut self, sid: &TrackSid) -> Keyframe {
        match self.tracks.get_mut(sid).is_some_and(|track| track.keyframe_wanted(Instant::now())) {
            true => Keyframe::Ask,
            false => Keyframe::NotNow,
        }
    }

    /// The server was told to send it, or not to.
    pub fn set_shown(&mut self, sid: &TrackSid, shown: bool) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.set_shown(shown);
        }
    }

    /// The figures of all tracks, for the last time.
    pub async fn tell_last_figures(&mut self) {
        let sids: Vec<TrackSid> = self.tracks.keys().cloned().collect();
        for sid in &sids {
            self.tell_figures(sid).await;
        }
    }

    pub async fn tell(&self, event: RoomEvent) {
        // A receiver that is gone has cancelled this session or is about to.
        let _ = self.events.send(event).await;
    }

    pub fn media_time(&self, instant: Instant) -> MediaTime {
        let nanos = match instant.checked_duration_since(self.epoch) {
            Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            None => -i64::try_from((self.epoch - instant).as_nanos()).unwrap_or(i64::MAX),
        };
        MediaTime::from_nanos(nanos)
    }

    async fn tell_changes(&mut self, changes: Vec<Change>, participants_before: usize) {
        let at = self.media_time(Instant::now());
        for change in changes {
            let event = match change {
                Change::Joined(participant) => RoomEvent::ParticipantJoined { participant, at },
                Change::Left(identity) => RoomEvent::ParticipantLeft { identity, at },
                Change::Published(track) => {
                    if self.tracks.contains_key(&track.sid) {
                        self.timeline.add(track.sid.clone(), track.publisher.clone(), track.kind);
                    }
                    RoomEvent::Published(track)
                }
                Change::Unpublished(sid) => {
                    self.dormant.remove(&sid);
                    RoomEvent::Unpublished { sid, at }
                }
                Change::Muted(sid, muted) => {
                    if let Some(track) = self.tracks.get_mut(&sid).filter(|_| !muted) {
                        track.restart();
                    }
                    RoomEvent::Muted { sid, muted, at }
                }
            };
            self.tell(event).await;
        }
        let participants = self.roster.participants();
        if participants != participants_before {
            self.tell(RoomEvent::Participants(participants)).await;
        }
    }

    async fn tell_speakers(&self) {
        let speakers = self.speakers.list(&self.roster);
        self.tell(RoomEvent::Speakers { speakers, at: self.media_time(Instant::now()) }).await;
    }

    /// Tells a track's figures if they have changed.
    async fn tell_figures(&mut self, sid: &TrackSid) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if let Some(clock) = self.timeline.figures(sid) {
            track.clocked(clock);
        }
        if let Some(figures) = track.news() {
            self.tell(RoomEvent::Received { sid: sid.clone(), figures }).await;
        }
    }
}
