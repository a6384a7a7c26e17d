//! Where the streams of an encoder begin, if they go on with those of another one: with a tick, and with a PCM sample that
//! need not be that tick's first. Pure.

use crate::media::{AUDIO_CHANNELS, AUDIO_RATE};

/// By the recording's timeline. Its start is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamStart {
    /// The first to be pushed.
    pub tick: u64,
    /// The first of each channel to be encoded: what the ticks have before it is left out, what they lack is silent.
    pub pcm: u64,
}

/// Values of sound in the first `ticks` ticks. At 29 ticks a second, say, not all ticks have the same number.
pub fn values_before(ticks: u64, frame_rate: u32) -> u64 {
    ticks * u64::from(AUDIO_RATE) / u64::from(frame_rate) * AUDIO_CHANNELS as u64
}

/// Brings the sound of the first ticks to its start.
#[derive(Debug, PartialEq, Eq)]
pub enum Alignment {
    /// So many values are left to be left out.
    LeaveOut(u64),
    /// So many values of silence come first.
    Precede(u64),
    Done,
}

impl Alignment {
    pub fn new(start: StreamStart, frame_rate: u32) -> Self {
        let (first, wanted) = (values_before(start.tick, frame_rate), start.pcm * AUDIO_CHANNELS as u64);
        if wanted >= first { Self::LeaveOut(wanted - first) } else { Self::Precede(first - wanted) }
    }

    /// What is to be encoded of the next tick's sound, as bytes. May be nothing.
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

    /// The lengths of what is encoded of ticks of 3200 values, in values.
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
