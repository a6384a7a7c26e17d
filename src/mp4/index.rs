//! All samples of a recording, as the final file's tables will list them.

use std::time::Duration;

use mp4_atom::{Codec, Moov};

use super::error::Mp4Error;
use super::head;
use super::tracks::{AUDIO_TRACK, PICTURE_UNITS, VIDEO_TRACK};
use crate::media::Size;

/// What the spool's header says about the whole file.
pub(super) struct Movie {
    pub size: Size,
    pub frame_rate: u32,
    pub audio_priming: u32,
    pub video_entry: Codec,
    pub audio_entry: Codec,
}

/// Consecutive samples of one track that lie together: a chunk of the final file.
pub(super) struct Run {
    pub video: bool,
    /// Bytes of each sample.
    pub sizes: Vec<u32>,
    /// Which samples are keyframes, counted from the run's first.
    pub keyframes: Vec<u32>,
}

/// The samples of all whole fragments.
pub struct Index {
    movie: Movie,
    runs: Vec<Run>,
}

impl Index {
    pub(super) fn new(movie: Movie, runs: Vec<Run>) -> Self {
        Self { movie, runs }
    }

    #[cfg(test)]
    pub(super) fn with_runs(self, runs: Vec<Run>) -> Self {
        Self { runs, ..self }
    }

    /// Whether there is no picture.
    pub fn is_empty(&self) -> bool {
        self.frames() == 0
    }

    /// Number of pictures.
    pub fn frames(&self) -> u64 {
        self.runs.iter().filter(|r| r.video).map(|r| r.sizes.len() as u64).sum()
    }

    /// How long the pictures last; the sound is cut to that.
    pub fn duration(&self) -> Duration {
        let frame_rate = f64::from(self.movie.frame_rate);
        Duration::from_secs_f64(self.frames() as f64 / frame_rate)
    }

    /// Bytes of all media ranges together.
    pub fn media_len(&self) -> u64 {
        self.runs.iter().flat_map(|r| &r.sizes).copied().map(u64::from).sum()
    }

    /// `ftyp`, `moov` and the header of the one `mdat`. With all media ranges behind it, in their order,
    /// it is a whole MP4.
    pub fn head(&self) -> Result<Vec<u8>, Mp4Error> {
        head::build(&self.movie, &self.runs, self.media_len())
    }
}

impl Movie {
    pub(super) fn from_spool(moov: &Moov) -> Result<Self, Mp4Error> {
        let wrong = |reason| Mp4Error::NotASpool { reason };
        let track = |id| moov.trak.iter().find(|t| t.tkhd.track_id == id);
        let video = track(VIDEO_TRACK).ok_or(wrong("it has no video track"))?;
        let audio = track(AUDIO_TRACK).ok_or(wrong("it has no audio track"))?;
        let video_entry = video.mdia.minf.stbl.stsd.codecs.first().ok_or(wrong("its video has no codec"))?;
        let audio_entry = audio.mdia.minf.stbl.stsd.codecs.first().ok_or(wrong("its audio has no codec"))?;
        let visual = video_entry.visual().ok_or(wrong("its video has no size"))?;
        let edits = audio.edts.as_ref().and_then(|e| e.elst.as_ref()).map(|e| &e.entries[..]);
        let priming = edits.and_then(|e| e.first()).and_then(|e| e.media_time).unwrap_or(0);
        let frame_rate = video.mdia.mdhd.timescale / PICTURE_UNITS;
        if frame_rate == 0 {
            return Err(wrong("its video has no frame rate"));
        }
        Ok(Self {
            size: Size { width: visual.width.into(), height: visual.height.into() },
            frame_rate,
            audio_priming: u32::try_from(priming).map_err(|_| wrong("its audio begins too late"))?,
            video_entry: video_entry.clone(),
            audio_entry: audio_entry.clone(),
        })
    }
}
