//! Owns the sound of a test participant: a tone of its own in syllables and phrases, so that voices can be
//! distinguished by their spectrum and mouths can move with them. Pure.
//!
//! Contract: the sound starts over without a click after [`Voice::PERIOD`].

use std::f64::consts::TAU;
use std::time::Duration;

use crate::media::AUDIO_RATE;

/// Hz, a pentatonic scale. Nine tones at once still sound like a choir, and no tone hides another as its
/// harmonic.
const TONES: [f64; 9] = [220.0, 262.0, 294.0, 330.0, 392.0, 440.0, 523.0, 587.0, 659.0];
/// Syllables a second, as in calm speech.
const SYLLABLES: f64 = 4.0;
/// Seconds of speech in each period; after that the others speak.
const PHRASE: f64 = 3.0;
/// Seconds by which each participant begins later than the one before: voices overlap now and then.
const TURN: f64 = 1.5;
/// Peak, relative to full scale: nine voices at once do not clip.
const PEAK: f64 = 0.11;

/// One participant's voice.
#[derive(Clone, Copy, Debug)]
pub struct Voice {
    tone: f64,
    begin: f64,
}

impl Voice {
    /// Every tone has a whole number of cycles in this time.
    pub const PERIOD: Duration = Duration::from_secs(6);

    /// `participant` counts from 0.
    pub fn of(participant: u32) -> Self {
        Self { tone: TONES[participant as usize % TONES.len()], begin: f64::from(participant) * TURN }
    }

    /// Returns the loudness from 0 (silent) to 1, at `seconds` into the clip.
    pub fn loudness(self, seconds: f64) -> f64 {
        let into = (seconds - self.begin).rem_euclid(Self::PERIOD.as_secs_f64());
        if into >= PHRASE {
            return 0.0;
        }
        (TAU / 2.0 * SYLLABLES * into).sin().powi(2)
    }

    /// Returns `count` samples from `first` on, mono at [`AUDIO_RATE`].
    pub fn samples(self, first: u64, count: usize) -> Vec<i16> {
        (first..)
            .take(count)
            .map(|n| {
                let seconds = n as f64 / f64::from(AUDIO_RATE);
                let wave = (TAU * self.tone * seconds).sin() * self.loudness(seconds);
                (wave * PEAK * f64::from(i16::MAX)).round() as i16
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD_SAMPLES: u64 = 6 * AUDIO_RATE as u64;

    #[test]
    fn the_sound_starts_over_as_it_began() {
        for participant in 0..9 {
            let voice = Voice::of(participant);
            let (first, again) = (voice.samples(0, 960), voice.samples(PERIOD_SAMPLES, 960));
            assert!(first.iter().zip(&again).all(|(a, b)| a.abs_diff(*b) <= 1));
        }
    }

    #[test]
    fn everybody_speaks_half_of_the_time_and_nobody_alone_for_ever() {
        for participant in 0..9 {
            let voice = Voice::of(participant);
            let speaking = (0..600).filter(|n| voice.loudness(f64::from(*n) / 100.0) > 0.01).count();
            assert!((250..=300).contains(&speaking), "{speaking} of 600");
        }
    }

    #[test]
    fn nine_at_once_do_not_clip() {
        let voices: Vec<Vec<i16>> = (0..9).map(|p| Voice::of(p).samples(0, 288_000)).collect();
        let loudest = (0..288_000).map(|n| voices.iter().map(|v| i32::from(v[n])).sum::<i32>().abs());
        assert!(loudest.max() <= Some(i32::from(i16::MAX)));
    }

    #[test]
    fn nine_participants_have_nine_tones() {
        let tones: Vec<f64> = (0..9).map(|p| Voice::of(p).tone).collect();
        assert!(tones.windows(2).all(|w| w[1] - w[0] > 25.0));
    }
}
