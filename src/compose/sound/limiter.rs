//! Keeps the sum of the voices within 16 bits without distorting it.
//!
//! The loudness law: voices are added at unity gain. As long as the sum is within full scale it is returned
//! unchanged, however many voices there are. Above full scale the whole mix is turned down, never more than
//! necessary, within 1 ms before the peak (a short look ahead replaces a delay). It stays down for 20 ms
//! after the last peak, so that single waves of a voice do not change the gain. Then it is turned up again by
//! two thousandths a millisecond.

/// The sum of voices, one value a channel.
pub(super) type Sum = [i32; 2];

/// Frames that share a peak: about 1 ms, the time in which the gain is reduced.
const BLOCK: usize = 50;
/// How many frames of the next tick must be known to prepare for its first peak.
pub(super) const LOOK_AHEAD: usize = BLOCK;
/// From half to full gain in a quarter of a second. That is fast enough not to swallow the next word, and too
/// slow to be heard as distortion.
const RELEASE_PER_BLOCK: f32 = 0.002;
/// How many blocks a peak is remembered: 20 ms, half a wave of 25 Hz. Without this the gain would rise and
/// fall with each wave, which is distortion (-40 dB at 100 Hz).
const HOLD: usize = 20;

pub(super) struct Limiter {
    /// The gain that the next frame gets.
    gain: f32,
    /// The gains that the last blocks allowed, in no order.
    recent: [f32; HOLD],
    oldest: usize,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { gain: 1.0, recent: [1.0; HOLD], oldest: 0 }
    }
}

impl Limiter {
    /// Limits all of `sum` except the last [`LOOK_AHEAD`] frames and appends them to `out`, interleaved.
    pub(super) fn limit(&mut self, sum: &[Sum], out: &mut Vec<i16>) {
        let (now, ahead) = sum.split_at(sum.len().saturating_sub(LOOK_AHEAD));
        let mut allowed = now.get(..BLOCK.min(now.len())).map_or(1.0, allowed_gain);
        let mut rest = now;
        while !rest.is_empty() {
            let (block, later) = rest.split_at(BLOCK.min(rest.len()));
            let next = if later.is_empty() { ahead } else { &later[..BLOCK.min(later.len())] };
            let allowed_next = allowed_gain(next);
            self.ramp(block, allowed.min(allowed_next), allowed, out);
            (rest, allowed) = (later, allowed_next);
        }
    }

    /// Appends a block to `out` while the gain moves to `limit`. The block allows no gain above `allowed`.
    fn ramp(&mut self, block: &[Sum], limit: f32, allowed: f32, out: &mut Vec<i16>) {
        self.recent[self.oldest] = allowed;
        self.oldest = (self.oldest + 1) % HOLD;
        let held = self.recent.iter().copied().fold(limit, f32::min);
        let from = self.gain.min(allowed);
        let to = held.min(from + RELEASE_PER_BLOCK);
        self.gain = to;
        if from == 1.0 && to == 1.0 {
            out.extend(block.iter().flat_map(|sum| sum.map(saturated)));
            return;
        }
        let step = (to - from) / block.len() as f32;
        for (i, sum) in block.iter().enumerate() {
            let gain = from + step * i as f32;
            // `as` saturates if rounding exceeds full scale.
            out.extend(sum.map(|value| (value as f32 * gain).round() as i16));
        }
    }
}

/// Returns the highest gain at which no value of the block exceeds full scale.
fn allowed_gain(block: &[Sum]) -> f32 {
    // -32768 is a regular sample: `!v` is `-v - 1`, so both full scales count as 32767.
    let peak = block.iter().flatten().map(|&value| value.max(!value)).max().unwrap_or(0);
    let full_scale = i32::from(i16::MAX);
    if peak <= full_scale { 1.0 } else { full_scale as f32 / peak as f32 }
}

