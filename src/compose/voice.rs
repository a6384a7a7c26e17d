//! One audio track on the sample grid of the recording: where its blocks lie, what fills the gaps,
//! and how a clock that runs too fast or too slow is followed. Knows nothing of other voices.
//!
//! Contract: the sound of a voice has no click that was not in it. A block lies within 5 ms of its
//! true time; one that would not is brought there gently (0.5 %) from up to 100 ms away, and from
//! farther away it is put there at once, the edges faded.

use std::collections::VecDeque;

use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, MediaTime, Sound};

use super::limiter::Sum;
use super::slip::Slip;

/// One sample of each channel.
pub(super) type Frame = [i16; AUDIO_CHANNELS];

const FRAMES_PER_MS: i64 = AUDIO_RATE as i64 / 1000;
/// Time stamps tremble by a few milliseconds; following them would do more harm than good.
const TOLERANCE: i64 = 5 * FRAMES_PER_MS;
/// Beyond this it is no clock that drifts but sound that is missing: a pause of the sender's, a
/// loss, a mute. At 0.5 %, 100 ms are caught up in 20 s.
const REANCHOR: i64 = 100 * FRAMES_PER_MS;
/// Long enough not to click, too short to be heard as a fade.
const FADE: usize = 5 * FRAMES_PER_MS as usize;
/// Ticks run at most 4 s behind the room; more than this ahead of the ticks is a wrong time stamp
/// (and would be 2 MB a voice).
const AHEAD_MAX: i64 = 10 * AUDIO_RATE as i64;

/// What became of a voice's frames (1/48000 s each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VoiceCounters {
    /// Came after their tick was made.
    pub late: u64,
    /// Carried a time beyond all that can be waiting, and were not kept.
    pub too_early: u64,
    /// How often the sound broke off: pauses, losses, steps of the clock.
    pub breaks: u64,
}

#[derive(Default)]
pub(super) struct Voice {
    /// Grid position of the first of `frames`: the next one to be mixed.
    head: i64,
    frames: VecDeque<Frame>,
    /// The frame before `frames`.
    previous: Frame,
    flow: Flow,
    counters: VoiceCounters,
    /// What is about to be added to `frames`; kept to be used again.
    out: Vec<Frame>,
}

#[derive(Default)]
enum Flow {
    /// The next block begins anew wherever it belongs.
    #[default]
    Idle,
    /// The next block goes on at `cursor`.
    Running {
        cursor: i64,
        slip: Slip,
        /// How much of the fade-in has been given out.
        faded: usize,
    },
}

impl Voice {
    /// A voice of which the first frame to be mixed is the one at grid position `head`.
    pub(super) fn new(head: i64) -> Self {
        Self { head, ..Self::default() }
    }

    pub(super) fn push(&mut self, sound: &Sound) {
        let (frames, _) = sound.samples.as_chunks::<AUDIO_CHANNELS>();
        let at = grid_position(sound.time);
        if at.saturating_sub(self.head) > AHEAD_MAX {
            self.counters.too_early += frames.len() as u64;
            return;
        }
        if let Some(error) = self.error_of(at) {
            if error.abs() <= REANCHOR {
                self.append(frames, error);
                return;
            }
            self.end_run(at);
        }
        self.start_run(at, frames);
    }

    /// Adds the next frames to be mixed to `sum`, as many as it has; silence follows them.
    pub(super) fn add_to(&self, sum: &mut [Sum]) {
        let (first, second) = self.frames.as_slices();
        let (sum_first, sum_second) = sum.split_at_mut(first.len().min(sum.len()));
        for (sum, frames) in [(sum_first, first), (sum_second, second)] {
            for (sum, frame) in sum.iter_mut().zip(frames) {
                sum[0] += i32::from(frame[0]);
                sum[1] += i32::from(frame[1]);
            }
        }
    }

    /// To be called before the next `frames` frames are mixed: lets the sound fade away if it does
    /// not last that long.
    pub(super) fn prepare(&mut self, frames: usize) {
        let end = self.head + frames as i64;
        if let Flow::Running { cursor, .. } = self.flow
            && cursor < end
        {
            self.end_run(cursor);
        }
    }

