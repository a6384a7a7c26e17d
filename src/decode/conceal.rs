//! Which sound is missing before a packet, so that the decoder can conceal the loss. Pure.
//!
//! Contract: only lost sound is concealed, and only as long as Opus can do it well. A gap without a loss is a
//! pause of the sender (DTX, a mute). Such a pause and a gap that is too long for concealment stay silent,
//! for exactly their duration.

use std::time::Duration;

use crate::media::{EncodedFrame, MediaTime};

/// libopus fades concealed sound out within about this time.
const LONGEST: Duration = Duration::from_millis(120);
/// Opus has no shorter duration (RFC 6716, section 2).
const STEP_NANOS: u64 = 2_500_000;

/// Sound that was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    pub from: MediaTime,
    pub length: Duration,
}

/// Follows the packets of a track.
#[derive(Default)]
pub struct Concealer {
    /// Where the next packet begins if nothing is missing.
    next: Option<MediaTime>,
}

impl Concealer {
    /// Returns the sound to conceal before `packet`.
    pub fn before(&mut self, packet: &EncodedFrame) -> Option<Missing> {
        let from = self.next;
        self.next = duration(&packet.data).map(|duration| packet.time + duration);
        let from = from.filter(|_| packet.discontinuity)?;
        let gap = u64::try_from(packet.time.nanos_since(from)).ok()?;
        // Time stamps have a little jitter.
        let steps = (gap + STEP_NANOS / 2) / STEP_NANOS;
        let length = Duration::from_nanos(steps * STEP_NANOS);
        (!length.is_zero() && length <= LONGEST).then_some(Missing { from, length })
    }
}

/// Returns the duration of an Opus packet, from its first two bytes (RFC 6716, section 3.1).
fn duration(packet: &[u8]) -> Option<Duration> {
    let toc = *packet.first()?;
    let frame_micros = match toc >> 3 {
        config @ 0..12 => [10_000, 20_000, 40_000, 60_000][usize::from(config % 4)],
        config @ 12..16 => [10_000, 20_000][usize::from(config % 2)],
        config => [2_500, 5_000, 10_000, 20_000][usize::from(config % 4)],
    };
    let frames = match toc & 3 {
        0 => 1,
        1 | 2 => 2,
        _ => u64::from(packet.get(1)? & 0x3f),
    };
    Some(Duration::from_micros(frame_micros * frames))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{Codec, Rotation};

    /// Returns a packet of 20 ms (CELT, fullband) at a time in ms.
    fn packet(at: f64, discontinuity: bool) -> EncodedFrame {
        EncodedFrame {
            codec: Codec::Opus,
            time: MediaTime::from_nanos((at * 1e6) as i64),
            data: Bytes::from_static(&[31 << 3]),
            keyframe: true,
            rotation: Rotation::Upright,
            discontinuity,
        }
    }

    /// Returns what is missing between a packet at 0 and one at `at`.
    fn missing(at: f64, discontinuity: bool) -> Option<(i64, u128)> {
        let mut concealer = Concealer::default();
        assert_eq!(concealer.before(&packet(0.0, true)), None, "nothing is known before the first");
        let missing = concealer.before(&packet(at, discontinuity))?;
        Some((missing.from.nanos() / 1_000_000, missing.length.as_millis()))
    }

    #[test]
    fn lost_packets_are_concealed_for_as_long_as_they_last() {
        assert_eq!(missing(40.0, true), Some((20, 20)));
        assert_eq!(missing(140.0, true), Some((20, 120)));
        // The timeline was correcting the clock meanwhile.
        assert_eq!(missing(79.4, true), Some((20, 60)));
    }

    #[test]
    fn what_is_too_long_is_left_silent() {
        assert_eq!(missing(160.0, true), None);
        assert_eq!(missing(3_600_000.0, true), None);
    }

    #[test]
    fn a_pause_of_the_senders_is_no_loss() {
        assert_eq!(missing(60.0, false), None);
    }

    #[test]
    fn a_loss_that_redundancy_made_up_for_is_none() {
        assert_eq!(missing(20.0, true), None);
        assert_eq!(missing(20.9, true), None);
        assert_eq!(missing(0.0, true), None);
    }

    #[test]
    fn the_length_of_a_packet_is_read_from_its_head() {
        let millis = |packet: &[u8]| duration(packet).map(|d| d.as_secs_f64() * 1e3);
        assert_eq!(millis(&[3 << 3]), Some(60.0));
        assert_eq!(millis(&[13 << 3 | 1]), Some(40.0));
        assert_eq!(millis(&[16 << 3]), Some(2.5));
        assert_eq!(millis(&[31 << 3 | 3, 6]), Some(120.0));
        assert_eq!(millis(&[31 << 3 | 3]), None);
        assert_eq!(millis(&[]), None);
    }
}
