//! The index of a recording: what a `moov` says about the samples, without the samples themselves. About 4
//! bytes a sample: little more than 1 MiB for an hour.

use std::time::Duration;

use super::{AAC_FRAME, MovieConfig, sample_duration};
use crate::media::{AUDIO_RATE, StreamKind};

/// The samples of all whole fragments of a spool, in order.
#[derive(Clone, Debug, PartialEq)]
pub struct Index {
    pub(super) config: MovieConfig,
    pub(super) video: Samples,
    pub(super) audio: Samples,
    media_len: u64,
}

/// One track's samples.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Samples {
    /// The size of each sample in bytes.
    pub sizes: Vec<u32>,
    /// Numbers of the video samples at which a decoder can start, the first sample being 1.
    pub keyframes: Vec<u32>,
    /// Each fragment's run of samples.
    pub chunks: Vec<Chunk>,
}

/// Consecutive samples of one track that are stored together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chunk {
    /// The offset of the first byte, counted from the first media byte of the recording.
    pub offset: u64,
    pub samples: u32,
}

/// One track's part of a fragment, as its `moof` describes it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    pub stream: StreamKind,
    /// Decode time of the first sample in the track's timescale.
    pub start: u64,
    /// The offset of the first byte, counted from the first byte of the `moof`.
    pub data_offset: i32,
    pub sizes: Vec<u32>,
    /// Positions in `sizes` of the video samples at which a decoder can start.
    pub keyframes: Vec<u32>,
}

impl Index {
    pub(super) fn new(config: MovieConfig) -> Self {
        Self { config, video: Samples::default(), audio: Samples::default(), media_len: 0 }
    }

    /// Returns whether there is nothing to make a recording of: no picture, or no sound in a recording of
    /// sound only.
    pub fn is_empty(&self) -> bool {
        self.presented(self.leader()) == 0
    }

    /// Returns the number of video frames, each one tick long.
    pub fn frames(&self) -> u64 {
        self.video.sizes.len() as u64
    }

    /// Returns the duration of the recording: that of the video track, or of the sound if there is no video.
    pub fn duration(&self) -> Duration {
        let (presented, scale) = (self.presented(self.leader()), u64::from(self.config.movie_timescale()));
        let whole = Duration::from_secs(presented / scale);
        whole + Duration::from_nanos(presented % scale * 1_000_000_000 / scale)
    }

    /// Returns the stream that determines the duration of the recording.
    pub(super) fn leader(&self) -> StreamKind {
        if self.config.video.is_some() { StreamKind::Video } else { StreamKind::Audio }
    }

    /// Returns the size of all samples in bytes: what follows the head in the object.
    pub fn media_len(&self) -> u64 {
        self.media_len
    }

    pub(super) fn samples(&self, stream: StreamKind) -> &Samples {
        match stream {
            StreamKind::Video => &self.video,
            StreamKind::Audio => &self.audio,
        }
    }

    /// Returns how much of a track is seen or heard, in the movie's timescale. The sound counts without its
    /// priming, and never longer than the video, if there is one.
    pub(super) fn presented(&self, stream: StreamKind) -> u64 {
        let scale = u64::from(self.config.movie_timescale());
        let seen = self.frames() * (scale / u64::from(self.config.frame_rate()));
        match stream {
            StreamKind::Video => seen,
            StreamKind::Audio => {
                let pcm = self.audio.sizes.len() as u64 * u64::from(AAC_FRAME);
                let heard = pcm.saturating_sub(u64::from(self.config.priming()));
                let heard = heard * (scale / u64::from(AUDIO_RATE));
                if self.config.video.is_some() { seen.min(heard) } else { heard }
            }
        }
    }

    /// Adds the samples of a fragment whose media is complete. The runs follow one another in the media.
    pub(super) fn append(&mut self, runs: Vec<Run>) {
        for run in runs {
            let len = run.len();
            let samples = match run.stream {
                StreamKind::Video => &mut self.video,
                StreamKind::Audio => &mut self.audio,
            };
            samples.append(run, self.media_len);
            self.media_len += len;
        }
    }
}

impl Samples {
    /// More samples would not fit the 32-bit length of a `moov`: 100 days of video at 30 frames a second.
    pub const MAX: usize = 1 << 28;

    /// Returns the decode time after the last sample, in the track's timescale.
    pub fn end(&self, stream: StreamKind) -> u64 {
        self.sizes.len() as u64 * u64::from(sample_duration(stream))
    }

    fn append(&mut self, run: Run, offset: u64) {
        // Sample numbers count from 1 (ISO/IEC 14496-12, 8.6.2.3).
        let first = self.sizes.len() as u32 + 1;
        self.keyframes.extend(run.keyframes.iter().map(|k| first + k));
        self.chunks.push(Chunk { offset, samples: run.sizes.len() as u32 });
        self.sizes.extend(run.sizes);
    }
}

impl Run {
    /// Returns the size of all its samples in bytes.
    pub fn len(&self) -> u64 {
        self.sizes.iter().copied().map(u64::from).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mp4::testing::{config, index};

    #[test]
    fn an_index_without_a_picture_is_empty_even_with_sound() {
        assert!(Index::new(config()).is_empty());
        assert!(index(0, 40).is_empty());
        assert!(!index(1, 0).is_empty());
    }

    #[test]
    fn the_duration_is_that_of_the_frames() {
        assert_eq!(index(0, 0).duration(), Duration::ZERO);
        assert_eq!(index(45, 0).duration(), Duration::from_millis(1500));
        assert_eq!(index(1, 900).duration(), Duration::from_nanos(33_333_333));
        assert_eq!(index(3600 * 30, 0).duration(), Duration::from_secs(3600));
    }

    #[test]
    fn sound_beyond_the_picture_is_not_presented() {
        let index = index(30, 100);
        assert_eq!(index.presented(StreamKind::Video), 48_000);
        assert_eq!(index.presented(StreamKind::Audio), 48_000);
    }

    #[test]
    fn sound_that_ends_early_is_presented_without_its_priming() {
        let index = index(30, 10);
        let priming = u64::from(index.config.priming());
        assert_eq!(index.presented(StreamKind::Audio), 10 * 1024 - priming);
    }
}
