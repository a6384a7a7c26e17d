//! Sends a body, with the checksums by which the store verifies it.
//!
//! The body is streamed from its source, so the request's signature cannot cover it. The signature covers the
//! checksum, which is in a header, and the store refuses a body that does not match the checksum.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use md5::{Digest, Md5};
use tokio::task::JoinHandle;

use crate::storage::body::{Body, blocking};

/// How a store verifies the bytes that it receives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integrity {
    /// CRC-64/NVME of each part, and of the object: S3 since 2024, MinIO since 2025.
    Crc64,
    /// `Content-MD5` of each part: all other stores.
    Md5,
}

impl Integrity {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Crc64 => "crc64",
            Self::Md5 => "md5",
        }
    }

    pub fn from_word(word: &str) -> Option<Self> {
        [Self::Crc64, Self::Md5].into_iter().find(|known| known.as_str() == word)
    }
}

pub(super) fn crc64_header(crc64: u64) -> String {
    STANDARD.encode(crc64.to_be_bytes())
}

pub(super) fn crc64_from_header(text: &str) -> Option<u64> {
    let bytes = STANDARD.decode(text).ok()?;
    Some(u64::from_be_bytes(bytes.try_into().ok()?))
}

/// MD5 of a body, in the forms of `Content-MD5` and of an ETag.
pub(super) struct Md5Sum([u8; 16]);

impl Md5Sum {
    pub async fn of(body: &Body) -> io::Result<Self> {
        let body = body.clone();
        blocking(move || {
            let mut hasher = Md5::new();
            body.each_piece(|piece| {
                hasher.update(piece);
                Ok(())
            })?;
            Ok(Self(hasher.finalize().into()))
        })
        .await
    }

    pub fn header(&self) -> String {
        STANDARD.encode(self.0)
    }

    pub fn is_etag(&self, etag: &str) -> bool {
        etag.trim_matches('"').eq_ignore_ascii_case(&hex::encode(self.0))
    }
}

/// Returns the body as the SDK takes it: it is read anew for every attempt.
pub(super) fn stream(body: &Body) -> ByteStream {
    let body = body.clone();
    ByteStream::new(SdkBody::retryable(move || SdkBody::from_body_1_x(Pieces::new(body.clone()))))
}

/// Reads one piece ahead of the network.
struct Pieces {
    body: Body,
    /// Bytes that were handed out.
    sent: u64,
    next: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Pieces {
    fn new(body: Body) -> Self {
        Self { body, sent: 0, next: None }
    }

    fn left(&self) -> u64 {
        self.body.size() - self.sent
    }

    fn read_ahead(&self) -> JoinHandle<io::Result<Bytes>> {
        let (body, offset) = (self.body.clone(), self.sent);
        tokio::task::spawn_blocking(move || body.piece_at(offset))
    }
}

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left() == 0 {
            return Poll::Ready(None);
        }
        let mut reading = self.next.take().unwrap_or_else(|| self.read_ahead());
        let Poll::Ready(read) = Pin::new(&mut reading).poll(cx) else {
            self.next = Some(reading);
            return Poll::Pending;
        };
        let piece = read.unwrap_or_else(|failed| Err(io::Error::other(failed)))?;
        self.sent += piece.len() as u64;
        if self.left() > 0 {
            self.next = Some(self.read_ahead());
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_can_be_sent_as_often_as_the_store_wants_it() {
        let bytes: Bytes = (0..600_000_u32).map(|n| n as u8).collect();
        let stream = stream(&Body::of_bytes(bytes.clone())).into_inner();
        assert_eq!(stream.content_length(), Some(bytes.len() as u64));
        for attempt in 0..2 {
            let again = stream.try_clone().expect("it can be read again");
            let sent = ByteStream::new(again).collect().await.expect("a body").into_bytes();
            assert!(sent == bytes, "attempt {attempt}");
        }
    }

    #[test]
    fn checksums_are_written_as_s3_wants_them() {
        let crc64 = crate::storage::Checksum::of(b"123456789").crc64();
        assert_eq!(crc64_header(crc64), "rosUhgp5mIg=");
        assert_eq!(crc64_from_header("rosUhgp5mIg="), Some(crc64));
        assert_eq!(crc64_from_header("rosUhgp5"), None);
    }

    #[tokio::test]
    async fn an_etag_is_recognised_with_and_without_quotes() {
        let sum = Md5Sum::of(&Body::of_bytes(Bytes::from_static(b"abc"))).await.expect("a sum");
        assert_eq!(sum.header(), "kAFQmDzST7DWlj99KOF/cg==");
        assert!(sum.is_etag("\"900150983cd24fb0d6963f7d28e17f72\""));
        assert!(!sum.is_etag("900150983cd24fb0d6963f7d28e17f72-2"));
    }
}
