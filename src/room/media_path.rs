//! Whether media can arrive, and when to try TCP. Pure: datagrams and ICE states come in with their times.
//!
//! A path that works is never silent: besides media, both sides send STUN every two or three seconds.

use std::time::{Duration, Instant};

use super::reconnect::Media;

/// Longer than the pause between two keepalives (2 s, RFC 8445 section 11 as pion does it), plus the delays
/// of a loaded machine.
const SILENCE: Duration = Duration::from_millis(3500);
/// UDP suits media better, so it gets this long before TCP is tried beside it.
const UDP_HEAD_START: Duration = Duration::from_secs(1);

pub struct MediaPath {
    state: State,
    last_sign: Instant,
    tcp: Tcp,
}

enum State {
    /// The session has no path yet.
    New,
    /// ICE looks for another path; the old one may still work.
    Restarting,
    Up,
}

enum Tcp {
    From(Instant),
    Tried,
}

impl MediaPath {
    /// The path of a new session.
    pub fn new(now: Instant) -> Self {
        Self { state: State::New, last_sign: now, tcp: Tcp::From(now + UDP_HEAD_START) }
    }

    /// Called when the server has restarted ICE.
    pub fn restarted(&mut self, now: Instant) {
        // A silent path gets no head start.
        let head_start = if self.is_silent(now) { Duration::ZERO } else { UDP_HEAD_START };
        self.tcp = Tcp::From(now + head_start);
        if !matches!(self.state, State::New) {
            self.state = State::Restarting;
        }
    }

    /// Called when ICE and, in a new session, DTLS are connected.
    pub fn connected(&mut self, now: Instant) {
        self.state = State::Up;
        self.last_sign = now;
    }

    /// Called when ICE has a path (again). Sets the path to up if DTLS was connected before.
    pub fn ice_connected(&mut self, now: Instant) {
        if !matches!(self.state, State::New) {
            self.connected(now);
        }
    }

    pub fn datagram(&mut self, first_byte: u8, now: Instant) {
        // While ICE is looking for a path, its own packets come on paths that carry no media yet.
        let is_stun = first_byte < 4;
        if !is_stun || matches!(self.state, State::Up) {
            self.last_sign = now;
        }
    }

    /// Returns when the last datagram came by this path.
    pub fn last_heard(&self) -> Instant {
        self.last_sign
    }

    pub fn media(&self, now: Instant) -> Media {
        match self.state {
            State::New => Media::SilentSince(self.last_sign),
            State::Restarting | State::Up if self.is_silent(now) => Media::SilentSince(self.last_sign),
            State::Restarting | State::Up => Media::Up,
        }
    }

    /// Returns whether it is time to try TCP: `true` once for each session and each restart of ICE.
    pub fn tcp_due(&mut self, now: Instant) -> bool {
        let due = self.tcp_deadline().is_some_and(|at| at <= now);
        if due {
            self.tcp = Tcp::Tried;
        }
        due
    }

    /// Returns whether TCP has been tried already. Candidates that come later are then tried too.
    pub fn is_tcp_tried(&self) -> bool {
        matches!(self.tcp, Tcp::Tried)
    }

    /// Returns when the results of this type may change without a new datagram.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let silence = match self.state {
            State::Restarting | State::Up if !self.is_silent(now) => Some(self.last_sign + SILENCE),
            State::New | State::Restarting | State::Up => None,
        };
        [silence, self.tcp_deadline()].into_iter().flatten().min()
    }

    fn tcp_deadline(&self) -> Option<Instant> {
        match (&self.state, &self.tcp) {
            (State::New | State::Restarting, Tcp::From(at)) => Some(*at),
            (State::Up, _) | (_, Tcp::Tried) => None,
        }
    }

    fn is_silent(&self, now: Instant) -> bool {
        now.duration_since(self.last_sign) >= SILENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STUN: u8 = 1;
    const RTP: u8 = 0x80;

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    fn connected(start: Instant) -> MediaPath {
        let mut path = MediaPath::new(start);
        path.connected(start);
        path
    }

    fn is_up(path: &MediaPath, now: Instant) -> bool {
        matches!(path.media(now), Media::Up)
    }

    #[test]
    fn a_path_with_stun_alone_is_up_and_one_without_datagrams_is_silent() {
        let start = Instant::now();
        let mut path = connected(start);
        path.datagram(STUN, at(start, 3000));
        assert!(is_up(&path, at(start, 6000)));
        assert_eq!(path.deadline(at(start, 6000)), Some(at(start, 6500)));
        let Media::SilentSince(since) = path.media(at(start, 6500)) else { panic!("it is silent") };
        assert_eq!(since, at(start, 3000));
    }

    #[test]
    fn a_new_session_has_no_path_before_ice_and_dtls_are_through() {
        let start = Instant::now();
        let mut path = MediaPath::new(start);
        path.datagram(STUN, at(start, 10));
        path.ice_connected(at(start, 20));
        assert!(!is_up(&path, at(start, 20)));
        path.connected(at(start, 30));
        assert!(is_up(&path, at(start, 30)));
    }

    #[test]
    fn media_goes_on_during_an_ice_restart_or_comes_back_with_its_new_path() {
        let start = Instant::now();
        let mut path = connected(start);
        path.restarted(at(start, 10));
        path.datagram(RTP, at(start, 1000));
        assert!(is_up(&path, at(start, 4000)));
        path.datagram(STUN, at(start, 4400));
        assert!(!is_up(&path, at(start, 4500)), "a check is no path");
        path.ice_connected(at(start, 4600));
        assert!(is_up(&path, at(start, 4600)));
    }

    #[test]
    fn tcp_is_tried_once_and_only_while_udp_has_brought_no_path() {
        let start = Instant::now();
        let mut path = MediaPath::new(start);
        assert!(!path.tcp_due(at(start, 999)));
        assert!(path.tcp_due(at(start, 1000)));
        assert!(!path.tcp_due(at(start, 1001)));
        let mut quick = connected(start);
        assert!(!quick.tcp_due(at(start, 5000)));
    }

    #[test]
    fn after_a_silence_tcp_is_tried_with_the_restart() {
        let start = Instant::now();
        let mut path = connected(start);
        path.restarted(at(start, 5000));
        assert!(path.tcp_due(at(start, 5000)));
        let mut healthy = connected(start);
        healthy.restarted(at(start, 100));
        assert!(!healthy.tcp_due(at(start, 100)));
    }
}
