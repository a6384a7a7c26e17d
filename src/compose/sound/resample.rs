//! Reads a sound a little faster or slower than it came: band-limited interpolation between its frames.
//! [`super::drift`] decides the speed.
//!
//! Contract: the output is one continuous reading of the input, however the rate changes. Until the rate
//! changes for the first time, the output equals the input bit by bit. The added noise is 68 dB below a tone
//! of 8 kHz and 82 dB below one of 1 kHz. Up to 20 kHz, all that Opus carries, nothing is attenuated.

use std::f64::consts::PI;
use std::sync::LazyLock;

use crate::media::AUDIO_CHANNELS;

/// One sample of each channel.
pub(super) type SoundFrame = [i16; AUDIO_CHANNELS];

/// How many input frames make one output frame.
const TAPS: usize = 32;
/// How many of these frames are before the frame at the reading position, and how many after it.
const BEFORE: usize = TAPS / 2 - 1;
const AFTER: usize = TAPS / 2;
/// How many positions between two frames are distinguished.
const PHASES: usize = 1024;
/// The Kaiser window's shape: side lobes 80 dB down.
const BETA: f64 = 8.0;

/// For each phase, the weights of the frames around it; 128 kB for all voices of a recording.
static WEIGHTS: LazyLock<Vec<[f32; TAPS]>> = LazyLock::new(|| (0..PHASES).map(weights).collect());

pub(super) struct Resampler {
    /// For each channel, the frames before the reading position and all frames after it. The position is
    /// between `input[BEFORE]` and the next frame.
    input: [Vec<f32>; AUDIO_CHANNELS],
    /// How far the position is after `input[BEFORE]`, below 1.
    fraction: f64,
}

impl Default for Resampler {
    fn default() -> Self {
        Self { input: std::array::from_fn(|_| vec![0.0; BEFORE]), fraction: 0.0 }
    }
}

impl Resampler {
    /// Returns how many frames the pending input will make at normal speed.
    pub(super) fn pending(&self) -> f64 {
        (self.input[0].len() - BEFORE) as f64 - self.fraction
    }

    /// Takes `block` and appends to `out` the frames that are ready. `more` is how many additional frames are
    /// made per input frame: 0 changes nothing, 0.005 makes the sound half a percent longer.
    pub(super) fn feed(&mut self, block: &[SoundFrame], more: f64, out: &mut Vec<SoundFrame>) {
        for (channel, input) in self.input.iter_mut().enumerate() {
            input.extend(block.iter().map(|frame| f32::from(frame[channel])));
        }
        let readable = self.input[0].len().saturating_sub(TAPS - 1);
        let used = match more == 0.0 && self.fraction == 0.0 {
            true => {
                let [left, right] = self.input.each_ref().map(|input| &input[BEFORE..BEFORE + readable]);
                out.extend(left.iter().zip(right).map(|(left, right)| [rounded(*left), rounded(*right)]));
                readable
            }
            false => self.read(readable, 1.0 - more, out),
        };
        for input in &mut self.input {
            input.drain(..used);
        }
    }

    /// Appends all pending frames, as if the last input frame repeated.
    pub(super) fn finish(&mut self, more: f64, out: &mut Vec<SoundFrame>) {
        let last = self.input.each_ref().map(|input| input.last().copied().map_or(0, rounded));
        self.feed(&[last; AFTER], more, out);
    }

    /// Reads from `readable` positions, `step` apart; returns how many frames are used up.
    fn read(&mut self, readable: usize, step: f64, out: &mut Vec<SoundFrame>) -> usize {
        let mut at = self.fraction;
        while (at as usize) < readable {
            let first = at as usize;
            let weights = &WEIGHTS[((at - first as f64) * PHASES as f64) as usize];
            out.push(self.input.each_ref().map(|input| {
                let around = input[first..].first_chunk().map_or(0.0, |frames| weighted(frames, weights));
                rounded(around)
            }));
            at += step;
        }
        let used = (at as usize).min(self.input[0].len() - BEFORE);
        self.fraction = at - used as f64;
        used
    }
}

/// Uses eight sums, so that the processor can compute them in parallel.
fn weighted(frames: &[f32; TAPS], weights: &[f32; TAPS]) -> f32 {
    let mut sums = [0.0_f32; 8];
    let (frames, weights) = (frames.as_chunks::<8>().0, weights.as_chunks::<8>().0);
    for (frames, weights) in frames.iter().zip(weights) {
        for ((sum, frame), weight) in sums.iter_mut().zip(frames).zip(weights) {
            *sum += frame * weight;
        }
    }
    sums.iter().sum()
}

/// Rounds halves away from zero; `as` saturates at full scale.
fn rounded(value: f32) -> i16 {
    (value + 0.5_f32.copysign(value)) as i16
}

