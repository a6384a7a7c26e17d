//! Who is seen where, tick by tick. Owns the seats in the frame and the speaker's stage; draws nothing.
//!
//! The SFU does not send a track that the layout does not show. When such a track is to be shown, a keyframe
//! must be requested and arrive first. Until then, and at most for [`KEYFRAME_TIMEOUT`], the frame stays as
//! it was, so that nobody sees a hole. A track that is sent already takes its seat with its first picture,
//! and nothing waits.

use std::time::Duration;

use crate::media::{Layout, MediaTime, Size, Speaker, View};

use super::active_speaker::ActiveSpeaker;
use super::plan::{self, Candidate, Seat};
use super::room_state::{RoomState, TileId};
use super::video::VideoState;

/// A keyframe comes within a round trip and a picture's duration. Users expect a new layout within half a
/// second.
const KEYFRAME_TIMEOUT: Duration = Duration::from_millis(500);

pub(super) struct Scene {
    frame: Size,
    /// Participants without a camera have tiles, too.
    initials: bool,
    speaker: ActiveSpeaker,
    /// The view of the present seats.
    view: View,
    seats: Vec<Seat>,
    /// When new seats became due that still wait for pictures.
    waits_since: Option<MediaTime>,
}

impl Scene {
    pub(super) fn new(frame: Size, view: View, initials: bool) -> Self {
        Self {
            frame,
            initials,
            speaker: ActiveSpeaker::default(),
            view,
            seats: Vec::new(),
            waits_since: None,
        }
    }

    /// Takes note of who speaks from `at` on, loudest first.
    pub(super) fn hear(&mut self, speakers: &[Speaker], at: MediaTime) {
        self.speaker.hear(speakers, at);
    }

    /// Decides the seats of the tick at `now`. `videos` are in the order of their tiles, and have advanced to
    /// this tick.
    pub(super) fn advance(&mut self, room: &RoomState, videos: &mut [VideoState], now: MediaTime) {
        let has_or_will = |video: &VideoState| video.showing().is_some() || video.is_withheld(now);
        let candidates = self.candidates(room, |id| find(videos, id).is_some_and(has_or_will));
        let voices = plan::voices(&candidates);
        self.speaker.advance(now, &voices);
        let wanted = plan::seats(room.view.layout, self.frame, &candidates, self.speaker.choose(&voices));
        let lacks = |seat: &&Seat| find(videos, seat.id).is_some_and(|video| video.showing().is_none());
        let lacking: Vec<TileId> = wanted.iter().filter(lacks).map(|seat| seat.id).collect();
        if lacking.is_empty() {
            self.waits_since = None;
            self.take(wanted, room.view);
        } else if now < *self.waits_since.get_or_insert(now) + KEYFRAME_TIMEOUT {
            return;
        } else {
            let in_vain = |video: &&mut VideoState| lacking.contains(&video.id);
            videos.iter_mut().filter(in_vain).for_each(|video| video.give_up(now));
            self.waits_since = None;
            let there = self.candidates(room, |id| find(videos, id).is_some_and(|v| v.showing().is_some()));
            let chosen = self.speaker.choose(&plan::voices(&there));
            self.take(plan::seats(room.view.layout, self.frame, &there, chosen), room.view);
        }
        self.note_who_is_asked(videos);
    }

    #[cfg(test)]
    pub(super) fn frame(&self) -> Size {
        self.frame
    }

    pub(super) fn view(&self) -> View {
        self.view
    }

    /// Returns the seats in the order of the tiles.
    pub(super) fn seats(&self) -> &[Seat] {
        &self.seats
    }

    pub(super) fn is_seated(&self, id: TileId) -> bool {
        self.seats.iter().any(|seat| seat.id == id)
    }

    /// Returns the cells for which pictures are needed, by all changes that were made, ahead of
    /// the ticks. These are the cells of the layout now, the cells if the loudest speaker had the stage
    /// already, and the cells that are still in the frame. A tile with several cells is listed with each.
    pub(super) fn wanted(&self, newest: &RoomState, videos: &[VideoState], now: MediaTime) -> Vec<Seat> {
        let candidates = self.candidates(newest, |id| find(videos, id).is_some_and(|v| !v.is_dead(now)));
        let voices = plan::voices(&candidates);
        let (chosen, loudest) = (self.speaker.choose(&voices), self.speaker.loudest(&voices));
        let seats = |holder| plan::seats(newest.view.layout, self.frame, &candidates, holder);
        let mut wanted = seats(chosen);
        if loudest.is_some() && loudest != chosen {
            wanted.extend(seats(loudest));
        }
        let still = |seat: &&Seat| {
            let known = wanted.iter().any(|wanted| wanted.id == seat.id);
            !known && candidates.iter().any(|candidate| candidate.id == seat.id)
        };
        let still: Vec<Seat> = self.seats.iter().filter(still).copied().collect();
        wanted.extend(still);
        wanted
    }

    fn take(&mut self, seats: Vec<Seat>, view: View) {
        self.view = view;
        self.seats = seats;
    }

    fn note_who_is_asked(&self, videos: &mut [VideoState]) {
        let all_are_asked = match self.view.layout {
            Layout::Grid | Layout::Speaker => true,
            Layout::SingleSpeaker => false,
        };
        for video in videos {
            if all_are_asked || self.is_seated(video.id) {
                video.ask();
            } else {
                video.withhold();
            }
        }
    }

    /// Returns who is to have a tile, in the order of the tiles.
    fn candidates<'a>(&self, room: &'a RoomState, has_tile: impl Fn(TileId) -> bool) -> Vec<Candidate<'a>> {
        let tracks = room.active_tracks().filter(|track| has_tile(track.id));
        let mut candidates: Vec<_> = tracks
            .map(|track| Candidate { id: track.id, identity: &track.publisher, source: track.source })
            .collect();
        if self.initials {
            let faceless = room.people().filter(|person| !plan::has_camera(&candidates, &person.identity));
            let faceless: Vec<_> = faceless.map(Candidate::of_person).collect();
            candidates.extend(faceless);
            candidates.sort_by_key(|candidate| candidate.id);
        }
        candidates
    }
}

fn find(videos: &[VideoState], id: TileId) -> Option<&VideoState> {
    videos.binary_search_by_key(&id, |video| video.id).ok().map(|place| &videos[place])
}
