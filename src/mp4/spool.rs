//! The service's side: follows a growing spool and indexes its whole fragments.
//!
//! Contract: the result does not depend on how the spool is cut into chunks, and an incomplete fragment does
//! not count. Whatever the bytes are, memory holds only the index and one small box. Media bytes are only
//! counted: a caller who needs only the position or the index need not read them.

use mp4_atom::{Atom, Ftyp, Mdat, Moof, Moov};
use serde::{Deserialize, Serialize};

use super::error::Mp4Error;
use super::framing::Framing;
use super::index::{Index, Run, Samples};
use super::{AAC_FRAME, MovieConfig, parse, track_id};
use crate::media::{AUDIO_RATE, StreamKind, Streams};

/// A range of the spool that contains only media.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpoolRange {
    pub offset: u64,
    pub len: u64,
}

/// Where the last whole fragment of a spool ends, and what is before that position. All 0 if not even the
/// `moov` is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SpoolPosition {
    pub bytes: u64,
    /// How many video samples there are. 0 in a recording without video: see [`SpoolPosition::whole_ticks`].
    pub ticks: u64,
    /// How many AAC access units there are.
    pub audio_frames: u64,
    pub fragments: u32,
    /// The offset of the `moof` of the fragment with the last keyframe.
    pub keyframe_fragment: Option<u64>,
}

impl SpoolPosition {
    /// Returns how many whole ticks there are, in a recording with this frame rate. Without video, the sound
    /// determines the number.
    pub fn whole_ticks(&self, streams: Streams, frame_rate: u32) -> u64 {
        match streams {
            Streams::Both | Streams::VideoOnly => self.ticks,
            Streams::AudioOnly => {
                let pcm = self.audio_frames.saturating_mul(u64::from(AAC_FRAME));
                pcm.saturating_mul(u64::from(frame_rate)) / u64::from(AUDIO_RATE)
            }
        }
    }
}

/// Reads a spool from its first byte on, while it is written or after a crash.
#[derive(Debug)]
pub struct SpoolReader {
    framing: Framing,
    stage: Stage,
}

/// Which part of the spool comes next.
#[derive(Debug)]
enum Stage {
    FileType,
    Movie,
    Fragments { index: Box<Index>, position: SpoolPosition, part: Part },
}

#[derive(Debug)]
enum Part {
    Moof,
    /// Before the header of the `mdat` that belongs to the runs of the `moof` at this offset.
    MdatHeader {
        moof: u64,
        runs: Vec<Run>,
    },
    Media {
        moof: u64,
        runs: Vec<Run>,
        range: SpoolRange,
    },
}

enum Step {
    /// The next part needs more bytes.
    Starved,
    Advanced,
    Whole(SpoolRange),
}

impl Default for SpoolReader {
    fn default() -> Self {
        Self::new()
    }
}

impl SpoolReader {
    pub fn new() -> Self {
        Self { framing: Framing::default(), stage: Stage::FileType }
    }

    /// Takes the next bytes of the spool; returns the media of the fragments that these bytes completed, in
    /// the order of the object.
    ///
    /// Ranges come before faults: if a chunk completes fragments and then has a fault, this call returns the
    /// ranges and the next call returns the fault. A fault stays. After it [`finish`](Self::finish) still
    /// returns all fragments whose ranges were returned.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<SpoolRange>, Mp4Error> {
        let mut ranges = Vec::new();
        loop {
            match self.step(&mut bytes) {
                Ok(Step::Starved) => return Ok(ranges),
                Ok(Step::Advanced) => {}
                Ok(Step::Whole(range)) => ranges.push(range),
                Err(fault) if ranges.is_empty() => return Err(fault),
                Err(_) => return Ok(ranges),
            }
        }
    }

    /// Returns how many of the next bytes are media. They need not be fed: [`skip`](Self::skip) does as well.
    pub fn media_ahead(&self) -> u64 {
        match &self.stage {
            Stage::Fragments { part: Part::Media { range, .. }, .. } => {
                range.offset + range.len - self.framing.position()
            }
            Stage::FileType | Stage::Movie | Stage::Fragments { .. } => 0,
        }
    }

    /// Skips the next `len` bytes of the spool, but no more than are [media](Self::media_ahead); returns the
    /// media of the completed fragments.
    pub fn skip(&mut self, len: u64) -> Result<Vec<SpoolRange>, Mp4Error> {
        self.framing.skip(len.min(self.media_ahead()));
        self.feed(&[])
    }

    /// Returns the offset of the next byte that the reader needs.
    pub fn needs(&self) -> u64 {
        self.framing.position()
    }

    /// Returns the content of the `moov`, once it is complete.
    pub fn config(&self) -> Option<&MovieConfig> {
        match &self.stage {
            Stage::FileType | Stage::Movie => None,
            Stage::Fragments { index, .. } => Some(&index.config),
        }
    }

    /// Returns where the last whole fragment ends.
    pub fn position(&self) -> SpoolPosition {
        match &self.stage {
            Stage::FileType | Stage::Movie => SpoolPosition::default(),
            Stage::Fragments { position, .. } => *position,
        }
    }

    fn step(&mut self, bytes: &mut &[u8]) -> Result<Step, Mp4Error> {
        let framing = &mut self.framing;
        match &mut self.stage {
            Stage::FileType => {
                if framing.collect(Ftyp::KIND, bytes)?.is_none() {
                    return Ok(Step::Starved);
                }
                self.stage = Stage::Movie;
            }
            Stage::Movie => {
                let Some(moov) = framing.collect(Moov::KIND, bytes)? else {
                    return Ok(Step::Starved);
                };
                let config =
                    parse::movie_config(moov).map_err(|source| framing.malformed(Moov::KIND, source))?;
                let position = SpoolPosition { bytes: framing.position(), ..SpoolPosition::default() };
                self.stage =
                    Stage::Fragments { index: Box::new(Index::new(config)), position, part: Part::Moof };
            }
            Stage::Fragments { index, position, part } => {
                return part.step(framing, (index, position), bytes);
            }
        }
        framing.pass();
        Ok(Step::Advanced)
    }

    /// Returns the index of all whole fragments. Fails only if the spool ends before its `moov` does, that
    /// is, before there can be a fragment.
    pub fn finish(self) -> Result<Index, Mp4Error> {
        match self.stage {
            Stage::FileType | Stage::Movie => Err(Mp4Error::NoMovie { len: self.framing.position() }),
            Stage::Fragments { index, .. } => Ok(*index),
        }
    }
}

