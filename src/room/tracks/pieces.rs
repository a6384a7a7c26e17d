//! Joins the pieces of an access unit of H.265. Pure: time is an argument.
//!
//! str0m takes the last packet of every fragmented NAL unit for the end of a frame. It returns an access unit
//! in pieces if it has several such units: a long SEI before the slice of a keyframe, or several slices.
//! Frames of other codecs pass at once.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::access_unit;
use super::received::ReceivedFrame;
use crate::ids::TrackSid;
use crate::media::Codec;

/// How long a frame is held when no next frame shows that it is whole, as with a still screen. There is time
/// for this: ticks are made about a second later.
const HOLD_TIMEOUT: Duration = Duration::from_millis(200);

#[derive(Default)]
pub struct Pieces {
    /// The latest frame of each track, which may not be whole yet. Its `arrival` is that of its first piece.
    held: HashMap<TrackSid, ReceivedFrame>,
}

impl Pieces {
    /// Takes the next piece of a track; returns the frame before it, if this piece shows that it is whole.
    pub fn take(&mut self, sid: &TrackSid, piece: ReceivedFrame) -> Option<ReceivedFrame> {
        if piece.codec != Codec::H265 {
            return Some(whole(piece));
        }
        match self.held.remove(sid) {
            Some(held) if goes_on_with(&held, &piece) => {
                self.held.insert(sid.clone(), joined(held, piece));
                None
            }
            earlier => {
                self.held.insert(sid.clone(), piece);
                earlier.map(whole)
            }
        }
    }

    /// Returns a frame that was held long enough. The owner calls this until it returns `None`.
    pub fn overdue(&mut self, now: Instant) -> Option<(TrackSid, ReceivedFrame)> {
        let sid = self
            .held
            .iter()
            .find(|(_, held)| now >= held.arrival + HOLD_TIMEOUT)
            .map(|(sid, _)| sid.clone())?;
        let frame = self.held.remove(&sid)?;
        Some((sid, whole(frame)))
    }

    /// Returns when the next frame will be overdue.
    pub fn next_overdue(&self) -> Option<Instant> {
        self.held.values().map(|held| held.arrival + HOLD_TIMEOUT).min()
    }
}

fn goes_on_with(held: &ReceivedFrame, piece: &ReceivedFrame) -> bool {
    held.codec == piece.codec && held.rtp == piece.rtp && held.sequence.1 + 1 == piece.sequence.0
}

fn joined(held: ReceivedFrame, piece: ReceivedFrame) -> ReceivedFrame {
    ReceivedFrame {
        sequence: (held.sequence.0, piece.sequence.1),
        data: Bytes::from([held.data, piece.data].concat()),
        keyframe: held.keyframe || piece.keyframe,
        // The last packet carries the rotation.
        rotation: piece.rotation,
        ..held
    }
}

/// Sets what is known of the whole frame only.
fn whole(frame: ReceivedFrame) -> ReceivedFrame {
    let ReceivedFrame { codec, keyframe, contiguous, .. } = frame;
    ReceivedFrame {
        keyframe: keyframe && access_unit::can_start_decoder(codec, &frame.data),
        contiguous: contiguous && !access_unit::lacks_first_slice(codec, &frame.data),
        ..frame
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Rotation;

    const SETS: &[u8] = &[0, 0, 0, 1, 0x40, 1, 0, 0, 0, 1, 0x42, 1, 0, 0, 0, 1, 0x44, 1];
    const FIRST_SLICE: &[u8] = &[0, 0, 0, 1, 0x2a, 1, 0xac];
    const LATER_SLICE: &[u8] = &[0, 0, 0, 1, 0x2a, 1, 0x2c];

    fn sid() -> TrackSid {
        TrackSid("TR_a".into())
    }

    fn piece(rtp: u64, sequence: u64, data: &'static [u8], arrival: Instant) -> ReceivedFrame {
        ReceivedFrame {
            codec: Codec::H265,
            rtp,
            sequence: (sequence, sequence),
            arrival,
            data: Bytes::from_static(data),
            keyframe: data != SETS,
            contiguous: true,
            lowest_layer: 0,
            rotation: Rotation::Upright,
        }
    }

    #[test]
    fn the_pieces_of_an_access_unit_become_one_frame_when_the_next_one_begins() {
        let (mut pieces, t) = (Pieces::default(), Instant::now());
        assert!(pieces.take(&sid(), piece(0, 10, SETS, t)).is_none());
        assert!(pieces.take(&sid(), piece(0, 11, FIRST_SLICE, t)).is_none());
        assert!(pieces.take(&sid(), piece(0, 12, LATER_SLICE, t)).is_none());
        let frame = pieces.take(&sid(), piece(3000, 13, FIRST_SLICE, t)).expect("a whole frame");
        assert_eq!(frame.data, [SETS, FIRST_SLICE, LATER_SLICE].concat());
        assert_eq!(frame.sequence, (10, 12));
        assert!(frame.keyframe && frame.contiguous);
    }

    #[test]
    fn a_frame_without_a_successor_comes_after_a_while() {
        let (mut pieces, t) = (Pieces::default(), Instant::now());
        assert!(pieces.take(&sid(), piece(0, 10, FIRST_SLICE, t)).is_none());
        assert_eq!(pieces.next_overdue(), Some(t + HOLD_TIMEOUT));
        assert!(pieces.overdue(t).is_none());
        let (_, frame) = pieces.overdue(t + HOLD_TIMEOUT).expect("an overdue frame");
        assert!(!frame.keyframe, "a decoder cannot start without parameter sets");
        assert_eq!(pieces.next_overdue(), None);
    }

    #[test]
    fn what_follows_a_gap_in_the_middle_of_a_picture_does_not_go_on_from_it() {
        let (mut pieces, t) = (Pieces::default(), Instant::now());
        pieces.take(&sid(), piece(0, 10, FIRST_SLICE, t));
        assert!(pieces.take(&sid(), piece(0, 12, LATER_SLICE, t)).is_some_and(|first| first.contiguous));
        let rest = pieces.take(&sid(), piece(3000, 13, FIRST_SLICE, t)).expect("the rest");
        assert!(!rest.contiguous && !rest.keyframe);
    }

    #[test]
    fn other_codecs_do_not_wait() {
        let vp8 = ReceivedFrame { codec: Codec::Vp8, ..piece(0, 10, SETS, Instant::now()) };
        assert!(Pieces::default().take(&sid(), vp8).is_some());
    }
}
