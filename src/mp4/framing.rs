//! Finds the top-level boxes of a byte stream that comes in chunks of any size.

use mp4_atom::{Decode, FourCC, Header};

use super::error::Mp4Error;

/// The length and the kind of a box. The long form of a length is not needed in a spool and not accepted.
const HEADER_LEN: usize = 8;
/// The largest `ftyp`, `moov` or `moof` that is read into memory. The writer's `moof` has about 400 bytes;
/// one of this size could list six hours of sound that ran ahead of the video.
const MAX_BODY: u64 = 4 << 20;

/// The box that is being read: its offset in the stream, and the bytes of it that are needed.
#[derive(Debug, Default)]
pub(super) struct Framing {
    offset: u64,
    pending: Vec<u8>,
}

impl Framing {
    /// For a stream whose first fed byte is the one at `offset`.
    pub fn at(offset: u64) -> Self {
        Self { offset, pending: Vec::new() }
    }

    /// Returns the offset of the box in the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the offset of the next byte that is taken.
    pub fn position(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// Returns the body of the box, which must be of this kind, once the body is complete.
    ///
    /// The box stays the present one until [`pass`](Self::pass): the next call finds a fault again.
    pub fn collect(&mut self, kind: FourCC, bytes: &mut &[u8]) -> Result<Option<&[u8]>, Mp4Error> {
        let Some(len) = self.header(kind, bytes)? else {
            return Ok(None);
        };
        if len > MAX_BODY {
            return Err(self.impossible_length(kind));
        }
        if !self.fill(HEADER_LEN + len as usize, bytes) {
            return Ok(None);
        }
        Ok(Some(&self.pending[HEADER_LEN..]))
    }

    /// Returns the length of the body of the box, which must be of this kind, once the header is complete.
    pub fn header(&mut self, kind: FourCC, bytes: &mut &[u8]) -> Result<Option<u64>, Mp4Error> {
        if !self.fill(HEADER_LEN, bytes) {
            return Ok(None);
        }
        let found = FourCC::from([4, 5, 6, 7].map(|n| self.pending[n]));
        if found != kind {
            return Err(Mp4Error::UnexpectedBox { offset: self.offset, found, expected: kind });
        }
        match Header::decode(&mut &self.pending[..HEADER_LEN]) {
            Ok(Header { size: Some(len), .. }) => Ok(Some(len as u64)),
            Ok(Header { size: None, .. }) | Err(_) => Err(self.impossible_length(kind)),
        }
    }

    /// Goes to the end of the bytes that were taken of the box.
    pub fn pass(&mut self) {
        self.offset = self.position();
        self.pending.clear();
    }

    /// Drops bytes up to the offset `end` of the stream; returns `false` if they do not reach so far.
    pub fn skip_to(&mut self, end: u64, bytes: &mut &[u8]) -> bool {
        let missing = end - self.offset;
        let taken = usize::try_from(missing).map_or(bytes.len(), |m| m.min(bytes.len()));
        *bytes = &bytes[taken..];
        self.offset += taken as u64;
        self.offset == end
    }

    /// Skips `len` bytes that were not fed.
    pub fn skip(&mut self, len: u64) {
        self.offset += len;
    }

    pub fn malformed(&self, kind: FourCC, source: mp4_atom::Error) -> Mp4Error {
        Mp4Error::Malformed { offset: self.offset, kind, source }
    }

    fn impossible_length(&self, kind: FourCC) -> Mp4Error {
        Mp4Error::BoxLength { offset: self.offset, kind }
    }

    /// Takes bytes until `len` bytes of the box are pending; returns `false` if they do not suffice.
    fn fill(&mut self, len: usize, bytes: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.pending.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.pending.extend_from_slice(taken);
        *bytes = rest;
        self.pending.len() >= len
    }
}
