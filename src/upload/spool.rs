//! Reads the growing spool of one recording: finds its fragments, and returns its media.
//!
//! Does not upload, and does not decide which bytes are final: the extent says how far it may read. Contract:
//! each box is parsed once. Media is skipped, read from the file when it is needed, and never kept.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use super::media_map::MediaMap;
use crate::mp4::{Index, Mp4Error, SpoolRange, SpoolReader};
use crate::storage::Source;

/// A `moof` with the header of its media is a tenth of this.
const READ_BYTES: u64 = 4096;
/// How much media is found in one step at most: two seconds of video at the default bit rate.
const STEP_BYTES: u64 = 1024 * 1024;

/// How far the spool may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The worker is still writing. The value is the number of final bytes.
    Growing(u64),
    /// Nobody writes any more: the file may be read to its end.
    Whole,
}

/// Whether the whole spool could be parsed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Sound,
    /// Everything after the first fault is lost.
    Damaged,
}

pub struct Spool {
    path: PathBuf,
    reader: SpoolReader,
    condition: Condition,
    media: MediaSource,
}

/// A spool that was parsed to its end.
pub struct WholeSpool {
    pub index: Index,
    pub condition: Condition,
    pub media: MediaSource,
}

/// The media of a spool. It can be read in any order.
#[derive(Default)]
pub struct MediaSource {
    file: Option<Arc<File>>,
    map: MediaMap,
}

impl Spool {
    pub fn new(path: PathBuf) -> Self {
        Self { path, reader: SpoolReader::new(), condition: Condition::Sound, media: MediaSource::default() }
    }

