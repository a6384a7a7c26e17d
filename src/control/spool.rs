//! Reads the growing spool file of one recording: follows its fragments, gives out its media.
//!
//! Does not upload and does not decide what is final: it is told how far it may read. Contract: a
//! byte is parsed once; media is read from the file again when it is asked for, never kept.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use memmap2::MmapMut;

use super::media_map::MediaMap;
use crate::mp4::{Index, MediaRange, Mp4Error, SpoolReader};

/// How much is parsed in one step: two seconds of video at the default bit rate.
const CHUNK_BYTES: u64 = 1024 * 1024;

/// How far the spool may be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// The worker is still writing; so many bytes will never change.
    Growing(u64),
    /// Nobody writes any more: up to the end of the file.
    Whole,
}

/// Whether all of the spool could be read as what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    Sound,
    /// What is behind the first fault is lost.
    Damaged,
}

pub struct Spool {
    path: PathBuf,
    reader: SpoolReader,
    parsed: u64,
    condition: Condition,
    media: MediaSource,
}

/// A spool that was read to its end.
pub struct WholeSpool {
    pub index: Index,
    pub condition: Condition,
    pub media: MediaSource,
}

/// The media of a spool, to be read in any order.
#[derive(Default)]
pub struct MediaSource {
    file: Option<Arc<File>>,
    map: MediaMap,
}

impl Spool {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            reader: SpoolReader::new(),
            parsed: 0,
            condition: Condition::Sound,
            media: MediaSource::default(),
        }
    }

    pub fn media(&self) -> &MediaSource {
        &self.media
    }

    /// Parses the next chunk: how much media became whole by it, in bytes, or `None` where there is
    /// nothing more to be read within `extent`.
    pub async fn parse_next(&mut self, extent: Extent) -> io::Result<Option<u64>> {
        let left = match extent {
            Extent::Growing(end) => end.saturating_sub(self.parsed),
            Extent::Whole => u64::MAX,
        };
        if left == 0 || self.condition == Condition::Damaged {
            return Ok(None);
        }
        let Some(file) = self.open().await? else {
            return Ok(None);
        };
        let (offset, len) = (self.parsed, left.min(CHUNK_BYTES));
        let bytes = blocking(move || read_up_to(&file, offset, len)).await?;
        if bytes.is_empty() {
            return Ok(None);
        }
        self.parsed += bytes.len() as u64;
        Ok(Some(self.parse(&bytes)))
    }

    pub fn finish(self) -> Result<WholeSpool, Mp4Error> {
        Ok(WholeSpool { index: self.reader.finish()?, condition: self.condition, media: self.media })
    }

    fn parse(&mut self, bytes: &[u8]) -> u64 {
        let before = self.media.len();
        match self.reader.feed(bytes) {
            Ok(ranges) => ranges.into_iter().for_each(|range| self.media.map.add(range)),
            Err(error) => {
                tracing::error!(%error, spool = %self.path.display(), "the spool is damaged");
                self.condition = Condition::Damaged;
            }
        }
        self.media.len() - before
    }

    /// The file, once the worker has created it.
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
    /// Bytes of media so far.
    pub fn len(&self) -> u64 {
        self.map.len()
    }

    /// These bytes of the media, behind `front`. The one place where a part is in memory: in pages of its own, which
    /// go back to the system with it. glibc would keep what was once a part for good.
    pub async fn read(&self, media: &Range<u64>, front: &[u8]) -> io::Result<Bytes> {
        let (Some(file), places) = (self.file.clone(), self.map.locate(media)) else {
            return Ok(Bytes::copy_from_slice(front));
        };
        let len = front.len() + places.iter().map(|place| place.len as usize).sum::<usize>();
        if len == 0 {
            return Ok(Bytes::new());
        }
        let mut pages = MmapMut::map_anon(len)?;
        pages[..front.len()].copy_from_slice(front);
        let mut filled = front.len();
        blocking(move || {
            for MediaRange { offset, len } in places {
                let end = filled + len as usize;
                file.read_exact_at(&mut pages[filled..end], offset)?;
                filled = end;
            }
            Ok(Bytes::from_owner(pages))
        })
        .await
    }
}

fn read_up_to(file: &File, offset: u64, len: u64) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; len as usize];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(more) => read += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// Runs file work where it may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(aborted) => Err(io::Error::other(aborted)),
    }
}
