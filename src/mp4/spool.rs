//! The service's side: a spool that grows, or that a crash left behind, to an index.

use mp4_atom::{Atom, Buf, DecodeAtom, FourCC, Header, Moof, Moov, Trun};

use super::error::Mp4Error;
use super::index::{Index, Movie, Run};
use super::tracks::VIDEO_TRACK;

/// A fragment's index has some ten bytes a sample. What claims more is not ours, and is not buffered.
const MAX_BOX_BYTES: u64 = 1 << 20;
const HEADER_BYTES: usize = 8;

/// Media in the spool: part of the object, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaRange {
    /// Bytes from the spool's beginning.
    pub offset: u64,
    pub len: u64,
}

/// Reads a spool's bytes in the order in which they come, in pieces of any size. It keeps the samples'
/// sizes, not their data.
#[derive(Default)]
pub struct SpoolReader {
    /// Bytes taken out of `pending` so far, media that was skipped included.
    position: u64,
    /// The beginning of a box that is not whole yet.
    pending: Vec<u8>,
    movie: Option<Movie>,
    expected: Expected,
    index: Vec<Run>,
}

#[derive(Default)]
enum Expected {
    #[default]
    Box,
    /// The fragment whose index was read: its media box.
    Mdat(Fragment),
    /// Its media, of which `left` bytes have not come.
    Media { fragment: Fragment, range: MediaRange, left: u64 },
}

struct Fragment {
    /// Where its `moof` begins.
    offset: u64,
    runs: Vec<(Run, u64)>,
}

