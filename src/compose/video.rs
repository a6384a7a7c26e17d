//! One video track over time: when it is on the picture, and with which of its pictures. Knows
//! nothing of other tracks, of cells or of pixels.
//!
//! Contract: everything told to a track takes effect at the first tick that is not earlier than
//! the time it carries, in the order in which it was told.

use std::collections::VecDeque;

use crate::ids::TrackSid;
use crate::media::{MediaTime, Picture, VideoSource};

use super::figures::{Sight, Tally, VideoCounters, VideoFigures};
use super::scale;
use super::stage::TileId;

/// Three seconds at 30 pictures a second; a caller that asks [`VideoState::wants_picture`] stays far
/// below. It bounds the decoded pictures held for a track when somebody does not ask.
const QUEUED_PICTURES_MAX: usize = 90;

/// Nobody mutes and unmutes this often in the few seconds that ticks run behind the room.
const QUEUED_CHANGES_MAX: usize = 64;

pub(super) struct VideoState {
    pub id: TileId,
    pub sid: TrackSid,
    pub source: VideoSource,
    phase: Phase,
    /// Times never decrease.
    changes: VecDeque<(MediaTime, Change)>,
    /// Times always increase.
    pictures: VecDeque<Picture>,
    /// The tick last advanced to brought a new picture.
    renewed: bool,
    tally: Tally,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Published,
    Muted,
    Unmuted,
    Removed,
}

enum Phase {
    /// No tick has reached the time of its publication.
    Expected,
    Muted,
    /// Published and unmuted, but no picture captured from `since` on has been due.
    Waiting {
        since: Option<MediaTime>,
    },
    Shown(Picture),
    Removed,
}

impl VideoState {
    pub(super) fn new(
        id: TileId,
        sid: TrackSid,
        source: VideoSource,
        at: MediaTime,
        frame_rate: u32,
    ) -> Self {
        Self {
            id,
            sid,
            source,
            phase: Phase::Expected,
            changes: VecDeque::from([(at, Change::Published)]),
            pictures: VecDeque::new(),
            renewed: false,
            tally: Tally::new(source, frame_rate),
        }
    }

    pub(super) fn set_muted(&mut self, muted: bool, at: MediaTime) {
        let change = if muted { Change::Muted } else { Change::Unmuted };
        self.change(change, at);
    }

    pub(super) fn remove(&mut self, at: MediaTime) {
        self.change(Change::Removed, at);
    }

    /// Whether its end is known, even if no tick has reached it yet.
    pub(super) fn is_leaving(&self) -> bool {
        let last = self.changes.back().map(|&(_, change)| change);
        matches!(self.phase, Phase::Removed) || last == Some(Change::Removed)
    }

    pub(super) fn is_removed(&self) -> bool {
        matches!(self.phase, Phase::Removed)
    }

    /// Takes the next picture of the track. A picture later told to be earlier replaces those it
    /// contradicts: the timeline was corrected backwards, and the newest word on it counts.
    pub(super) fn push(&mut self, picture: Picture) {
        if picture.image.size().is_blank_frame() || scale::check(&*picture.image).is_err() {
            self.tally.unusable();
            return;
        }
        self.tally.came(picture.image.size());
        while self.pictures.back().is_some_and(|p| p.time >= picture.time) {
            self.pictures.pop_back();
            self.tally.skipped();
        }
        if self.pictures.len() == QUEUED_PICTURES_MAX {
            self.pictures.pop_front();
            self.tally.skipped();
        }
        self.pictures.push_back(picture);
    }

    /// Whether another picture could matter to the tick at `next_tick`.
    pub(super) fn wants_picture(&self, next_tick: MediaTime) -> bool {
        self.pictures.back().is_none_or(|p| p.time <= next_tick)
    }

    /// Goes on to the tick at `now`.
    pub(super) fn advance(&mut self, now: MediaTime) {
        while let Some(&(at, change)) = self.changes.front().filter(|(at, _)| *at <= now) {
            self.changes.pop_front();
            self.apply(change, at);
        }
        if !matches!(self.phase, Phase::Expected) {
            self.take_due_pictures(now);
        }
        let sight = match self.phase {
            Phase::Expected | Phase::Muted | Phase::Waiting { .. } | Phase::Removed => Sight::Absent,
            Phase::Shown(_) if self.renewed => Sight::NewPicture,
            Phase::Shown(_) => Sight::SamePicture,
        };
        self.tally.tick(sight, now);
    }

    /// What the track shows at the tick last advanced to, if it is on the picture.
    pub(super) fn shown(&self) -> Option<&Picture> {
        match &self.phase {
            Phase::Shown(picture) => Some(picture),
            Phase::Expected | Phase::Muted | Phase::Waiting { .. } | Phase::Removed => None,
        }
    }

    pub(super) fn counters(&self) -> VideoCounters {
        self.tally.counters()
    }

    pub(super) fn figures(&self) -> VideoFigures {
        self.tally.figures()
    }

    fn change(&mut self, change: Change, at: MediaTime) {
        let at = self.changes.back().map_or(at, |&(last, _)| last.max(at));
        if self.changes.len() == QUEUED_CHANGES_MAX {
            self.changes.pop_back();
        }
        self.changes.push_back((at, change));
    }

    fn apply(&mut self, change: Change, at: MediaTime) {
        match (change, &self.phase) {
            (Change::Removed, _) => self.phase = Phase::Removed,
            (Change::Published, Phase::Expected) => self.phase = Phase::Waiting { since: None },
            (Change::Muted, Phase::Waiting { .. } | Phase::Shown(_)) => self.phase = Phase::Muted,
            (Change::Unmuted, Phase::Muted) => self.phase = Phase::Waiting { since: Some(at) },
            // Told again what is so already, or told after the end.
            (Change::Published | Change::Muted | Change::Unmuted, _) => {}
        }
    }

    fn take_due_pictures(&mut self, now: MediaTime) {
        let mut newest = None;
        while let Some(picture) = self.pictures.pop_front_if(|p| p.time <= now) {
            if !self.admits(&picture) {
                self.tally.hidden();
            } else if newest.replace(picture).is_some() {
                self.tally.skipped();
            }
        }
        self.renewed = newest.is_some();
        if let Some(picture) = newest {
            self.tally.shown();
            self.phase = Phase::Shown(picture);
        }
    }

    fn admits(&self, picture: &Picture) -> bool {
        match self.phase {
            Phase::Expected | Phase::Muted | Phase::Removed => false,
            Phase::Waiting { since } => since.is_none_or(|since| since <= picture.time),
            Phase::Shown(_) => true,
        }
    }
}