    pub fn media(&self) -> &MediaSource {
        &self.media
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Parses the next boxes. Returns how many bytes of media they completed; `None` if there is nothing more
    /// to parse within `extent`.
    pub async fn parse_next(&mut self, extent: Extent) -> io::Result<Option<u64>> {
        let Some(file) = self.open().await? else {
            return Ok(None);
        };
        let before = self.media.len();
        let mut read = false;
        while self.media.len() - before < STEP_BYTES {
            match self.read_boxes(&file, extent).await {
                Ok(true) => read = true,
                Ok(false) => break,
                // The boxes before the fault count. If the fault persists, the next call returns it.
                Err(_) if read => break,
                Err(error) => return Err(error),
            }
        }
        Ok(read.then(|| self.media.len() - before))
    }

    pub fn finish(self) -> Result<WholeSpool, Mp4Error> {
        Ok(WholeSpool { index: self.reader.finish()?, condition: self.condition, media: self.media })
    }

    /// Parses from the next needed byte on, and skips the media after it. Returns whether there was anything
    /// to parse.
    async fn read_boxes(&mut self, file: &Arc<File>, extent: Extent) -> io::Result<bool> {
        if self.condition == Condition::Damaged {
            return Ok(false);
        }
        let (file, at) = (Arc::clone(file), self.reader.needs());
        let (end, bytes) = blocking(move || {
            let len = file.metadata()?.len();
            let end = match extent {
                Extent::Growing(end) => end.min(len),
                Extent::Whole => len,
            };
            let mut bytes = vec![0; end.saturating_sub(at).min(READ_BYTES) as usize];
            let read = read_up_to(&file, at, &mut bytes)?;
            bytes.truncate(read);
            Ok((end, bytes))
        })
        .await?;
        if bytes.is_empty() {
            return Ok(false);
        }
        let found = self.reader.feed(&bytes);
        self.take(found);
        let passed = self.reader.skip(end.saturating_sub(self.reader.needs()));
        self.take(passed);
        Ok(true)
    }

    fn take(&mut self, found: Result<Vec<SpoolRange>, Mp4Error>) {
        match found {
            Ok(ranges) => ranges.into_iter().for_each(|range| self.media.map.add(range)),
            Err(_) if self.condition == Condition::Damaged => {}
            Err(error) => {
                tracing::error!(%error, spool = %self.path.display(), "the spool is damaged");
                self.condition = Condition::Damaged;
            }
        }
    }

    /// Returns the file; `None` if the worker has not created it yet.
    async fn open(&mut self) -> io::Result<Option<Arc<File>>> {
        if self.media.file.is_none() {
            let path = self.path.clone();
            self.media.file = match blocking(move || File::open(path)).await {
                Ok(file) => Some(Arc::new(file)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(error),
            };
        }
        Ok(self.media.file.clone())
    }
}

impl MediaSource {
    /// Returns the bytes of media so far.
    pub fn len(&self) -> u64 {
        self.map.len()
    }

    /// Returns a source of `front` and then these bytes of the media. They are read when they are sent.
    pub fn part(&self, front: Bytes, media: &Range<u64>) -> Arc<dyn Source> {
        let mut places = MediaMap::default();
        self.map.locate(media).into_iter().for_each(|place| places.add(place));
        Arc::new(PartSource { front, file: self.file.clone(), places })
    }

    /// Returns the ranges of the spool that hold these bytes of the media.
    pub fn places(&self, media: &Range<u64>) -> Vec<SpoolRange> {
        self.map.locate(media)
    }

    /// Returns the bytes of media in all fragments but the last `fragments`.
    pub fn len_without_last(&self, fragments: usize) -> u64 {
        self.map.len_without_last(fragments)
    }
}

/// The bytes of a part. Each call reads the media from the spool again.
struct PartSource {
    front: Bytes,
    file: Option<Arc<File>>,
    places: MediaMap,
}

impl Source for PartSource {
    fn size(&self) -> u64 {
        self.front.len() as u64 + self.places.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let front = usize::try_from(offset).ok().and_then(|at| self.front.get(at..)).unwrap_or_default();
        let (in_front, in_media) = buf.split_at_mut(front.len().min(buf.len()));
        in_front.copy_from_slice(&front[..in_front.len()]);
        let start = offset.saturating_sub(self.front.len() as u64);
        let places = self.places.locate(&(start..start + in_media.len() as u64));
        let mut filled = 0;
        for SpoolRange { offset, len } in places {
            let end = filled + len as usize;
            let file = self.file.as_ref().ok_or(io::ErrorKind::NotFound)?;
            file.read_exact_at(&mut in_media[filled..end], offset)?;
            filled = end;
        }
        match filled == in_media.len() {
            true => Ok(()),
            false => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// Fills `buffer` from byte `at` of the file on. Returns how many bytes it has read: fewer than the buffer
/// holds only at the end of the file.
pub fn read_up_to(file: &File, at: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], at + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// Runs file access on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(aborted) => Err(io::Error::other(aborted)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_reads_as_its_front_and_its_media_wherever_the_reading_begins(
            front in prop::collection::vec(any::<u8>(), 0..20),
            fragments in prop::collection::vec((1..30_u64, 0..9_u64), 1..12),
            cut in (0..100_u64, 0..100_u64),
            read in (0..100_u64, 0..60_u64),
        ) {
            // A spool in which each byte depends on its position, with gaps between the media.
            let mut media = MediaSource::default();
            let (mut place, mut bytes) = (0, Vec::new());
            for (len, gap) in fragments {
                media.map.add(SpoolRange { offset: place + gap, len });
                bytes.extend((place + gap..place + gap + len).map(|at| at as u8));
                place += gap + len;
            }
            let mut file = tempfile::tempfile().unwrap();
            let spool: Vec<u8> = (0..place).map(|at| at as u8).collect();
            io::Write::write_all(&mut file, &spool).unwrap();
            media.file = Some(Arc::new(file));

            let start = cut.0.min(media.len());
            let range = start..(start + cut.1).min(media.len());
            let part = media.part(front.clone().into(), &range);
            let expected = [&front[..], &bytes[range.start as usize..range.end as usize]].concat();
            prop_assert_eq!(part.size(), expected.len() as u64);
            let from = read.0.min(part.size());
            let mut found = vec![0; read.1.min(part.size() - from) as usize];
            part.read_at(from, &mut found).unwrap();
            prop_assert_eq!(&found, &expected[from as usize..][..found.len()]);
            prop_assert!(part.read_at(part.size(), &mut [0]).is_err());
        }
    }
}
