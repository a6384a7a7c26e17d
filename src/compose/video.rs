//! One video track over time: whether it has a picture to show, and which. Knows nothing of other tracks, of
//! cells or of pixels.
//!
//! Contract: the composer passes in the changes that have taken effect by the time of a tick, and calls
//! [`VideoState::advance`] for that tick. Once it is decided who is seen, it calls [`VideoState::count`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::TrackSid;
use crate::media::{MediaTime, Picture};

use super::figures::{FigureCounter, VideoFigures, Visibility};
use super::room_state::{TileId, Track};
use super::scale;

/// Three seconds at 30 pictures a second. A caller that asks [`VideoState::wants_picture`] stays far below.
/// This bounds a track's decoded pictures if a caller does not ask.
const QUEUED_PICTURES_MAX: usize = 90;
/// A picture of a track that is not seen is dropped after this time: the SFU has stopped sending. It is a
/// second, since a shared screen may send so few pictures.
const UNSEEN_PICTURE_LASTS: Duration = Duration::from_secs(1);

/// A track that sent no picture when it was to be seen is not waited for again before this time.
const ASKED_AGAIN_AFTER: Duration = Duration::from_secs(10);

pub(super) struct VideoState {
    pub id: TileId,
    pub sid: TrackSid,
    phase: Phase,
    /// Times always increase.
    pictures: VecDeque<Picture>,
    /// The last tick brought a new picture.
    renewed: bool,
    /// The text that is shown until a picture comes: the track cannot be decoded.
    label: Option<Arc<str>>,
    asked: Asked,
    counter: FigureCounter,
}

/// Whether the SFU was asked for the track's pictures, as of the last tick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked {
    Yes,
    /// The layout did not show the track: pictures come once they are asked for.
    No,
    /// No picture came in time. Before `until` it is not worth another try.
    InVain {
        until: MediaTime,
    },
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
}

/// What a track shows.
#[derive(Clone, Copy)]
pub(super) enum Showing<'a> {
    Picture(&'a Picture),
    Label(&'a str),
}

impl VideoState {
    pub(super) fn new(track: &Track, frame_rate: u32) -> Self {
        Self {
            id: track.id,
            sid: track.sid.clone(),
            phase: Phase::Expected,
            pictures: VecDeque::new(),
            renewed: false,
            label: None,
            asked: Asked::Yes,
            counter: FigureCounter::new(track.source, frame_rate),
        }
    }

    pub(super) fn publish(&mut self) {
        if matches!(self.phase, Phase::Expected) {
            self.phase = Phase::Waiting { since: None };
        }
    }

    pub(super) fn set_muted(&mut self, muted: bool, at: MediaTime) {
        match (muted, &self.phase) {
            (true, Phase::Waiting { .. } | Phase::Shown(_)) => self.phase = Phase::Muted,
            (false, Phase::Muted) => {
                self.phase = Phase::Waiting { since: Some(at) };
                if matches!(self.asked, Asked::InVain { .. }) {
                    self.asked = Asked::No;
                }
            }
            // The track was in this state already.
            (true, Phase::Expected | Phase::Muted)
            | (false, Phase::Expected | Phase::Waiting { .. } | Phase::Shown(_)) => {}
        }
    }

    /// Shows `label` from the next tick on until a picture comes.
    pub(super) fn set_placeholder(&mut self, label: &Arc<str>) {
        self.label = Some(Arc::clone(label));
        if matches!(self.phase, Phase::Shown(_)) {
            self.phase = Phase::Waiting { since: None };
        }
    }

    /// Takes the next picture of the track. If it is earlier than pictures that came before it, it replaces
    /// them: the timeline was corrected backwards, and the latest correction counts.
    pub(super) fn push(&mut self, picture: Picture) {
        if picture.image.size().is_blank_frame() || scale::check(&*picture.image).is_err() {
            self.counter.unusable();
            return;
        }
        self.counter.came(picture.image.size());
        while self.pictures.back().is_some_and(|p| p.time >= picture.time) {
            self.pictures.pop_back();
            self.counter.skipped();
        }
        if self.pictures.len() == QUEUED_PICTURES_MAX {
            self.pictures.pop_front();
            self.counter.skipped();
        }
        self.pictures.push_back(picture);
    }

    /// Returns whether the tick at `next_tick` may need another picture.
    pub(super) fn wants_picture(&self, next_tick: MediaTime) -> bool {
        self.pictures.back().is_none_or(|p| p.time <= next_tick)
    }

    /// Advances to the tick at `now`.
    pub(super) fn advance(&mut self, now: MediaTime) {
        if matches!(self.phase, Phase::Expected) {
            return;
        }
        let mut newest = None;
        while let Some(picture) = self.pictures.pop_front_if(|p| p.time <= now) {
            if !self.admits(&picture) {
                self.counter.hidden();
            } else if newest.replace(picture).is_some() {
                self.counter.skipped();
            }
        }
        self.renewed = newest.is_some();
        if let Some(picture) = newest {
            self.phase = Phase::Shown(picture);
            self.label = None;
        }
    }

    /// Returns what the track shows at the last tick, if anything.
    pub(super) fn showing(&self) -> Option<Showing<'_>> {
        match &self.phase {
            Phase::Shown(picture) => Some(Showing::Picture(picture)),
            Phase::Waiting { .. } => self.label.as_deref().map(Showing::Label),
            Phase::Expected | Phase::Muted => None,
        }
    }

    /// Returns whether the track shows nothing only because the SFU was not asked for its pictures.
    pub(super) fn is_withheld(&self, now: MediaTime) -> bool {
        match self.asked {
            Asked::Yes => false,
            Asked::No => true,
            Asked::InVain { until } => until <= now,
        }
    }

    /// Returns whether its pictures were asked for lately and none came.
    pub(super) fn is_dead(&self, now: MediaTime) -> bool {
        self.showing().is_none() && matches!(self.asked, Asked::InVain { until } if now < until)
    }

    /// Called when the track is seen, or would be if it had a picture.
    pub(super) fn ask(&mut self) {
        self.asked = Asked::Yes;
    }

    /// Called when the layout does not show the track.
    pub(super) fn withhold(&mut self) {
        if self.asked == Asked::Yes {
            self.asked = Asked::No;
        }
    }

    /// Called when the track's pictures were asked for and none came.
    pub(super) fn give_up(&mut self, now: MediaTime) {
        self.asked = Asked::InVain { until: now + ASKED_AGAIN_AFTER };
    }

    /// Ends the tick at `now`; `seen` says whether the track was in the frame.
    pub(super) fn count(&mut self, seen: bool, now: MediaTime) {
        let visibility = match (&self.phase, seen) {
            (Phase::Shown(_), true) if self.renewed => Visibility::NewPicture,
            (Phase::Shown(_), true) => Visibility::SamePicture,
            (Phase::Shown(_), false) if self.renewed => Visibility::UnseenPicture,
            (Phase::Expected | Phase::Muted | Phase::Waiting { .. } | Phase::Shown(_), _) => {
                Visibility::Absent
            }
        };
        self.counter.tick(visibility, now);
        if let Phase::Shown(picture) = &self.phase
            && !seen
            && picture.time + UNSEEN_PICTURE_LASTS < now
        {
            self.phase = Phase::Waiting { since: None };
        }
    }

    pub(super) fn figures(&self) -> VideoFigures {
        self.counter.figures()
    }

    fn admits(&self, picture: &Picture) -> bool {
        match self.phase {
            Phase::Expected | Phase::Muted => false,
            Phase::Waiting { since } => since.is_none_or(|since| since <= picture.time),
            Phase::Shown(_) => true,
        }
    }
}
