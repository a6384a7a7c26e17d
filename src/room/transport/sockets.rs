//! The sockets for media: UDP on each local address that LiveKit may reach, and TCP connections if UDP does
//! not get through.
//!
//! An ICE host candidate needs a real address, so no socket is bound to the wildcard. The addresses are those
//! that this machine would use towards the signalling host and towards the internet.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::task::{Context, Poll};

use bytes::Bytes;
use socket2::{Domain, Socket, Type};
use tokio::net::{UdpSocket, lookup_host};
use tokio::task::JoinSet;

use super::tcp::TcpPath;
use crate::room::RoomError;

/// Holds about a second of 25 busy tracks, should the machine stall. The kernel may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Larger than any datagram that a path with an MTU of 1500 brings; jumbo frames fit too.
const DATAGRAM_BYTES: usize = 16 << 10;
/// Documentation addresses (RFC 5737, RFC 3849), which are never routed. Nothing is sent to them; the kernel
/// only chooses a local address.
const ANYWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

pub struct Sockets {
    udp: Vec<(SocketAddr, UdpSocket)>,
    tcp: Vec<TcpPath>,
    connecting: JoinSet<io::Result<TcpPath>>,
    next: usize,
    buffer: Box<[u8; DATAGRAM_BYTES]>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    Udp,
    Tcp,
}

/// The two ends of a path for datagrams, and its transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    pub transport: Transport,
    pub local: SocketAddr,
    pub remote: SocketAddr,
}

/// What the owner has to do.
pub enum Ready {
    /// Datagrams can be read from the socket with this index.
    Datagrams(usize),
    /// A TCP connection has been opened.
    Opened(Path),
}

pub enum Received {
    Datagram(Path, Bytes),
    /// There are no more datagrams for now.
    Empty,
    /// The TCP connection is closed. The other sockets have other indices from now on.
    Closed(Path),
}

impl Sockets {
    /// Binds a socket to each address that may be useful for media from `host`.
    pub async fn open(host: &str, port: u16) -> Result<Self, RoomError> {
        let mut targets: Vec<SocketAddr> = lookup_host((host, port)).await.into_iter().flatten().collect();
        targets.extend(ANYWHERE.iter().filter_map(|a| a.parse::<SocketAddr>().ok()));
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in targets.into_iter().filter_map(local_address_towards) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(RoomError::NoAddress { host: host.to_owned() });
        }
        let udp = addresses
            .into_iter()
            .map(|address| bind(address).map_err(|source| RoomError::Socket { address, source }));
        Ok(Self {
            udp: udp.collect::<Result<_, _>>()?,
            tcp: Vec::new(),
            connecting: JoinSet::new(),
            next: 0,
            buffer: Box::new([0; DATAGRAM_BYTES]),
        })
    }

    /// Returns the addresses of the UDP sockets.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.udp.iter().map(|(address, _)| *address)
    }

    /// Begins a TCP connection; [`Ready::Opened`] says when it is open.
    pub fn open_tcp(&mut self, remote: SocketAddr) {
        if !self.tcp.iter().any(|path| path.remote() == remote) {
            self.connecting.spawn(TcpPath::connect(remote));
        }
    }

    /// Ends all TCP connections, also those that are being opened; returns those that were open.
    pub fn close_tcp(&mut self) -> Vec<Path> {
        self.connecting = JoinSet::new();
        self.tcp.drain(..).map(|path| path_of(&path)).collect()
    }

    /// Waits until the owner has something to do.
    pub async fn ready(&mut self) -> io::Result<Ready> {
        poll_fn(|cx| {
            if let Poll::Ready(path) = self.poll_connecting(cx) {
                return Poll::Ready(Ok(Ready::Opened(path)));
            }
            let sockets = self.udp.len() + self.tcp.len();
            for offset in 0..sockets {
                // Round robin, so that a busy socket does not starve the other.
                let index = (self.next + offset) % sockets;
                if let Poll::Ready(ready) = self.poll_readable(index, cx) {
                    self.next = index + 1;
                    return Poll::Ready(ready.map(|()| Ready::Datagrams(index)));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Returns a datagram from socket `index`.
    pub fn receive(&mut self, index: usize) -> Received {
        if let Some((local, socket)) = self.udp.get(index) {
            return match socket.try_recv_from(&mut *self.buffer) {
                Ok((len, remote)) => {
                    let path = Path { transport: Transport::Udp, local: *local, remote };
                    Received::Datagram(path, Bytes::copy_from_slice(&self.buffer[..len]))
                }
                // No datagram, or an ICMP error about an earlier one: ICE notices a dead peer itself.
                Err(_) => Received::Empty,
            };
        }
        let index = index - self.udp.len();
        let Some(tcp) = self.tcp.get_mut(index) else { return Received::Empty };
        match tcp.receive() {
            Ok(Some(datagram)) => Received::Datagram(path_of(tcp), datagram),
            Ok(None) => Received::Empty,
            Err(error) => {
                let path = path_of(&self.tcp.swap_remove(index));
                tracing::debug!(%error, ?path, "media connection closed");
                Received::Closed(path)
            }
        }
    }

    /// Sends without waiting. A datagram that the UDP socket does not take now is lost; RTCP or ICE repeat
    /// it.
    pub fn send(&mut self, path: Path, datagram: &[u8]) {
        match path.transport {
            Transport::Udp => {
                if let Some((_, socket)) = self.udp.iter().find(|(local, _)| *local == path.local)
                    && let Err(error) = socket.try_send_to(datagram, path.remote)
                {
                    tracing::trace!(%error, ?path, "datagram not sent");
                }
            }
            Transport::Tcp => {
                if let Some(tcp) = self.tcp.iter_mut().find(|tcp| path_of(tcp) == path) {
                    tcp.send(datagram);
                }
            }
        }
    }

    fn poll_connecting(&mut self, cx: &mut Context<'_>) -> Poll<Path> {
        loop {
            match self.connecting.poll_join_next(cx) {
                Poll::Ready(Some(Ok(Ok(tcp)))) => {
                    let path = path_of(&tcp);
                    self.tcp.push(tcp);
                    return Poll::Ready(path);
                }
                Poll::Ready(Some(Ok(Err(error)))) => tracing::debug!(%error, "no media connection by TCP"),
                // The attempt was aborted with the set, or it panicked: there is one connection fewer.
                Poll::Ready(Some(Err(_))) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_readable(&self, index: usize, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.udp.get(index) {
            Some((_, socket)) => socket.poll_recv_ready(cx),
            None => self.tcp[index - self.udp.len()].poll_readable(cx),
        }
    }
}

fn path_of(tcp: &TcpPath) -> Path {
    Path { transport: Transport::Tcp, local: tcp.local(), remote: tcp.remote() }
}

fn local_address_towards(target: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = if target.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0_u16; 8], 0).into() };
    let socket = StdUdpSocket::bind(any).ok()?;
    socket.connect(target).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified()).then_some(address)
}

fn bind(address: IpAddr) -> io::Result<(SocketAddr, UdpSocket)> {
    let socket = Socket::new(Domain::for_address((address, 0).into()), Type::DGRAM, None)?;
    socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    let socket = UdpSocket::from_std(socket.into())?;
    Ok((socket.local_addr()?, socket))
}
