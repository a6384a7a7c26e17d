//! Where the streams of an encoder begin when they continue those of another encoder: at a tick, and at a PCM
//! sample that need not be that tick's first. Pure.

use crate::media::{AUDIO_CHANNELS, AUDIO_RATE};

/// On the recording's timeline, whose start is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStart {
    /// The first tick that is pushed.
    pub tick: u64,
    /// The first PCM sample of each channel that is encoded. Sound of the ticks before it is left out; sound
    /// that they lack is silent.
    pub pcm: u64,
}

/// Returns the number of values of sound in the first `ticks` ticks. At 29 ticks a second, for example, the
/// ticks differ.
pub fn values_before(ticks: u64, frame_rate: u32) -> u64 {
    ticks * u64::from(AUDIO_RATE) / u64::from(frame_rate) * AUDIO_CHANNELS as u64
}

/// Aligns the sound of the first ticks with the start.
#[derive(Debug, PartialEq, Eq)]
pub enum Alignment {
    /// This many values are still to be left out.
    LeaveOut(u64),
    /// This many values of silence come first.
    Precede(u64),
    Done,
}

impl Alignment {
    pub fn new(start: StreamStart, frame_rate: u32) -> Self {
        let (first, wanted) = (values_before(start.tick, frame_rate), start.pcm * AUDIO_CHANNELS as u64);
        if wanted >= first { Self::LeaveOut(wanted - first) } else { Self::Precede(first - wanted) }
    }

    /// Returns the part of the next tick's sound that is encoded, as bytes. May be empty.
    pub fn align(&mut self, sound: &[i16]) -> Vec<u8> {
        let (silence, sound) = match *self {
            Self::Done => (0, sound),
            Self::Precede(values) => {
                *self = Self::Done;
                (values, sound)
            }
            Self::LeaveOut(values) => {
                let gone = usize::try_from(values).map_or(sound.len(), |values| values.min(sound.len()));
                let left = values - gone as u64;
                *self = if left == 0 { Self::Done } else { Self::LeaveOut(left) };
                (0, &sound[gone..])
            }
        };
        let mut bytes = vec![0; silence as usize * size_of::<i16>()];
        bytes.extend(sound.iter().flat_map(|value| value.to_le_bytes()));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many values are encoded of each tick of 3200 values.
    fn lengths(tick: u64, pcm: u64, ticks: usize) -> Vec<usize> {
        let mut alignment = Alignment::new(StreamStart { tick, pcm }, 30);
        (0..ticks).map(|_| alignment.align(&[1; 3200]).len() / 2).collect()
    }

    #[test]
    fn from_the_start_of_the_recording_everything_is_encoded() {
        assert_eq!(lengths(0, 0, 2), [3200, 3200]);
    }

    #[test]
    fn what_the_old_stream_has_already_is_left_out() {
        assert_eq!(lengths(10, 10 * 1600 + 2000, 3), [0, 2400, 3200]);
    }

    #[test]
    fn what_neither_has_is_silent() {
        assert_eq!(lengths(10, 10 * 1600 - 300, 2), [3800, 3200]);
        let mut alignment = Alignment::new(StreamStart { tick: 1, pcm: 1599 }, 30);
        assert_eq!(alignment.align(&[0x0201, -2]), [0, 0, 0, 0, 1, 2, 0xfe, 0xff]);
    }
}
