//! The room at one moment: participants, tracks, who speaks, and the layout. Pure: each `Change` turns it
//! into the room of a later moment.
//!
//! The composer keeps two of them: one with all changes that were made, and one with the changes up to the
//! last tick.

use std::sync::Arc;

use crate::ids::TrackSid;
use crate::media::{Participant, VideoSource, View};

/// Identifies a tile within the recording. A new publication of the same track has another id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TileId {
    /// Tiles are ordered by this first: the participant who joined first comes first,
    pub order: u64,
    /// and within a participant by this: the track that was published first comes first.
    pub publication: u64,
}

impl TileId {
    /// The id of the tile of a participant without a camera. Publications count from 1.
    pub(super) const fn of_person(order: u64) -> Self {
        Self { order, publication: 0 }
    }
}

/// A change of the room.
#[derive(Clone, Debug)]
pub(super) enum Change {
    View(View),
    Joined(Arc<Participant>),
    Left(String),
    /// The identities of those who speak.
    Speakers(Vec<String>),
    Published(Arc<Track>),
    OfTrack(TileId, TrackChange),
}

#[derive(Clone, Debug)]
pub(super) enum TrackChange {
    Muted(bool),
    /// The track cannot be decoded: its tile shows this text instead.
    Placeholder(Arc<str>),
    Removed,
}

#[derive(Debug)]
pub(super) struct Track {
    pub id: TileId,
    pub sid: TrackSid,
    /// The identity of the participant who publishes the track.
    pub publisher: String,
    pub source: VideoSource,
}

#[derive(Debug, Default)]
pub(super) struct RoomState {
    pub view: View,
    /// In order of joining.
    people: Vec<Arc<Participant>>,
    /// In the order of their tiles.
    tracks: Vec<(Arc<Track>, Muting)>,
    speaking: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Muting {
    Unmuted,
    Muted,
}

impl RoomState {
    pub(super) fn new(view: View) -> Self {
        Self { view, ..Self::default() }
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::View(view) => self.view = *view,
            Change::Joined(participant) => self.join(participant),
            Change::Left(identity) => self.people.retain(|person| person.identity != *identity),
            Change::Speakers(speaking) => self.speaking.clone_from(speaking),
            Change::Published(track) => {
                let place = self.tracks.partition_point(|(other, _)| other.id < track.id);
                self.tracks.insert(place, (Arc::clone(track), Muting::Unmuted));
            }
            Change::OfTrack(id, TrackChange::Muted(muted)) => {
                if let Some((_, muting)) = self.tracks.iter_mut().find(|(track, _)| track.id == *id) {
                    *muting = if *muted { Muting::Muted } else { Muting::Unmuted };
                }
            }
            // The track's `VideoState` keeps what its tile shows.
            Change::OfTrack(_, TrackChange::Placeholder(_)) => {}
            Change::OfTrack(id, TrackChange::Removed) => self.tracks.retain(|(track, _)| track.id != *id),
        }
    }

    /// Returns the present publication of a track.
    pub(super) fn track(&self, sid: &TrackSid) -> Option<&Track> {
        self.tracks.iter().map(|(track, _)| &**track).find(|track| track.sid == *sid)
    }

    /// Returns the tracks that are not muted, in the order of their tiles.
    pub(super) fn active_tracks(&self) -> impl Iterator<Item = &Track> {
        let active = self.tracks.iter().filter(|(_, muting)| *muting == Muting::Unmuted);
        active.map(|(track, _)| &**track)
    }

    /// Returns the participants in order of joining.
    pub(super) fn people(&self) -> impl Iterator<Item = &Participant> {
        self.people.iter().map(|person| &**person)
    }

    /// Returns a participant's name, or the identity if there is no name.
    pub(super) fn name_of<'a>(&'a self, identity: &'a str) -> &'a str {
        let person = self.people.iter().find(|person| person.identity == identity);
        person.map(|person| person.name.trim()).filter(|name| !name.is_empty()).unwrap_or(identity)
    }

    pub(super) fn speaks(&self, identity: &str) -> bool {
        self.speaking.iter().any(|speaking| speaking == identity)
    }

    /// Adds a participant, or replaces a known one.
    fn join(&mut self, participant: &Arc<Participant>) {
        self.people.retain(|person| person.identity != participant.identity);
        let place = self.people.partition_point(|person| person.order < participant.order);
        self.people.insert(place, Arc::clone(participant));
    }
}
