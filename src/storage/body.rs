//! What is uploaded: bytes that are kept elsewhere and are read in small pieces, as often as needed.
//!
//! Owns the one pass that makes the checksum. Does not know where the bytes are. Contract: a body is never in
//! memory as a whole, however large a part is. Every piece is read on a thread that may block.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::checksum::{Checksum, Summing};

/// How many bytes are read at a time: enough for few system calls, and little even for several bodies at
/// once.
pub(super) const PIECE: usize = 256 * 1024;

/// Bytes that do not change: each read returns the same.
pub trait Source: Send + Sync {
    fn size(&self) -> u64;

    /// Fills `buf` from `offset` on. May block.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;
}

impl Source for Bytes {
    fn size(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let found = self.get(start..).and_then(|rest| rest.get(..buf.len()));
        buf.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// A source whose checksum is known. Clones share it.
#[derive(Clone)]
pub struct Body {
    source: Arc<dyn Source>,
    checksum: Checksum,
}

impl Body {
    /// Reads the source once, for its checksum.
    pub async fn new(source: Arc<dyn Source>) -> io::Result<Self> {
        let mut summing = Summing::default();
        let reading = Arc::clone(&source);
        let checksum = blocking(move || {
            each_piece(&*reading, |piece| {
                summing.add(piece);
                Ok(())
            })?;
            Ok(summing.done())
        })
        .await?;
        Ok(Self { source, checksum })
    }

    pub fn of_bytes(bytes: Bytes) -> Self {
        Self { checksum: Checksum::of(&bytes), source: Arc::new(bytes) }
    }

    pub fn size(&self) -> u64 {
        self.checksum.size()
    }

    pub fn checksum(&self) -> Checksum {
        self.checksum
    }

    /// Reads the piece at `offset`: [`PIECE`] bytes, or as many as are left. May block.
    pub(super) fn piece_at(&self, offset: u64) -> io::Result<Bytes> {
        let left = self.size().saturating_sub(offset);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(PIECE).min(PIECE)];
        self.source.read_at(offset, &mut piece)?;
        Ok(piece.into())
    }

    /// Passes all pieces to `take`. May block.
    pub(super) fn each_piece(&self, take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
        each_piece(&*self.source, take)
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Body").field(&self.checksum).finish()
    }
}

fn each_piece(source: &dyn Source, mut take: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let len = source.size();
    let mut buf = vec![0; usize::try_from(len).unwrap_or(PIECE).min(PIECE)];
    let mut offset = 0;
    while offset < len {
        let piece = usize::try_from(len - offset).unwrap_or(PIECE).min(PIECE);
        source.read_at(offset, &mut buf[..piece])?;
        take(&buf[..piece])?;
        offset += piece as u64;
    }
    Ok(())
}

/// Runs file work on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    // Resumes a panic in the caller. Work is cancelled only at shutdown, if it has not begun.
    done.unwrap_or_else(|failed| match failed.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        Err(cancelled) => Err(io::Error::new(io::ErrorKind::Interrupted, cancelled)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(len: usize) -> Bytes {
        (0..len).map(|n| n as u8).collect()
    }

    #[tokio::test]
    async fn the_pieces_of_a_body_are_its_bytes() {
        for len in [0, 1, PIECE, PIECE + 1, 3 * PIECE - 1] {
            let bytes = numbered(len);
            let body = Body::new(Arc::new(bytes.clone())).await.unwrap();
            assert_eq!(body.checksum(), Checksum::of(&bytes));
            let mut read = Vec::new();
            body.each_piece(|piece| {
                read.extend_from_slice(piece);
                Ok(())
            })
            .unwrap();
            assert!(read == bytes, "{len} bytes");
            let last = len.saturating_sub(1) / PIECE * PIECE;
            assert_eq!(body.piece_at(last as u64).unwrap(), bytes.slice(last..));
        }
    }

    #[test]
    fn what_is_not_there_is_an_error() {
        let fault = numbered(3).read_at(2, &mut [0; 2]).unwrap_err();
        assert_eq!(fault.kind(), io::ErrorKind::UnexpectedEof);
    }
}
