//! The UDP sockets that media comes in by: one for each local address that LiveKit may reach.
//!
//! An ICE host candidate needs a real address, so no socket is bound to the wildcard. The addresses
//! are those that this machine would use towards the signalling host and towards the internet.

use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::task::Poll;

use socket2::{Domain, Socket, Type};
use tokio::net::{UdpSocket, lookup_host};

use super::error::RoomError;

/// Room for about a second of 25 busy tracks, should the machine stall. The kernel may grant less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// Documentation addresses (RFC 5737, RFC 3849): never routed, nothing is sent, only the route is asked.
const ANYWHERE: [&str; 2] = ["192.0.2.1:9", "[2001:db8::1]:9"];

pub struct Sockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    next: usize,
}

impl Sockets {
    /// Binds a socket on each address that may be of use for media from `host`.
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
        let sockets = addresses
            .into_iter()
            .map(|address| bind(address).map_err(|source| RoomError::Socket { address, source }));
        Ok(Self { sockets: sockets.collect::<Result<_, _>>()?, next: 0 })
    }

    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.sockets.iter().map(|(address, _)| *address)
    }

    /// Waits until a datagram can be read from the socket whose index is the answer.
    pub async fn readable(&mut self) -> io::Result<usize> {
        poll_fn(|cx| {
            for offset in 0..self.sockets.len() {
                // Round robin, so that a busy socket does not starve the other.
                let index = (self.next + offset) % self.sockets.len();
                if let Poll::Ready(ready) = self.sockets[index].1.poll_recv_ready(cx) {
                    self.next = index + 1;
                    return Poll::Ready(ready.map(|()| index));
                }
            }
            Poll::Pending
        })
        .await
    }

    /// A datagram from socket `index`: its length, sender, and the local address it came to.
    pub fn receive(&self, index: usize, buffer: &mut [u8]) -> Option<(usize, SocketAddr, SocketAddr)> {
        let (local, socket) = &self.sockets[index];
        match socket.try_recv_from(buffer) {
            Ok((len, from)) => Some((len, from, *local)),
            // Nothing there, or an ICMP error about an earlier datagram: ICE notices a dead peer itself.
            Err(_) => None,
        }
    }

    /// UDP promises nothing: what the socket does not take now is lost, and RTCP or ICE repeat it.
    pub fn send(&self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        if let Some((_, socket)) = self.sockets.iter().find(|(local, _)| *local == from)
            && let Err(error) = socket.try_send_to(datagram, to)
        {
            tracing::trace!(%error, %to, "datagram not sent");
        }
    }
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