    /// Goes on by the `frames` frames that were mixed.
    pub(super) fn advance(&mut self, frames: usize) {
        let mixed = frames.min(self.frames.len());
        if let Some(last) = self.frames.drain(..mixed).next_back() {
            self.previous = last;
        }
        if mixed < frames {
            self.previous = Frame::default();
        }
        self.head += frames as i64;
    }

    pub(super) fn is_silent(&self) -> bool {
        self.frames.is_empty() && matches!(self.flow, Flow::Idle)
    }

    pub(super) fn counters(&self) -> VoiceCounters {
        self.counters
    }

    /// How much later than the end of what there is a block at `at` begins; nothing if there is no
    /// run that it could go on with.
    fn error_of(&self, at: i64) -> Option<i64> {
        match &self.flow {
            Flow::Idle => None,
            Flow::Running { cursor, slip, .. } => Some(at - cursor - slip.pending() as i64),
        }
    }

    fn start_run(&mut self, at: i64, frames: &[Frame]) {
        let late = (self.head - at).clamp(0, frames.len() as i64);
        self.counters.late += late as u64;
        let in_time = &frames[late as usize..];
        if in_time.is_empty() {
            return;
        }
        self.flow = Flow::Running { cursor: at + late, slip: Slip::default(), faded: 0 };
        self.append(in_time, 0);
    }

    /// Goes on with the run; the block belongs `error` frames later than it would begin.
    fn append(&mut self, block: &[Frame], error: i64) {
        let Flow::Running { cursor, slip, faded } = &mut self.flow else {
            return;
        };
        if slip.is_correcting() || error.abs() > TOLERANCE {
            slip.correct(error);
        }
        let out = &mut self.out;
        out.clear();
        slip.feed(block, out);
        for frame in out.iter_mut().take(FADE - *faded) {
            *faded += 1;
            *frame = scaled(*frame, fade_in(*faded));
        }
        add(&mut self.frames, (*cursor - self.head) as usize, out);
        *cursor += out.len() as i64;
    }

    /// Ends the run where it ends, or already at `at` if that is earlier. Whatever level it ends at
    /// is let down to nothing after it, so that no frame of it has to be known in advance.
    fn end_run(&mut self, at: i64) {
        let Flow::Running { cursor, .. } = std::mem::take(&mut self.flow) else {
            return;
        };
        self.counters.breaks += 1;
        let end = (cursor.min(at).max(self.head) - self.head) as usize;
        self.frames.truncate(end);
        let last = match end {
            0 => self.previous,
            _ => self.frames.back().copied().unwrap_or_default(),
        };
        self.out.clear();
        self.out.extend((0..FADE).rev().map(|step| scaled(last, fade_in(step))));
        add(&mut self.frames, end, &self.out);
    }
}

/// The frame that begins nearest to `time`.
const fn grid_position(time: MediaTime) -> i64 {
    // 48,000 frames in 10^9 ns are 3 in 62,500. A time stamp from a hostile peer may be anything.
    let thirds = time.nanos().saturating_mul(3).saturating_add(62_500 / 2);
    thirds.div_euclid(62_500)
}

/// Adds `new` to what is there from `index` on, if need be behind silence.
fn add(frames: &mut VecDeque<Frame>, index: usize, new: &[Frame]) {
    if frames.len() < index {
        frames.resize(index, Frame::default());
    }
    let (over, beyond) = new.split_at((frames.len() - index).min(new.len()));
    for (there, new) in frames.range_mut(index..).zip(over) {
        for (there, sample) in there.iter_mut().zip(new) {
            *there = there.saturating_add(*sample);
        }
    }
    frames.extend(beyond);
}

/// The gain after `step` of [`FADE`] steps of a fade-in: half a period of a cosine, which begins
/// and ends level.
fn fade_in(step: usize) -> f32 {
    (1.0 - (std::f32::consts::PI * step as f32 / FADE as f32).cos()) / 2.0
}

fn scaled(frame: Frame, gain: f32) -> Frame {
    frame.map(|sample| (f32::from(sample) * gain).round() as i16)
}

#[cfg(test)]
mod tests;
