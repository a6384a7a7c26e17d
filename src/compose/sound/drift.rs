//! How fast a voice is read so that it stays where its time stamps say: a controller that knows nothing of
//! sound. Pure.
//!
//! Contract: the speed changes by at most 0.5 % (9 cents), which nobody hears in speech. A clock that is 200
//! ppm off is followed at exactly these 200 ppm, a third of a cent, and is never a millisecond off for long.
//! Jitter of the time stamps below a millisecond changes nothing at all.

use crate::media::AUDIO_RATE;

const FRAMES_PER_MS: f64 = AUDIO_RATE as f64 / 1000.0;
/// Time stamps have jitter, so errors are averaged over a second.
const SMOOTHING: f64 = AUDIO_RATE as f64;
/// A smaller error is not corrected.
const TOLERANCE: f64 = FRAMES_PER_MS;
/// An error is corrected in about this time: 50 ms at the highest allowed speed, 1 ms at 100 ppm.
const CATCH_UP: f64 = 10.0 * AUDIO_RATE as f64;
const CORRECTION_MAX: f64 = 0.005;
/// Clocks of sound cards are off by 100 ppm at worst, so two machines differ by at most twice that.
const DRIFT_MAX: f64 = 500e-6;
/// A larger error comes from a correction of the clock, not from its drift, so the drift is not learnt from
/// it.
const DRIFT_ERROR: f64 = 10.0 * FRAMES_PER_MS;

/// A proportional-integral controller, critically damped.
#[derive(Default)]
pub(super) struct DriftController {
    /// The mean error of the last blocks in frames: how much too early they came.
    error: f64,
    /// The drift of this clock as learnt so far, in additional frames per frame.
    drift: f64,
}

impl DriftController {
    /// Called when the next block is placed at its own time.
    pub(super) fn start(&mut self) {
        self.error = 0.0;
    }

    /// Returns the correction for the clock's drift alone.
    pub(super) const fn drift(&self) -> f64 {
        self.drift
    }

    /// Returns how many additional frames to make per frame of a block of `frames`, which comes `error`
    /// frames too early.
    pub(super) fn more(&mut self, error: f64, frames: usize) -> f64 {
        self.error += (error - self.error) * (frames as f64 / SMOOTHING).min(1.0);
        let beyond = self.error - self.error.clamp(-TOLERANCE, TOLERANCE);
        if beyond.abs() <= DRIFT_ERROR {
            let learnt = beyond * frames as f64 / (4.0 * CATCH_UP * CATCH_UP);
            self.drift = (self.drift + learnt).clamp(-DRIFT_MAX, DRIFT_MAX);
        }
        (beyond / CATCH_UP + self.drift).clamp(-CORRECTION_MAX, CORRECTION_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLOCK: usize = 960;
    const BLOCKS_PER_SECOND: usize = 50;

    /// Returns for each block the error in ms and the correction in ppm, for a clock that needs `drift` more.
    fn followed(drift: f64, start_ms: f64, seconds: usize) -> Vec<(f64, f64)> {
        let mut controller = DriftController::default();
        let mut error = start_ms * FRAMES_PER_MS;
        let blocks = (0..seconds * BLOCKS_PER_SECOND).map(|_| {
            let more = controller.more(error, BLOCK);
            error += (drift - more) * BLOCK as f64;
            (error / FRAMES_PER_MS, more * 1e6)
        });
        blocks.collect()
    }

    #[test]
    fn trembling_time_stamps_change_nothing() {
        let mut controller = DriftController::default();
        assert!((0..10_000).all(|n| controller.more([0.0, 230.0, -230.0, 100.0][n % 4], BLOCK) == 0.0));
    }

    #[test]
    fn a_drifting_clock_is_followed_at_its_own_rate() {
        for drift in [200e-6, -200e-6, 20e-6] {
            let blocks = followed(drift, 0.0, 300);
            let worst = blocks.iter().map(|(error, _)| error.abs()).fold(0.0, f64::max);
            assert!(worst < 3.0, "{drift}: {worst} ms");
            let (error, more) = blocks[blocks.len() - 1];
            assert!(error.abs() < 1.1, "{drift}: {error} ms in the end");
            assert!((more - drift * 1e6).abs() < 5.0, "{drift}: {more} ppm in the end");
        }
    }

    #[test]
    fn an_error_is_caught_up_within_half_a_minute_and_never_faster_than_half_a_percent() {
        for start in [90.0, -90.0, 20.0] {
            let blocks = followed(0.0, start, 60);
            assert!(blocks.iter().all(|(_, more)| more.abs() <= 5_000.0));
            let late = &blocks[35 * BLOCKS_PER_SECOND..];
            assert!(late.iter().all(|(error, _)| error.abs() < 5.0), "{start}: {late:?}");
        }
    }
}
