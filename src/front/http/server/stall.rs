//! Owns how long a client may leave an answer unread: a write that makes no progress for that long fails.
//! Others bound how long reading may take (`server`, `gate`).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

pub struct Impatient<T> {
    inner: T,
    timeouts: Duration,
    /// Runs while a write waits.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    pub fn new(inner: T, timeouts: Duration) -> Self {
        Self { inner, timeouts, waiting: None }
    }

    /// Returns the result of the write, or an error if the write has waited for too long.
    fn judge<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = None;
            return written;
        }
        let timeouts = self.timeouts;
        let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(timeouts)));
        ready!(waiting.as_mut().poll(cx));
        waiting.as_mut().reset(Instant::now() + timeouts);
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the answer is not being read")))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.judge(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.inner).poll_write_vectored(cx, slices);
        self.judge(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn an_answer_that_nobody_reads_fails() {
        let (ours, _theirs) = duplex(10);
        let mut ours = Impatient::new(ours, Duration::from_millis(1));
        let error = ours.write_all(&[0; 100]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn every_byte_that_is_read_begins_the_wait_anew() {
        let (ours, mut theirs) = duplex(10);
        let mut ours = Impatient::new(ours, Duration::from_secs(3600));
        for _ in 0..3 {
            ours.write_all(&[0; 10]).await.unwrap();
            assert!(ours.write(&[0]).now_or_never().is_none());
            assert!(ours.waiting.is_some());
            theirs.read_exact(&mut [0; 10]).await.unwrap();
            assert_eq!(ours.write(&[0]).await.unwrap(), 1);
            assert!(ours.waiting.is_none());
            theirs.read_exact(&mut [0; 1]).await.unwrap();
        }
    }
}