impl Part {
    fn step(
        &mut self,
        framing: &mut Framing,
        (index, position): (&mut Index, &mut SpoolPosition),
        bytes: &mut &[u8],
    ) -> Result<Step, Mp4Error> {
        match self {
            Self::Moof => {
                let moof = framing.offset();
                let Some(body) = framing.collect(Moof::KIND, bytes)? else {
                    return Ok(Step::Starved);
                };
                let runs = parse::runs(body).map_err(|source| framing.malformed(Moof::KIND, source))?;
                check_continuity(index, moof, &runs)?;
                framing.pass();
                *self = Self::MdatHeader { moof, runs };
            }
            Self::MdatHeader { moof, runs } => {
                let Some(len) = framing.header(Mdat::KIND, bytes)? else {
                    return Ok(Step::Starved);
                };
                check_media(framing.offset(), len, runs)?;
                let offset = framing.position();
                check_places(*moof, offset, runs)?;
                framing.pass();
                let range = SpoolRange { offset, len };
                *self = Self::Media { moof: *moof, runs: std::mem::take(runs), range };
            }
            Self::Media { moof, runs, range } => {
                let end = range.offset + range.len;
                if !framing.skip_to(end, bytes) {
                    return Ok(Step::Starved);
                }
                let whole = Step::Whole(*range);
                let has_keyframe = runs.iter().any(|run| !run.keyframes.is_empty());
                index.append(std::mem::take(runs));
                *position = SpoolPosition {
                    bytes: end,
                    ticks: index.frames(),
                    audio_frames: index.samples(StreamKind::Audio).sizes.len() as u64,
                    fragments: position.fragments.wrapping_add(1),
                    keyframe_fragment: if has_keyframe { Some(*moof) } else { position.keyframe_fragment },
                };
                *self = Self::Moof;
                return Ok(whole);
            }
        }
        Ok(Step::Advanced)
    }
}

/// The finished file gives every sample of a track the same duration, so none may be missing.
fn check_continuity(index: &Index, offset: u64, runs: &[Run]) -> Result<(), Mp4Error> {
    for run in runs {
        if !index.config.has(run.stream) {
            let source = mp4_atom::Error::Unsupported("a run of a track that the moov does not have");
            return Err(Mp4Error::Malformed { offset, kind: Moof::KIND, source });
        }
        let samples = index.samples(run.stream);
        if samples.end(run.stream) != run.start {
            return Err(Mp4Error::Gap {
                offset,
                track_id: track_id(run.stream),
                found: run.start,
                expected: samples.end(run.stream),
            });
        }
        if samples.sizes.len() + run.sizes.len() > Samples::MAX {
            return Err(Mp4Error::Malformed {
                offset,
                kind: Moof::KIND,
                source: mp4_atom::Error::TooLarge(Moov::KIND),
            });
        }
    }
    Ok(())
}

/// Checks that the media contains only samples.
fn check_media(offset: u64, found: u64, runs: &[Run]) -> Result<(), Mp4Error> {
    let expected = runs.iter().map(Run::len).sum();
    if found != expected {
        return Err(Mp4Error::MediaLength { offset, found, expected });
    }
    Ok(())
}

/// Checks that the runs follow one another from the start of the media on.
fn check_places(moof: u64, media: u64, runs: &[Run]) -> Result<(), Mp4Error> {
    let mut expected = media - moof;
    for run in runs {
        if u64::try_from(run.data_offset) != Ok(expected) {
            return Err(Mp4Error::Misplaced {
                offset: moof,
                track_id: track_id(run.stream),
                found: run.data_offset,
                expected,
            });
        }
        expected += run.len();
    }
    Ok(())
}

#[cfg(test)]
mod tests;
