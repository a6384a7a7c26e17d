//! The recording as MP4: fragmented while it grows, a regular faststart file at the end.
//!
//! Owns every box that is written or read. Pure: bytes in, bytes out; no file, no clock.
//!
//! ```text
//! worker:   EncodedSample ─▶ FragmentWriter ─▶ spool:  ftyp moov(mvex) [moof mdat] [moof mdat] …
//!           after a crash: scan ─▶ SpoolPosition, where the next worker goes on
//! service:  spool bytes ─▶ SpoolReader ─▶ the ranges of the mdat payloads, and at the end an Index
//!           object = Index::head() (ftyp moov, header of one mdat) ++ those ranges, in order
//! ```
//!
//! The media bytes are never rewritten, so they can be uploaded long before the head exists, and a
//! spool that ends in the middle of a fragment is as good as one that ends after the fragment
//! before. Both streams run without gaps from the recording's first tick on: video sample `n` is
//! tick `n`, and the sound's first `audio_priming` PCM samples are skipped by an edit list.

mod fragment;

mod spool;

mod scan;

mod last_pictures;

mod annex_b;

mod framing;

mod parse;

mod index;

mod head;

mod moov;

mod codecs;

mod error;

#[cfg(test)]
mod testing;

pub use error::Mp4Error;
pub use fragment::FragmentWriter;
pub use index::Index;
pub use last_pictures::last_pictures;
pub use scan::{Scan, scan};
pub use spool::{MediaRange, SpoolPosition, SpoolReader};

use crate::media::{AUDIO_RATE, Size, StreamKind, StreamSetup};

/// What both forms of the file say about the recording as a whole.
#[derive(Clone, Debug, PartialEq)]
pub struct MovieConfig {
    pub size: Size,
    /// Ticks a second, 1 to 1,000.
    pub frame_rate: u32,
    pub setup: StreamSetup,
}

/// Length of a tick in the video track's timescale, which is then 15,360 Hz at 30 ticks a second,
/// as most muxers have it: a tick is a whole number, and so are its halves.
const TICK: u32 = 512;
/// Every count of time units stays far from its limit up to here.
const MAX_FRAME_RATE: u32 = 1000;
/// PCM samples in one AAC-LC access unit (ISO/IEC 14496-3, frameLengthFlag 0).
pub const AAC_FRAME: u32 = 1024;

impl MovieConfig {
    /// Units a second of a track's own time.
    fn timescale(&self, stream: StreamKind) -> u32 {
        match stream {
            StreamKind::Video => self.frame_rate * TICK,
            StreamKind::Audio => AUDIO_RATE,
        }
    }

    /// Units a second of the whole file's time: the fewest in which both a tick and a PCM sample
    /// are whole numbers (48,000 at every usual frame rate), so that durations are exact.
    fn movie_timescale(&self) -> u32 {
        AUDIO_RATE / greatest_common_divisor(AUDIO_RATE, self.frame_rate) * self.frame_rate
    }
}

const fn track_id(stream: StreamKind) -> u32 {
    match stream {
        StreamKind::Video => 1,
        StreamKind::Audio => 2,
    }
}

/// Duration of each sample of a stream in its track's timescale.
const fn sample_duration(stream: StreamKind) -> u32 {
    match stream {
        StreamKind::Video => TICK,
        StreamKind::Audio => AAC_FRAME,
    }
}

const fn greatest_common_divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::testing::config;

    #[test]
    fn a_tick_and_a_pcm_sample_are_whole_numbers_of_movie_time() {
        for (frame_rate, expected) in [(30, 48_000), (25, 48_000), (60, 48_000), (7, 336_000)] {
            let mut config = config();
            config.frame_rate = frame_rate;
            assert_eq!(config.movie_timescale(), expected, "{frame_rate} a second");
        }
    }
}
