//! Which tile gets which cell: applies the layouts of the contract to the tiles of the moment. Pure;
//! [`super::layout`] has the rectangles themselves.

use crate::media::{Layout, Participant, Size, VideoSource};

use super::layout::{self, Rect};
use super::room_state::TileId;

/// A tile that is to get a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    pub id: TileId,
    pub identity: &'a str,
    pub source: VideoSource,
}

impl<'a> Candidate<'a> {
    /// The tile of a participant without a camera.
    pub(super) fn of_person(person: &'a Participant) -> Self {
        let id = TileId::of_person(person.order);
        Self { id, identity: &person.identity, source: VideoSource::Camera }
    }
}

/// A tile's place on the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    pub id: TileId,
    pub cell: Rect,
}

/// Returns the seats in the order of the tiles. `candidates` are in that order; `holder` is the speaker on
/// the stage.
///
/// While a screen is shared, `Grid` is shown as `Speaker`. In both the share has the stage, as in LiveKit's
/// own layouts: its content can be read nowhere else. Of several shares it is the one that was published
/// last, as people have just turned to it.
pub(super) fn seats(
    layout: Layout,
    frame: Size,
    candidates: &[Candidate<'_>],
    holder: Option<&str>,
) -> Vec<Seat> {
    let stage = match layout {
        Layout::Grid => newest_share(candidates),
        Layout::Speaker => newest_share(candidates).or_else(|| tile_of(holder, candidates)),
        Layout::SingleSpeaker => tile_of(holder, candidates).or_else(|| newest_share(candidates)),
    };
    match (layout, stage) {
        (_, None) => by_the_grid(frame, candidates),
        (Layout::Grid | Layout::Speaker, Some(stage)) => beside_the_stage(frame, candidates, stage),
        (Layout::SingleSpeaker, Some(stage)) => vec![Seat { id: stage, cell: layout::whole(frame) }],
    }
}

/// Returns the identities that may get the stage by speaking, in order of joining.
pub(super) fn voices<'a>(candidates: &[Candidate<'a>]) -> Vec<&'a str> {
    let cameras = candidates.iter().filter(|candidate| candidate.source == VideoSource::Camera);
    cameras.map(|candidate| candidate.identity).collect()
}

pub(super) fn has_camera(candidates: &[Candidate<'_>], identity: &str) -> bool {
    tile_of(Some(identity), candidates).is_some()
}

/// Returns the tile of the holder's camera, the first if there are several.
fn tile_of(holder: Option<&str>, candidates: &[Candidate<'_>]) -> Option<TileId> {
    let mut cameras = candidates.iter().filter(|candidate| candidate.source == VideoSource::Camera);
    cameras.find(|candidate| Some(candidate.identity) == holder).map(|candidate| candidate.id)
}

fn newest_share(candidates: &[Candidate<'_>]) -> Option<TileId> {
    let shares = candidates.iter().filter(|candidate| candidate.source == VideoSource::ScreenShare);
    shares.map(|share| share.id).max_by_key(|id| id.publication)
}

fn by_the_grid(frame: Size, candidates: &[Candidate<'_>]) -> Vec<Seat> {
    let cells = layout::grid(frame, candidates.len());
    candidates.iter().zip(cells).map(|(candidate, cell)| Seat { id: candidate.id, cell }).collect()
}

fn beside_the_stage(frame: Size, candidates: &[Candidate<'_>], stage: TileId) -> Vec<Seat> {
    let mut column = layout::column(frame, candidates.len() - 1);
    let seat = |candidate: &Candidate<'_>| {
        let cell = match candidate.id == stage {
            true => Some(layout::stage(frame)),
            false => column.next(),
        };
        Some(Seat { id: candidate.id, cell: cell? })
    };
    candidates.iter().filter_map(seat).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HD: Size = Size { width: 1280, height: 720 };
    const STAGE: Rect = Rect { x: 220, y: 0, width: 1060, height: 720 };

    fn camera(order: u64, identity: &str) -> Candidate<'_> {
        Candidate { id: TileId { order, publication: order + 1 }, identity, source: VideoSource::Camera }
    }

    fn share(order: u64, publication: u64, identity: &str) -> Candidate<'_> {
        Candidate { id: TileId { order, publication }, identity, source: VideoSource::ScreenShare }
    }

    /// Returns the cell of each candidate.
    fn cells(layout: Layout, candidates: &[Candidate<'_>], holder: &str) -> Vec<Option<Rect>> {
        let seats = seats(layout, HD, candidates, Some(holder));
        let cell_of = |id| seats.iter().find(|seat| seat.id == id).map(|seat| seat.cell);
        candidates.iter().map(|candidate| cell_of(candidate.id)).collect()
    }

    fn in_column(place: u32) -> Option<Rect> {
        Some(Rect { x: 0, y: 132 * place, width: 212, height: 132 })
    }

    #[test]
    fn the_speaker_has_the_stage_and_the_others_keep_their_order_in_the_column() {
        let three = [camera(0, "a"), camera(1, "b"), camera(2, "c")];
        let column = in_column;
        assert_eq!(cells(Layout::Speaker, &three, "a"), [Some(STAGE), column(0), column(1)]);
        assert_eq!(cells(Layout::Speaker, &three, "b"), [column(0), Some(STAGE), column(1)]);
        assert_eq!(cells(Layout::Speaker, &three, "c"), [column(0), column(1), Some(STAGE)]);
    }

    #[test]
    fn a_screen_share_has_the_stage_also_of_the_grid_and_the_newest_of_several() {
        let mixed = [camera(0, "a"), share(0, 9, "a"), share(1, 7, "b")];
        for layout in [Layout::Grid, Layout::Speaker] {
            assert_eq!(cells(layout, &mixed, "a"), [in_column(0), Some(STAGE), in_column(1)], "{layout:?}");
        }
    }

    #[test]
    fn the_single_speaker_is_alone_on_the_whole_frame() {
        let whole = Some(Rect { x: 0, y: 0, width: 1280, height: 720 });
        let mixed = [camera(0, "a"), share(0, 9, "a"), camera(1, "b")];
        assert_eq!(cells(Layout::SingleSpeaker, &mixed, "b"), [None, None, whole]);
        let only_a_share = [share(0, 1, "a")];
        assert_eq!(cells(Layout::SingleSpeaker, &only_a_share, "a"), [whole]);
    }

    #[test]
    fn nobody_needs_no_seat() {
        for layout in [Layout::Grid, Layout::Speaker, Layout::SingleSpeaker] {
            assert_eq!(cells(layout, &[], "a"), []);
        }
    }
}
