//! The rotation of a track's pictures while they are in the decoder. Pure.
//!
//! Decoders do not pass it on: the rotation of an encoded frame is found again by the picture's time.

use std::collections::VecDeque;

use crate::media::{MediaTime, Rotation};

/// Nobody rotations a phone this often within the frames that wait in front of a decoder.
const CHANGES_MAX: usize = 64;

#[derive(Default)]
pub struct Rotations {
    current: Rotation,
    /// The rotations to come, each with the time from which it holds. Only changes are kept, so most tracks
    /// have none.
    changes: VecDeque<(MediaTime, Rotation)>,
}

impl Rotations {
    /// Notes the rotation of a frame that goes into the decoder.
    pub fn entered(&mut self, time: MediaTime, rotation: Rotation) {
        let last = self.changes.back().map_or(self.current, |(_, last)| *last);
        if rotation == last {
            return;
        }
        if self.changes.len() == CHANGES_MAX {
            self.changes.pop_front();
        }
        self.changes.push_back((time, rotation));
    }

    /// Returns the rotation of the next picture. Pictures come out in the order in which their frames went
    /// in.
    pub fn of(&mut self, time: MediaTime) -> Rotation {
        while let Some((_, rotation)) = self.changes.pop_front_if(|(since, _)| *since <= time) {
            self.current = rotation;
        }
        self.current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn a_picture_is_turned_as_its_own_frame_said() {
        let mut rotations = Rotations::default();
        let frames = [Rotation::Upright, Rotation::By90, Rotation::By90, Rotation::Upright, Rotation::By270];
        for (n, rotation) in (0..).zip(frames) {
            rotations.entered(ms(n * 33), rotation);
        }
        assert_eq!([0, 1, 2, 3, 4].map(|n| rotations.of(ms(n * 33))), frames);
    }

    #[test]
    fn frames_that_make_no_picture_do_not_keep_the_next_ones_from_being_turned() {
        let mut rotations = Rotations::default();
        rotations.entered(ms(0), Rotation::By90);
        rotations.entered(ms(33), Rotation::By180);
        assert_eq!(rotations.of(ms(66)), Rotation::By180);
    }

    #[test]
    fn a_phone_that_spins_takes_no_memory() {
        let mut rotations = Rotations::default();
        for n in 0..1000 {
            rotations.entered(ms(n), if n % 2 == 0 { Rotation::By90 } else { Rotation::Upright });
        }
        assert_eq!(rotations.changes.len(), CHANGES_MAX);
        assert_eq!(rotations.of(ms(1000)), Rotation::Upright);
    }
}
