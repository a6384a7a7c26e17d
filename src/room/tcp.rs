//! One TCP connection that carries media: where a network lets no UDP through, ICE does with this (RFC 6544).
//!
//! Contract: reading and writing never block. What the connection does not take at once is kept up to
//! [`UNSENT_BYTES`]; beyond that, datagrams are dropped whole, as a network would.

use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::net::TcpStream;

use super::framing;

/// A server that does not answer by then is not reachable by TCP either.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One read takes about twenty full datagrams.
const READ_BYTES: usize = 32 << 10;
/// A recorder sends some RTCP and STUN: this is several seconds of it.
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
        // Each datagram is a message of its own that somebody waits for.
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
        // What one turn did not take is there without the socket telling so.
        if framing::has_datagram(&self.incoming) {
            return Poll::Ready(Ok(()));
        }
        self.stream.poll_read_ready(cx)
    }

    /// The next datagram; `None` if none is complete. An error is the end of the connection.
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
                // The rest goes with the next datagram, and ICE alone sends several a second. A connection that
                // is gone tells so when it is read.
                Err(_) => return,
            }
        }
    }
}
