//! The TCP half of ICE (RFC 6544): the server's passive candidates, which are held back until TCP is to be
//! tried, and the recorder's connections to them (active candidates). UDP candidates need none of this.

use std::net::SocketAddr;

use str0m::net::TcpType;
use str0m::{Candidate, Rtc};

use super::sockets::Path;

#[derive(Default)]
pub struct TcpCandidates {
    passive: Vec<Candidate>,
    active: Vec<(Path, Candidate)>,
}

impl TcpCandidates {
    /// Takes a candidate of the server that is not UDP.
    pub fn add_remote(&mut self, candidate: Candidate) {
        // LiveKit repeats each address for RTCP, which has no connection of its own (RFC 5761).
        let is_new = self.passive.iter().all(|known| known.addr() != candidate.addr());
        if candidate.tcptype() == Some(TcpType::Passive) && is_new {
            self.passive.push(candidate);
        }
    }

    /// Returns where the server can be reached by TCP.
    pub fn remotes(&self) -> impl Iterator<Item = SocketAddr> {
        self.passive.iter().map(Candidate::addr)
    }

    /// Gives ICE a connection that has been opened.
    pub fn opened(&mut self, path: Path, rtc: &mut Rtc) {
        let Some(remote) = self.passive.iter().find(|c| c.addr() == path.remote) else { return };
        let local = Candidate::builder().tcp().host(path.local).tcptype(TcpType::Active).build();
        match local {
            Ok(local) => {
                rtc.add_local_candidate(local.clone());
                rtc.add_remote_candidate(remote.clone());
                self.active.push((path, local));
            }
            Err(error) => tracing::debug!(%error, ?path, "no candidate for a connection"),
        }
    }

    pub fn closed(&mut self, path: Path, rtc: &mut Rtc) {
        for (_, local) in self.active.extract_if(.., |(active, _)| *active == path) {
            rtc.direct_api().invalidate_candidate(&local);
        }
    }

    /// Called when ICE restarts. The server identifies a connection by the first check on it, so each
    /// connection serves one generation of ICE.
    pub fn restart(&mut self, rtc: &mut Rtc) {
        self.passive.clear();
        for (_, local) in self.active.drain(..) {
            rtc.direct_api().invalidate_candidate(&local);
        }
    }
}