impl SpoolReader {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next bytes; answers with the media of the fragments that became whole by them.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<Vec<MediaRange>, Mp4Error> {
        let mut whole = Vec::new();
        loop {
            if let Expected::Media { .. } = self.expected {
                let Some(range) = self.skip_media(&mut bytes) else { return Ok(whole) };
                whole.push(range);
            }
            let needed = self.needed()?.saturating_sub(self.pending.len());
            let (now, later) = bytes.split_at(needed.min(bytes.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if now.len() < needed {
                return Ok(whole);
            }
            self.take_box()?;
        }
    }

    /// Whatever came after the last whole fragment is left out.
    pub fn finish(self) -> Result<Index, Mp4Error> {
        let movie = self.movie.ok_or(Mp4Error::NotASpool { reason: "it has no whole header" })?;
        Ok(Index::new(movie, self.index))
    }

    /// How many bytes `pending` must have for the next step: a header, then its box.
    fn needed(&self) -> Result<usize, Mp4Error> {
        if self.pending.len() < HEADER_BYTES {
            return Ok(HEADER_BYTES);
        }
        let (name, size) = self.header();
        if name == FourCC::new(b"mdat") {
            return Ok(HEADER_BYTES);
        }
        let (offset, max) = (self.position, MAX_BOX_BYTES);
        if size > max {
            return Err(Mp4Error::TooLarge { name: name.to_string(), offset, size, max });
        }
        Ok((size as usize).max(HEADER_BYTES))
    }

    fn header(&self) -> (FourCC, u64) {
        let word = |at: usize| -> [u8; 4] {
            let mut word = [0; 4];
            word.copy_from_slice(&self.pending[at..at + 4]);
            word
        };
        (FourCC::new(&word(4)), u64::from(u32::from_be_bytes(word(0))))
    }

    /// `pending` holds a whole box, or the header of an `mdat`.
    fn take_box(&mut self) -> Result<(), Mp4Error> {
        if self.pending.len() < HEADER_BYTES || self.pending.len() < self.needed()? {
            return Ok(());
        }
        let (name, size) = self.header();
        let offset = self.position;
        let unexpected = || Mp4Error::Unexpected { name: name.to_string(), offset };
        match (std::mem::take(&mut self.expected), &name.to_string()[..]) {
            (Expected::Box, "ftyp") => {}
            (Expected::Box, "moov") if self.movie.is_none() => {
                self.movie = Some(Movie::from_spool(&self.decode::<Moov>("moov")?)?);
            }
            (Expected::Box, "moof") if self.movie.is_some() => {
                let fragment = fragment(&self.decode::<Moof>("moof")?, offset, self.pending.len())?;
                self.expected = Expected::Mdat(fragment);
            }
            (Expected::Mdat(fragment), "mdat") => self.expected = media(fragment, offset, size)?,
            (Expected::Box | Expected::Mdat(_) | Expected::Media { .. }, _) => return Err(unexpected()),
        }
        self.position += self.pending.len() as u64;
        self.pending.clear();
        Ok(())
    }

    fn decode<T: Atom + DecodeAtom>(&self, name: &'static str) -> Result<T, Mp4Error> {
        let offset = self.position;
        let wrong = |source| Mp4Error::Decode { name: name.into(), offset, source };
        let mut bytes = &self.pending[..];
        let header = <Header as mp4_atom::Decode>::decode(&mut bytes).map_err(wrong)?;
        let atom = T::decode_atom(&header, &mut bytes).map_err(wrong)?;
        if bytes.has_remaining() {
            return Err(wrong(mp4_atom::Error::UnderDecode(T::KIND)));
        }
        Ok(atom)
    }

    /// Goes on over media; answers with its range once all of it has come.
    fn skip_media(&mut self, bytes: &mut &[u8]) -> Option<MediaRange> {
        let Expected::Media { range, left, .. } = &mut self.expected else { return None };
        let now = (*left).min(bytes.len() as u64);
        *left -= now;
        self.position += now;
        *bytes = &bytes[now as usize..];
        if *left > 0 {
            return None;
        }
        let range = *range;
        if let Expected::Media { fragment, .. } = std::mem::take(&mut self.expected) {
            self.index.extend(fragment.runs.into_iter().map(|(run, _)| run));
        }
        Some(range)
    }
}

fn fragment(moof: &Moof, offset: u64, moof_len: usize) -> Result<Fragment, Mp4Error> {
    let wrong = |reason| Mp4Error::Fragment { offset, reason };
    let mut runs = Vec::new();
    let mut expected_at = moof_len + HEADER_BYTES;
    for traf in &moof.traf {
        let [trun] = &traf.trun[..] else { return Err(wrong("a track has not one run")) };
        let (run, bytes) = run(traf.tfhd.track_id, trun).ok_or(wrong("a sample has no size or flags"))?;
        // The object's index counts on the media lying in this order without gaps.
        if trun.data_offset.and_then(|o| usize::try_from(o).ok()) != Some(expected_at) {
            return Err(wrong("its media is not in the order of its runs"));
        }
        expected_at += usize::try_from(bytes).map_err(|_| wrong("a run is too long"))?;
        runs.push((run, bytes));
    }
    Ok(Fragment { offset, runs })
}

fn run(track_id: u32, trun: &Trun) -> Option<(Run, u64)> {
    let mut run = Run { video: track_id == VIDEO_TRACK, sizes: Vec::new(), keyframes: Vec::new() };
    for (n, entry) in trun.samples.iter().enumerate() {
        run.sizes.push(entry.size?);
        // `sample_is_non_sync_sample`
        if entry.flags? & 0x0001_0000 == 0 {
            run.keyframes.push(u32::try_from(n).ok()?);
        }
    }
    let bytes = run.sizes.iter().copied().map(u64::from).sum();
    Some((run, bytes))
}

fn media(fragment: Fragment, offset: u64, size: u64) -> Result<Expected, Mp4Error> {
    let len: u64 = fragment.runs.iter().map(|(_, bytes)| bytes).sum();
    if size != len + HEADER_BYTES as u64 {
        let reason = "its media is not as long as its index says";
        return Err(Mp4Error::Fragment { offset: fragment.offset, reason });
    }
    let range = MediaRange { offset: offset + HEADER_BYTES as u64, len };
    Ok(Expected::Media { fragment, range, left: len })
}
