//! One TCP connection that carries media: ICE uses it in networks that let no UDP through (RFC 6544).
//!
//! Contract: reading and writing never block. Up to [`UNSENT_BYTES`] that the connection does not take at
//! once are kept. Beyond that, whole datagrams are dropped, as on a network.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::framing;

/// A server that does not answer within this time is not reachable by TCP either.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One read takes about twenty full datagrams.
const READ_BYTES: usize = 32 << 10;
/// A recorder sends a little RTCP and STUN: this holds several seconds of it.
const UNSENT_BYTES: usize = 64 << 10;

pub struct TcpPath {
    stream: TcpStream,
    local: SocketAddr,
    remote: SocketAddr,
    incoming: BytesMut,
    unsent: BytesMut,
}

impl TcpPath {
    pub async fn connect(remote: SocketAddr) -> io::Result<Self> {
        let connect = tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(remote));
        let stream = connect.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        // Each datagram is a message of its own, which the server waits for.
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        Ok(Self { stream, local, remote, incoming: BytesMut::new(), unsent: BytesMut::new() })
    }

    pub fn local(&self) -> SocketAddr {
        self.local
    }

    pub fn remote(&self) -> SocketAddr {
        self.remote
    }

    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A datagram that an earlier read brought is ready although the socket does not say so.
        if framing::has_datagram(&self.incoming) {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_read_ready(cx)
    }

    /// Returns the next datagram; `None` if none is complete. An error means that the connection has ended.
    pub fn receive(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            if let Some(datagram) = framing::next_datagram(&mut self.incoming) {
                return Ok(Some(datagram));
            }
            self.incoming.reserve(READ_BYTES);
            match self.stream.try_read_buf(&mut self.incoming) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error),
            }
        }
    }

    pub fn send(&mut self, datagram: &[u8]) {
        if self.unsent.len() + datagram.len() <= UNSENT_BYTES {
            framing::put_datagram(datagram, &mut self.unsent);
        }
        while !self.unsent.is_empty() {
            match self.stream.try_write(&self.unsent) {
                Ok(written) => self.unsent.advance(written),
                // The rest is sent with the next datagram, and ICE alone sends several a second. Reading
                // shows when the connection has ended.
                Err(_) => return,
            }
        }
    }
}
