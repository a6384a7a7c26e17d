//! Lets a voice run 0.5 % slower or faster until it is where it belongs. Owns the interpolation;
//! when and by how much to correct is decided in [`super::voice`].
//!
//! Contract: while nothing is to be corrected, what goes in comes out, bit by bit and at once. The
//! sound has no step at either end of a correction: one lasts until a whole number of frames has
//! been won or lost, and then it meets the original frames again exactly.

use super::voice::Frame;

/// Of this many frames one is put in or left out: 0.5 %, 9 cents, which nobody hears in speech.
const FRAMES_PER_SLIP: u32 = 200;

#[derive(Default)]
pub(super) struct Slip {
    pace: Pace,
    /// The last frame used (frame 0) and all that are not used yet.
    input: Vec<Frame>,
}

#[derive(Clone, Copy, Default)]
enum Pace {
    #[default]
    Straight,
    Slipping {
        direction: Direction,
        /// Frames still to be won or lost.
        frames: u32,
        /// Where the next frame is read: this many steps after frame 1 of `input`.
        position: u32,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    /// More frames come out than go in.
    Stretch,
    Shrink,
}

impl Slip {
    /// Frames that went in and have not come out. The one that a stretch is in the middle of counts
    /// as given out, as its slip counts as still to be made.
    pub(super) fn pending(&self) -> usize {
        let unused = self.input.len().saturating_sub(1);
        match self.pace {
            Pace::Slipping { direction: Direction::Stretch, position: 1.., .. } => unused.saturating_sub(1),
            Pace::Straight | Pace::Slipping { .. } => unused,
        }
    }

    pub(super) fn is_correcting(&self) -> bool {
        match self.pace {
            Pace::Straight => false,
            Pace::Slipping { .. } => true,
        }
    }

    /// From here on puts in `frames` frames, or leaves out `-frames`; a correction under way is
    /// changed to that, or comes to its end if that would be the other direction.
    pub(super) fn correct(&mut self, frames: i64) {
        let amount = u32::try_from(frames.unsigned_abs()).unwrap_or(u32::MAX);
        let wanted = match frames {
            0.. => Direction::Stretch,
            ..0 => Direction::Shrink,
        };
        self.pace = match self.pace {
            Pace::Straight if amount == 0 => Pace::Straight,
            Pace::Straight => Pace::Slipping { direction: wanted, frames: amount, position: 0 },
            Pace::Slipping { direction, position, .. } => {
                Pace::Slipping { direction, frames: if direction == wanted { amount } else { 0 }, position }
            }
        };
    }

    pub(super) fn feed(&mut self, block: &[Frame], out: &mut Vec<Frame>) {
        if self.input.is_empty() {
            self.input.push(Frame::default());
        }
        self.input.extend_from_slice(block);
        let used = self.slip(out);
        let used = match self.pace {
            Pace::Straight => {
                out.extend_from_slice(&self.input[used + 1..]);
                self.input.len() - 1
            }
            Pace::Slipping { .. } => used,
        };
        self.input.drain(..used);
    }

    /// Gives out what can be given out while slipping; answers how many frames of the input were
    /// used up by it.
    fn slip(&mut self, out: &mut Vec<Frame>) -> usize {
        let mut used = 0;
        while let Pace::Slipping { direction, frames, position } = &mut self.pace {
            if *position == 0 && *frames == 0 {
                self.pace = Pace::Straight;
                break;
            }
            let Some(around) = self.input.get(used..used + 4) else {
                break;
            };
            out.push(between(around, *position));
            *position += direction.step();
            if *position % FRAMES_PER_SLIP == 0 {
                *frames = frames.saturating_sub(1);
            }
            used += (*position / FRAMES_PER_SLIP) as usize;
            *position %= FRAMES_PER_SLIP;
        }
        used
    }
}

impl Direction {
    /// How far the reading goes on for one frame given out, in 1/200 of a frame.
    const fn step(self) -> u32 {
        match self {
            Self::Stretch => FRAMES_PER_SLIP - 1,
            Self::Shrink => FRAMES_PER_SLIP + 1,
        }
    }
}

/// The sound `position` steps after the second of four frames (Catmull-Rom).
fn between(around: &[Frame], position: u32) -> Frame {
    let t = position as f32 / FRAMES_PER_SLIP as f32;
    std::array::from_fn(|channel| {
        let [a, b, c, d] = [0, 1, 2, 3].map(|i| f32::from(around[i][channel]));
        let slope_b = (c - a) / 2.0;
        let slope_c = (d - b) / 2.0;
        let square = 3.0 * (c - b) - 2.0 * slope_b - slope_c;
        let cube = 2.0 * (b - c) + slope_b + slope_c;
        // `as` saturates at full scale.
        (b + t * (slope_b + t * (square + t * cube))).round() as i16
    })
}
