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
//! The media bytes are never rewritten, so they can be uploaded long before the head exists. A spool that
//! ends in the middle of a fragment counts as one that ends after the fragment before. Each stream runs
//! without gaps from the recording's first tick on: video sample `n` is tick `n`. An edit list skips the
//! sound's first `priming` PCM samples.

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
pub use spool::{SpoolPosition, SpoolRange, SpoolReader};

use bytes::Bytes;

use crate::media::{AUDIO_RATE, AudioSetup, Size, StreamKind, StreamSetup};

/// What both forms of the file say about the recording as a whole. A recording has at least one of the two
/// streams.
#[derive(Clone, Debug, PartialEq)]
pub struct MovieConfig {
    pub video: Option<VideoConfig>,
    pub audio: Option<AudioSetup>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct VideoConfig {
    pub size: Size,
    /// Ticks a second, 1 to 1,000.
    pub frame_rate: u32,
    /// `AVCDecoderConfigurationRecord`.
    pub avcc: Bytes,
}

/// Length of a tick in the video track's timescale. At 30 ticks a second the timescale is 15,360 Hz, as with
/// most muxers. A tick is a whole number of units, and so are its halves.
const TICK: u32 = 512;
/// Up to here no count of time units comes near its limit.
const MAX_FRAME_RATE: u32 = 1000;
/// PCM samples in one AAC-LC access unit (ISO/IEC 14496-3, frameLengthFlag 0).
pub const AAC_FRAME: u32 = 1024;

const BOTH: [StreamKind; 2] = [StreamKind::Video, StreamKind::Audio];

impl MovieConfig {
    /// For streams with this setup. Size and frame rate are those of the video, if there is one.
    pub fn new(size: Size, frame_rate: u32, setup: StreamSetup) -> Self {
        let StreamSetup { avcc, audio } = setup;
        Self { video: avcc.map(|avcc| VideoConfig { size, frame_rate, avcc }), audio }
    }

    fn has(&self, stream: StreamKind) -> bool {
        match stream {
            StreamKind::Video => self.video.is_some(),
            StreamKind::Audio => self.audio.is_some(),
        }
    }

    /// Returns the ticks a second. Without video any number would do; then a tick is one PCM sample.
    fn frame_rate(&self) -> u32 {
        self.video.as_ref().map_or(AUDIO_RATE, |video| video.frame_rate)
    }

    /// Returns the number of PCM samples in front of the first real one.
    fn priming(&self) -> u32 {
        self.audio.as_ref().map_or(0, |audio| audio.priming)
    }

    /// Returns the units a second of a track's own time.
    fn timescale(&self, stream: StreamKind) -> u32 {
        match stream {
            StreamKind::Video => self.frame_rate() * TICK,
            StreamKind::Audio => AUDIO_RATE,
        }
    }

    /// Returns the units a second of the whole file's time: the fewest in which both a tick and a PCM sample
    /// are whole numbers (48,000 at every usual frame rate), so that durations are exact.
    fn movie_timescale(&self) -> u32 {
        let frame_rate = self.frame_rate();
        AUDIO_RATE / greatest_common_divisor(AUDIO_RATE, frame_rate) * frame_rate
    }
}

const fn track_id(stream: StreamKind) -> u32 {
    match stream {
        StreamKind::Video => 1,
        StreamKind::Audio => 2,
    }
}

/// Returns the duration of each sample of a stream in its track's timescale.
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
    use std::time::Duration;

    use mp4_atom::{Atom, Decode, Ftyp, Moov};

    use super::testing::{config_at, config_of, object, pieces_with, read, recording};
    use super::*;
    use crate::media::Streams;

    /// Returns the `moov` of a finished object, as a player reads it.
    fn moov(object: &[u8]) -> Moov {
        let mut rest = object;
        Ftyp::decode(&mut rest).expect("an ftyp");
        Moov::decode(&mut rest).unwrap_or_else(|error| panic!("no {}: {error}", Moov::KIND))
    }

    #[test]
    fn a_recording_of_one_stream_is_read_back_and_its_file_has_one_track() {
        // In PCM samples: both forms have 48,000 units of movie time a second.
        for (stream, duration, samples) in
            [(StreamKind::Video, 3 * 48_000, 90), (StreamKind::Audio, 140 * 1024, 141)]
        {
            let pieces = pieces_with(stream, &recording(90, 30));
            assert!(pieces.len() > 9, "{} fragments", pieces.len() - 1);
            let spool = pieces.concat();
            let (_, index) = read(&spool);
            assert_eq!(index.config, config_of(stream));
            let lasts = Duration::from_nanos(duration * 1_000_000_000 / 48_000);
            assert_eq!((index.duration(), index.is_empty()), (lasts, false));
            let moov = moov(&object(&spool));
            assert_eq!(moov.trak.len(), 1);
            assert_eq!(moov.trak[0].tkhd.track_id, track_id(stream));
            assert_eq!(moov.trak[0].mdia.minf.stbl.stts.entries[0].sample_count, samples);
            assert_eq!(moov.mvhd.duration, duration);
        }
    }

    #[test]
    fn nothing_but_priming_is_no_recording() {
        let samples = &recording(1, 1);
        let of = |samples| read(&pieces_with(StreamKind::Audio, samples).concat()).1;
        assert!(of(&[]).is_empty() && of(&samples[..2]).is_empty());
        assert!(!of(samples).is_empty());
    }

    #[test]
    fn a_stream_that_the_moov_does_not_have_is_a_fault() {
        let [sound, both] = [pieces_with(StreamKind::Audio, &[]), testing::pieces(&recording(20, 10))];
        let mut reader = SpoolReader::new();
        let fault = reader.feed(&[&sound[0][..], &both[1]].concat()).expect_err("pictures from nowhere");
        assert!(matches!(fault, Mp4Error::Malformed { .. }), "{fault}");
    }

    #[test]
    fn where_there_are_no_pictures_the_sound_says_how_many_ticks_there_are() {
        let position = SpoolPosition { audio_frames: 47, ..SpoolPosition::default() };
        assert_eq!(position.whole_ticks(Streams::AudioOnly, 30), 30);
        assert_eq!(position.whole_ticks(Streams::Both, 30), 0);
    }

    #[test]
    fn a_tick_and_a_pcm_sample_are_whole_numbers_of_movie_time() {
        for (frame_rate, expected) in [(30, 48_000), (25, 48_000), (60, 48_000), (7, 336_000)] {
            assert_eq!(config_at(frame_rate).movie_timescale(), expected, "{frame_rate} a second");
        }
    }
}