/// Returns a sinc under a Kaiser window, centred in the middle of the phase, but on the frame itself in phase
/// 0.
fn weights(phase: usize) -> [f32; TAPS] {
    let behind = match phase {
        0 => 0.0,
        _ => (phase as f64 + 0.5) / PHASES as f64,
    };
    let weights: [f64; TAPS] = std::array::from_fn(|tap| {
        let distance = tap as f64 - BEFORE as f64 - behind;
        sinc(distance) * kaiser(distance / AFTER as f64)
    });
    let sum: f64 = weights.iter().sum();
    weights.map(|weight| (weight / sum) as f32)
}

fn sinc(x: f64) -> f64 {
    // sin(n * pi) is not quite 0 in floating point, but other frames than the one at the position must have
    // no weight.
    match x.fract() == 0.0 {
        true => f64::from(u8::from(x == 0.0)),
        false => (PI * x).sin() / (PI * x),
    }
}

/// Returns the Kaiser window at `x` between -1 and 1.
fn kaiser(x: f64) -> f64 {
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// Returns the modified Bessel function of the first kind and order 0, by its power series.
fn bessel(x: f64) -> f64 {
    let mut term = 1.0;
    let mut sum = 1.0;
    for k in 1..40 {
        term *= (x / (2.0 * f64::from(k))).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn tone(hertz: f64, frames: usize) -> Vec<SoundFrame> {
        let value = |n: usize| (16_000.0 * (TAU * hertz * n as f64 / 48_000.0).sin()).round() as i16;
        (0..frames).map(|n| [value(n), -value(n)]).collect()
    }

    fn resampled(input: &[SoundFrame], more: f64) -> Vec<SoundFrame> {
        let (mut resampler, mut out) = (Resampler::default(), Vec::new());
        for block in input.chunks(960) {
            resampler.feed(block, more, &mut out);
        }
        out
    }

    /// Returns how far everything but the tone is below the tone, in dB.
    fn purity(out: &[SoundFrame], hertz: f64) -> f64 {
        let step = TAU * hertz / 48_000.0;
        let parts = out.iter().enumerate().map(|(n, frame)| {
            let (sin, cos) = (step * n as f64).sin_cos();
            (f64::from(frame[0]) * sin, f64::from(frame[0]) * cos)
        });
        let (sin, cos) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let scale = 2.0 / out.len() as f64;
        let (sin, cos) = (sin * scale, cos * scale);
        let rest = out.iter().enumerate().map(|(n, frame)| {
            let (s, c) = (step * n as f64).sin_cos();
            (f64::from(frame[0]) - s * sin - c * cos).powi(2)
        });
        let rest = rest.sum::<f64>() / out.len() as f64;
        10.0 * ((sin * sin + cos * cos) / 2.0 / rest).log10()
    }

    #[test]
    fn what_is_not_changed_comes_out_bit_by_bit() {
        let input = tone(1234.0, 9600);
        let (mut resampler, mut out) = (Resampler::default(), Vec::new());
        resampler.feed(&input, 0.0, &mut out);
        assert_eq!(out, input[..9600 - AFTER]);
        resampler.finish(0.0, &mut out);
        assert_eq!(out, input);
    }

    #[test]
    fn a_tone_stays_pure_whatever_the_rate() {
        for (hertz, least) in [(1_000.0, 82.0), (8_000.0, 68.0), (15_000.0, 60.0)] {
            for more in [200e-6, -200e-6, 0.005, -0.005] {
                let out = resampled(&tone(hertz, 96_000), more);
                let heard = hertz * (1.0 - more);
                let purity = purity(&out[100..], heard);
                assert!(purity > least, "{hertz} Hz, {more}: {purity:.1} dB");
            }
        }
    }

    #[test]
    fn it_is_as_loud_as_it_was_up_to_20_khz() {
        let power = |frames: &[SoundFrame]| frames.iter().map(|f| f64::from(f[0]).powi(2)).sum::<f64>();
        for hertz in [100.0, 10_000.0, 18_000.0, 20_000.0] {
            let input = tone(hertz, 96_000);
            let change =
                10.0 * (power(&resampled(&input, 0.005)[..90_000]) / power(&input[..90_000])).log10();
            assert!(change.abs() < 0.3, "{hertz} Hz: {change:.2} dB");
        }
    }

    #[test]
    fn it_gets_longer_or_shorter_by_what_was_asked_for() {
        for more in [0.005, -0.005, 50e-6, 0.0] {
            let out = resampled(&tone(100.0, 96_000), more).len() as f64;
            let expected = (96_000 - AFTER) as f64 / (1.0 - more);
            assert!((out - expected).abs() <= 1.5, "{more}: {out}, not {expected}");
        }
    }

    #[test]
    fn pending_tells_where_the_next_frame_will_come_out() {
        let (mut resampler, mut out) = (Resampler::default(), Vec::new());
        for _ in 0..10 {
            resampler.feed(&[[100; 2]; 960], 0.003, &mut out);
        }
        let expected = out.len() as f64 + resampler.pending();
        let mut frames = Vec::new();
        resampler.feed(&[[10_000; 2]; 100], 0.0, &mut frames);
        let half = frames.iter().position(|f| f[0] > 5_050).expect("the step") as f64;
        assert!((out.len() as f64 + half - expected).abs() <= 1.0, "{half}");
    }
}
