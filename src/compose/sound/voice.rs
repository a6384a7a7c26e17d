//! One audio track on the sample grid of the recording: where its blocks are placed, what fills the gaps, and
//! how a clock that runs too fast or too slow is followed. Knows nothing of other voices.
//!
//! Contract: a voice gets no click that its track did not have. Consecutive blocks are read without a seam
//! and stay within milliseconds of their true time. Their speed changes so little that nobody hears it. A gap
//! between two blocks is silence of its exact length, with faded edges. Sound of a time that was mixed
//! already is left out.

use std::collections::VecDeque;

use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, MediaTime, Sound};

use super::drift::DriftController;
use super::limiter::Sum;
use super::resample::{Resampler, SoundFrame};

const FRAMES_PER_MS: i64 = AUDIO_RATE as i64 / 1000;
/// A smaller gap between two blocks is jitter of the time stamps: no packet of sound is shorter than half of
/// this.
const JITTER_MAX: i64 = 5 * FRAMES_PER_MS;
/// A larger error is corrected at once instead of by speed: at 0.5 %, 100 ms would take 20 s. A clock's
/// corrections come no faster than that, so only a machine that stood still causes such an error.
const CORRECTED_ERROR_MAX: i64 = 100 * FRAMES_PER_MS;
/// Long enough not to click, too short to be heard as a fade.
const FADE: usize = 5 * FRAMES_PER_MS as usize;
/// Ticks run at most 4 s behind the room. Sound that is further ahead of the ticks than this has a wrong time
/// stamp (and would be 2 MB a voice).
const AHEAD_MAX: i64 = 10 * AUDIO_RATE as i64;

/// What happened to a voice's frames (1/48000 s each).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VoiceCounters {
    /// Frames that came after their tick was made, or for a time that had its sound already.
    pub late: u64,
    /// Frames that were dropped, as their time was further ahead than any sound can be.
    pub too_early: u64,
    /// How often the sound was interrupted: pauses, losses that were too long to be concealed, steps of the
    /// clock.
    pub breaks: u64,
}

#[derive(Default)]
pub(super) struct Voice {
    /// Grid position of the first of `frames`: the next one to be mixed.
    head: i64,
    frames: VecDeque<SoundFrame>,
    /// The frame before `frames`.
    previous: SoundFrame,
    flow: Flow,
    drift: DriftController,
    counters: VoiceCounters,
    /// The frames that are about to be added to `frames`; kept for reuse.
    out: Vec<SoundFrame>,
}

#[derive(Default)]
enum Flow {
    /// The next block starts a new run at its own time.
    #[default]
    Idle,
    Running(Run),
}

/// Consecutive blocks.
struct Run {
    /// The grid position of the next frame that the resampler returns.
    cursor: i64,
    /// Where the next block should begin, by its own time.
    next: i64,
    resampler: Resampler,
    /// How many frames of the fade-in are done.
    faded: usize,
}

