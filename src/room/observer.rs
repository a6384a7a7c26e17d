//! What the session knows of the room: its participants, its tracks, and their frames on the timeline.
//!
//! Owns neither signalling nor sockets. Its owner passes in what the server sends; it sends [`RoomEvent`]s.

use std::collections::HashMap;
use std::time::Instant;

use livekit_protocol::{ParticipantInfo, SpeakerInfo};
use tokio::sync::mpsc;

use super::RoomEvent;
use super::people::{Change, Roster, Speakers};
use super::timeline::{SenderReport, Timeline};
use super::tracks::{GateDecision, IngressCounts, ReceivedFrame, Track};
use crate::ids::TrackSid;
use crate::media::{EncodedFrame, MediaTime, TrackKind};

pub struct Observer {
    epoch: Instant,
    roster: Roster,
    speakers: Speakers,
    timeline: Timeline,
    /// The tracks whose media is received.
    tracks: HashMap<TrackSid, Track>,
    /// The tracks whose media was received before the room was joined again. They stay here until their media
    /// comes again or they end.
    dormant: HashMap<TrackSid, Track>,
    events: mpsc::Sender<RoomEvent>,
}

/// Whether the caller should ask for a keyframe.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keyframe {
    Ask,
    NotNow,
}

impl Observer {
    /// `epoch` is the zero of the timeline.
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
        self.send_changes(changes, before).await;
    }

    /// Takes the participants who were in the room when it was joined again. Those who are missing may still
    /// come back.
    pub async fn rejoined(&mut self, infos: &[ParticipantInfo]) {
        for (sid, mut track) in self.tracks.drain() {
            self.timeline.remove(&sid);
            track.renegotiate();
            self.dormant.insert(sid, track);
        }
        let before = self.roster.participants();
        let changes = self.roster.rejoined(infos);
        self.send_changes(changes, before).await;
        // The old speakers are known by the sids of sessions that are over.
        self.speakers = Speakers::default();
        self.send_speakers().await;
    }

    /// Returns whether a participant or track from before the last rejoin is waited for.
    pub fn has_absent(&self) -> bool {
        self.roster.has_absent()
    }

    /// Treats everybody and everything that has not come back by now as gone.
    pub async fn give_up_absent(&mut self) {
        let before = self.roster.participants();
        let changes = self.roster.give_up_absent();
        self.send_changes(changes, before).await;
    }

    pub async fn speakers(&mut self, infos: &[SpeakerInfo]) {
        self.speakers.update(infos);
        self.send_speakers().await;
    }

    /// Begins to receive the track's media.
    pub fn add_track(&mut self, sid: TrackSid, kind: TrackKind) {
        // An offer may overtake the update that tells who publishes its tracks. Until that update comes, the
        // track counts as a publisher of its own.
        let publisher = self.roster.track(&sid).map_or_else(|| sid.0.clone(), |t| t.publisher.clone());
        tracing::debug!(track = %sid, publisher, ?kind, "track negotiated");
        self.timeline.add(sid.clone(), publisher, kind);
        let track = self.dormant.remove(&sid).unwrap_or_default();
        self.tracks.insert(sid, track);
    }

    /// Ends receiving the track's media.
    pub async fn remove_track(&mut self, sid: &TrackSid) {
        self.send_figures(sid).await;
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
            GateDecision::Pass => {}
            GateDecision::Drop => return Keyframe::NotNow,
            GateDecision::DropAndRequest => return Keyframe::Ask,
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
        self.send(RoomEvent::Frame { sid, frame }).await;
        if let Some(sid) = predecessor {
            self.dormant.remove(&sid);
            self.send(RoomEvent::Unpublished { sid, at: time }).await;
        }
        Keyframe::NotNow
    }

    pub fn sender_report(&mut self, sid: &TrackSid, report: SenderReport) {
        self.timeline.sender_report(sid, report);
    }

    pub async fn counts(&mut self, sid: &TrackSid, counts: IngressCounts) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.counted(counts);
            self.send_figures(sid).await;
        }
    }

    /// Notes that the decoder needs a keyframe; returns whether to ask for it now.
    pub fn keyframe_wanted(&mut self, sid: &TrackSid) -> Keyframe {
        match self.tracks.get_mut(sid).is_some_and(|track| track.keyframe_wanted(Instant::now())) {
            true => Keyframe::Ask,
            false => Keyframe::NotNow,
        }
    }

    /// Notes whether the server was told to send the track.
    pub fn set_shown(&mut self, sid: &TrackSid, shown: bool) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.set_shown(shown);
        }
    }

    /// Sends the figures of all tracks for the last time.
    pub async fn send_last_figures(&mut self) {
        let sids: Vec<TrackSid> = self.tracks.keys().cloned().collect();
        for sid in &sids {
            self.send_figures(sid).await;
        }
    }

    pub async fn send(&self, event: RoomEvent) {
        // A closed channel means that the receiver has cancelled this session or is about to.
        let _ = self.events.send(event).await;
    }

    pub fn media_time(&self, instant: Instant) -> MediaTime {
        let nanos = match instant.checked_duration_since(self.epoch) {
            Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            None => -i64::try_from((self.epoch - instant).as_nanos()).unwrap_or(i64::MAX),
        };
        MediaTime::from_nanos(nanos)
    }

    async fn send_changes(&mut self, changes: Vec<Change>, participants_before: usize) {
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
            self.send(event).await;
        }
        let participants = self.roster.participants();
        if participants != participants_before {
            self.send(RoomEvent::Participants(participants)).await;
        }
    }

    async fn send_speakers(&self) {
        let speakers = self.speakers.list(&self.roster);
        self.send(RoomEvent::Speakers { speakers, at: self.media_time(Instant::now()) }).await;
    }

    /// Sends a track's figures if they have changed.
    async fn send_figures(&mut self, sid: &TrackSid) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if let Some(clock) = self.timeline.figures(sid) {
            track.clocked(clock);
        }
        if let Some(figures) = track.new_figures() {
            self.send(RoomEvent::Received { sid: sid.clone(), figures }).await;
        }
    }
}
