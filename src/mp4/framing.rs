//! Top-level boxes out of a byte stream that comes in chunks of any size.

use mp4_atom::{Decode, FourCC, Header};

use super::error::Mp4Error;

/// Length and kind. The long form of a length is not needed in a spool and not accepted.
const HEADER_LEN: usize = 8;
/// Largest `ftyp`, `moov` or `moof` taken into memory. A `moof` of ours has about 400 bytes; this
/// one could list six hours of sound that ran ahead of the video.
const MAX_BODY: u64 = 4 << 20;

/// The box that is being read: its place, and its bytes as far as they are needed.
#[derive(Debug, Default)]
pub(super) struct Framing {
    offset: u64,
    pending: Vec<u8>,
}

impl Framing {
    /// A stream whose first byte given in is the one at `offset`.
    pub fn at(offset: u64) -> Self {
        Self { offset, pending: Vec::new() }
    }

    /// Place of the box in the stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Place of the next byte that is taken.
    pub fn position(&self) -> u64 {
        self.offset + self.pending.len() as u64
    }

    /// The body of the box, which must be of this kind, once all of it is there.
    ///
    /// Nothing moves on before [`pass`](Self::pass): a fault is found again by the next call.
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

    /// Length of the body of the box, which must be of this kind, once its header is there.
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

    /// Goes on behind what was taken of the box.
    pub fn pass(&mut self) {
        self.offset = self.position();
        self.pending.clear();
    }

    /// Drops bytes up to this place of the stream; false where they do not reach so far.
    pub fn skip_to(&mut self, end: u64, bytes: &mut &[u8]) -> bool {
        let missing = end - self.offset;
        let taken = usize::try_from(missing).map_or(bytes.len(), |m| m.min(bytes.len()));
        *bytes = &bytes[taken..];
        self.offset += taken as u64;
        self.offset == end
    }

    /// Goes on behind so many bytes that nobody gave in.
    pub fn skip(&mut self, len: u64) {
        self.offset += len;
    }

    pub fn malformed(&self, kind: FourCC, source: mp4_atom::Error) -> Mp4Error {
        Mp4Error::Malformed { offset: self.offset, kind, source }
    }

    fn impossible_length(&self, kind: FourCC) -> Mp4Error {
        Mp4Error::BoxLength { offset: self.offset, kind }
    }

    /// Takes bytes until `len` of the box are there; false where they do not suffice.
    fn fill(&mut self, len: usize, bytes: &mut &[u8]) -> bool {
        let missing = len.saturating_sub(self.pending.len());
        let (taken, rest) = bytes.split_at(missing.min(bytes.len()));
        self.pending.extend_from_slice(taken);
        *bytes = rest;
        self.pending.len() >= len
    }
}