impl Voice {
    /// Returns a voice whose first frame to be mixed is the one at grid position `head`.
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
        let Flow::Running(run) = &mut self.flow else {
            return self.start_run(at, frames);
        };
        let gap = at - run.next;
        let error = run.error_of(at);
        if gap.abs() <= JITTER_MAX && error.abs() <= CORRECTED_ERROR_MAX as f64 {
            run.next = at + frames.len() as i64;
            self.append(frames, error);
        } else if gap >= -JITTER_MAX {
            self.end_run(at);
            self.start_run(at, frames);
        } else {
            let next = run.next;
            self.push_overlapping(next, gap.unsigned_abs() as usize, frames);
        }
    }

    /// Adds the next frames of this voice to `sum`. If there are fewer than `sum` holds, the rest is silence.
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

    /// Called before the next `frames` frames are mixed. Fades the sound out if it does not last that long.
    pub(super) fn prepare(&mut self, frames: usize) {
        let end = self.head + frames as i64;
        if let Flow::Running(run) = &self.flow
            && run.cursor < end
        {
            self.end_run(i64::MAX);
        }
    }

    /// Removes the `frames` frames that were mixed.
    pub(super) fn advance(&mut self, frames: usize) {
        let mixed = frames.min(self.frames.len());
        if let Some(last) = self.frames.drain(..mixed).next_back() {
            self.previous = last;
        }
        if mixed < frames {
            self.previous = SoundFrame::default();
        }
        self.head += frames as i64;
    }

    pub(super) fn is_silent(&self) -> bool {
        self.frames.is_empty() && matches!(self.flow, Flow::Idle)
    }

    pub(super) fn counters(&self) -> VoiceCounters {
        self.counters
    }

    /// Takes a block that overlaps the sound before it by `over` frames; uses the part after the overlap.
    fn push_overlapping(&mut self, next: i64, over: usize, frames: &[SoundFrame]) {
        let fresh = frames.get(over..).unwrap_or_default();
        self.counters.late += (frames.len() - fresh.len()) as u64;
        if !fresh.is_empty() {
            self.end_run(next);
            self.start_run(next, fresh);
        }
    }

    fn start_run(&mut self, at: i64, frames: &[SoundFrame]) {
        let late = (self.head - at).clamp(0, frames.len() as i64);
        self.counters.late += late as u64;
        let in_time = &frames[late as usize..];
        if in_time.is_empty() {
            return;
        }
        self.drift.start();
        let (cursor, next) = (at + late, at + frames.len() as i64);
        self.flow = Flow::Running(Run { cursor, next, resampler: Resampler::default(), faded: 0 });
        self.append(in_time, 0.0);
    }

    /// Appends a block to the run. The block belongs `error` frames later than it would begin.
    fn append(&mut self, block: &[SoundFrame], error: f64) {
        let Flow::Running(run) = &mut self.flow else {
            return;
        };
        self.out.clear();
        run.resampler.feed(block, self.drift.more(error, block.len()), &mut self.out);
        run.give(&mut self.out, &mut self.frames, self.head);
    }

    /// Ends the run at its end, or at `at` if that is earlier. A fade-out from the last level follows the
    /// end, so that no frame of it must be known in advance.
    fn end_run(&mut self, at: i64) {
        let Flow::Running(mut run) = std::mem::take(&mut self.flow) else {
            return;
        };
        self.counters.breaks += 1;
        self.out.clear();
        run.resampler.finish(self.drift.drift(), &mut self.out);
        run.give(&mut self.out, &mut self.frames, self.head);
        let end = (run.cursor.min(at).max(self.head) - self.head) as usize;
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

impl Run {
    /// Returns how much later than the end of the pending sound a block at `at` begins.
    fn error_of(&self, at: i64) -> f64 {
        (at - self.cursor) as f64 - self.resampler.pending()
    }

    /// Appends the resampler's output to the frames; `head` is the position where `frames` begin.
    fn give(&mut self, out: &mut [SoundFrame], frames: &mut VecDeque<SoundFrame>, head: i64) {
        for frame in out.iter_mut().take(FADE - self.faded) {
            self.faded += 1;
            *frame = scaled(*frame, fade_in(self.faded));
        }
        add(frames, (self.cursor - head).max(0) as usize, out);
        self.cursor += out.len() as i64;
    }
}

/// Returns the position of the frame that begins nearest to `time`.
const fn grid_position(time: MediaTime) -> i64 {
    // 48,000 frames in 10^9 ns are 3 in 62,500. A hostile peer may send any time stamp.
    let thirds = time.nanos().saturating_mul(3).saturating_add(62_500 / 2);
    thirds.div_euclid(62_500)
}

/// Adds `new` to `frames` from `index` on, with silence before it if necessary.
fn add(frames: &mut VecDeque<SoundFrame>, index: usize, new: &[SoundFrame]) {
    if frames.len() < index {
        frames.resize(index, SoundFrame::default());
    }
    let (over, beyond) = new.split_at((frames.len() - index).min(new.len()));
    for (there, new) in frames.range_mut(index..).zip(over) {
        for (there, sample) in there.iter_mut().zip(new) {
            *there = there.saturating_add(*sample);
        }
    }
    frames.extend(beyond);
}

/// Returns the gain after `step` of [`FADE`] steps of a fade-in: half a period of a cosine, which is level at
/// both ends.
fn fade_in(step: usize) -> f32 {
    (1.0 - (std::f32::consts::PI * step as f32 / FADE as f32).cos()) / 2.0
}

fn scaled(frame: SoundFrame, gain: f32) -> SoundFrame {
    frame.map(|sample| (f32::from(sample) * gain).round() as i16)
}

#[cfg(test)]
mod tests;