fn saturated(value: i32) -> i16 {
    value.clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[cfg(test)]
mod tests {
    use super::super::resample::SoundFrame;
    use super::*;

    /// Limits ticks of 1600 frames, each with its look-ahead.
    fn limited(sum: &[Sum]) -> Vec<SoundFrame> {
        let mut limiter = Limiter::default();
        let mut out = Vec::new();
        for start in (0..sum.len()).step_by(1600) {
            let mut tick = sum[start..(start + 1600 + LOOK_AHEAD).min(sum.len())].to_vec();
            tick.resize(1600 + LOOK_AHEAD, [0; 2]);
            limiter.limit(&tick, &mut out);
        }
        let (frames, _) = out.as_chunks();
        frames.to_vec()
    }

    fn sine(amplitude: f64, frames: usize) -> Vec<Sum> {
        let value = |i: usize| (amplitude * (i as f64 * 0.05).sin()) as i32;
        (0..frames).map(|i| [value(i), -value(i)]).collect()
    }

    #[test]
    fn up_to_full_scale_nothing_is_changed() {
        let mut sum = sine(32_000.0, 3200);
        sum[100] = [i16::MAX.into(), i16::MIN.into()];
        let expected: Vec<SoundFrame> = sum.iter().map(|s| s.map(|v| v as i16)).collect();
        assert_eq!(limited(&sum), expected);
    }

    #[test]
    fn above_full_scale_the_shape_of_the_wave_is_kept() {
        let sum = sine(60_000.0, 16_000);
        let out = limited(&sum);
        for (out, sum) in out.iter().zip(&sum).skip(1600) {
            let gain = f64::from(out[0]) / f64::from(sum[0]);
            assert!(sum[0].abs() < 1000 || (0.545..0.56).contains(&gain), "{gain}");
        }
    }

    #[test]
    fn the_gain_never_jumps_even_where_ticks_meet() {
        // A quiet tone carries the gain; a peak begins with the first frame of the second tick.
        let mut sum = vec![[10_000, 10_000]; 12_800];
        for frame in &mut sum[1600..1700] {
            *frame = [50_000, 50_000];
        }
        let out = limited(&sum);
        let gains: Vec<f64> = out.iter().zip(&sum).map(|(o, s)| f64::from(o[0]) / f64::from(s[0])).collect();
        for (i, pair) in gains.windows(2).enumerate() {
            assert!((pair[0] - pair[1]).abs() < 0.01, "at {i}: {pair:?}");
        }
        assert_eq!(gains[1000], 1.0);
        assert_eq!(gains[12_790], 1.0);
    }

    #[test]
    fn a_tone_far_above_full_scale_is_turned_down_without_distortion() {
        for hertz in [100.0, 440.0, 3000.0] {
            let step = std::f64::consts::TAU * hertz / 48_000.0;
            let sum: Vec<Sum> =
                (0..48_000).map(|n| [(65_534.0 * (step * n as f64).sin()) as i32; 2]).collect();
            let out = &limited(&sum)[9_600..];
            let parts = out.iter().zip(9_600..).map(|(frame, n)| {
                let (sin, cos) = (step * f64::from(n)).sin_cos();
                (f64::from(frame[0]) * sin, f64::from(frame[0]) * cos, f64::from(frame[0]).powi(2))
            });
            let (sin, cos, power) = parts.fold((0.0, 0.0, 0.0), |a, b| (a.0 + b.0, a.1 + b.1, a.2 + b.2));
            let tone = (sin * sin + cos * cos) * 2.0 / out.len() as f64;
            let distortion = 10.0 * ((power - tone) / tone).log10();
            assert!(distortion < -60.0, "{hertz} Hz: {distortion:.1} dB");
        }
    }

    #[test]
    fn a_peak_that_nobody_could_foresee_is_still_within_full_scale() {
        let mut limiter = Limiter::default();
        let mut out = Vec::new();
        limiter.limit(&[[0; 2]; 1600 + LOOK_AHEAD], &mut out);
        limiter.limit(&[[90_000, -90_000]; 1600 + LOOK_AHEAD], &mut out);
        assert!(out[3200..].iter().all(|&v| v == 32767 || v == -32767));
    }
}
