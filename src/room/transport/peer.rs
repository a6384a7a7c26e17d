//! The subscriber's peer connection: str0m, and what the offers say about it. No socket, no signalling; time
//! is an argument.
//!
//! Contract: after every call that takes `&mut self`, the owner calls [`Peer::poll`] until it returns
//! [`PeerEvent::Wait`]. That is str0m's own contract.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use str0m::bwe::Bitrate;
use str0m::change::SdpOffer;
use str0m::media::{KeyframeRequestKind, MediaKind, Mid};
use str0m::net::{Protocol, Receive};
use str0m::rtp::RawPacket;
use str0m::stats::MediaIngressStats;
use str0m::{Candidate, Event, IceConnectionState, Input, Rtc, RtcError};

use super::arrivals;
use super::bandwidth::{Bandwidth, Packet};
use super::sdp::{self, Congestion, MediaSection};
use super::sockets::{Path, Transport};
use super::tcp_candidates::TcpCandidates;
use crate::ids::TrackSid;
use crate::media::{Codec, TrackKind};
use crate::room::RoomError;
use crate::room::timeline::SenderReport;
use crate::room::tracks::{IngressCounts, Pieces, ReceivedFrame, received};

/// How long a missing packet is waited for. It must still be in time for its tick, which the playout delay
/// (0.9 s) decides. The time suffices for three requests to send it again, and for a copy of it in a later
/// packet (RED).
const AUDIO_REORDER_TIMEOUT: Duration = Duration::from_millis(600);
/// The same time in packets of Opus, of 20 ms each.
const AUDIO_REORDER_PACKETS: usize = 30;
/// Must hold the packets of the largest keyframe: 200 packets are 240 kB, a busy 1080p screen share.
const VIDEO_REORDER_PACKETS: usize = 200;
/// How often a track's counts are returned.
const COUNTS_INTERVAL: Duration = Duration::from_secs(1);

pub struct Peer {
    rtc: Rtc,
    /// The sections of the last offer. A section that carries no track now keeps its last track.
    sections: Vec<MediaSection>,
    tracks: HashMap<Mid, TrackSid>,
    /// Media sections in which something came that is no frame: the next frame does not continue the last
    /// one.
    broken: HashSet<Mid>,
    pieces: Pieces,
    /// The latest time that the owner passed in.
    now: Instant,
    /// The length of the last datagram.
    datagram: usize,
    bandwidth: Bandwidth,
    /// The stream that transport-wide feedback has to name.
    video: Option<u32>,
    tcp: TcpCandidates,
    /// The server's ICE user name fragment in the last offer.
    ice_ufrag: Option<String>,
}

/// What an accepted offer changed.
pub struct Answered {
    pub sdp: String,
    /// Tracks whose media comes from now on.
    pub added: Vec<(TrackSid, TrackKind)>,
    pub removed: Vec<TrackSid>,
    /// The server looks for another path: existing TCP connections are of no use any more.
    pub ice_restarted: bool,
}

pub enum PeerEvent {
    /// There is no more output until this time.
    Wait(Instant),
    Transmit(Path, Vec<u8>),
    /// ICE and DTLS are connected.
    Connected,
    /// ICE has a path, for the first time or again.
    PathFound,
    Report(TrackSid, SenderReport),
    Frame(TrackSid, ReceivedFrame),
    Counts(TrackSid, IngressCounts),
}

impl Peer {
    /// Accepts video in these codecs only.
    pub fn new(
        addresses: impl Iterator<Item = SocketAddr>,
        codecs: &[Codec],
        now: Instant,
    ) -> Result<Self, RoomError> {
        let mut rtc = Rtc::builder()
            .set_crypto_provider(Arc::new(arrivals::crypto()))
            .clear_codecs()
            .enable_opus(true, true)
            .enable_vp8(codecs.contains(&Codec::Vp8))
            .enable_vp9(codecs.contains(&Codec::Vp9))
            .enable_h264(codecs.contains(&Codec::H264))
            .enable_h265(codecs.contains(&Codec::H265))
            .enable_av1(codecs.contains(&Codec::Av1))
            .set_reordering_size_audio(AUDIO_REORDER_PACKETS)
            .set_reordering_timeout_audio(Some(AUDIO_REORDER_TIMEOUT))
            .set_reordering_size_video(VIDEO_REORDER_PACKETS)
            .set_stats_interval(Some(COUNTS_INTERVAL))
            // Raw packets carry their send times. A frame has only its first packet's, and padding makes no
            // frame.
            .enable_raw_packets(true)
            .build(now);
        for address in addresses {
            let candidate = Candidate::host(address, "udp").map_err(peer_error)?;
            rtc.add_local_candidate(candidate);
        }
        Ok(Self {
            rtc,
            sections: Vec::new(),
            tracks: HashMap::new(),
            broken: HashSet::new(),
            pieces: Pieces::default(),
            now,
            datagram: 0,
            bandwidth: Bandwidth::default(),
            video: None,
            tcp: TcpCandidates::default(),
            ice_ufrag: None,
        })
    }

    pub fn accept_offer(&mut self, offer: &str) -> Result<Answered, RoomError> {
        let sections = sdp::media_sections(offer);
        let ice_restarted = self.new_ice_generation(offer);
        self.take_down_recycled(&sections);
        self.remember(&sections);
        let rewritten = sdp::as_sent_to_a_subscriber(offer);
        let parsed = SdpOffer::from_sdp_string(&rewritten).map_err(peer_error)?;
        let answer = self.rtc.sdp_api().accept_offer(parsed).map_err(peer_error)?;
        let (added, removed) = self.remap(&sections);
        self.video = self.stream_with_feedback(Congestion::Arrivals);
        for candidate in sdp::candidates(offer).filter_map(|c| Candidate::from_sdp_string(c).ok()) {
            self.tcp.add_remote(candidate);
        }
        Ok(Answered { sdp: answer.to_sdp_string(), added, removed, ice_restarted })
    }

    /// Takes the server's candidate in SDP form. A TCP candidate waits until there is a connection to it.
    pub fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), RoomError> {
        let candidate = Candidate::from_sdp_string(candidate).map_err(peer_error)?;
        match candidate.proto() {
            Protocol::Udp => self.rtc.add_remote_candidate(candidate),
            Protocol::Tcp | Protocol::SslTcp | Protocol::Tls => self.tcp.add_remote(candidate),
        }
        Ok(())
    }

    /// Returns where the server can be reached by TCP.
    pub fn tcp_remotes(&self) -> impl Iterator<Item = SocketAddr> {
        self.tcp.remotes()
    }

    pub fn tcp_opened(&mut self, path: Path) {
        self.tcp.opened(path, &mut self.rtc);
    }

    pub fn tcp_closed(&mut self, path: Path) {
        self.tcp.closed(path, &mut self.rtc);
    }

    /// Closes the peer connection: it has no more input or output.
    pub fn shut(&mut self) {
        self.rtc.disconnect();
    }

    pub fn receive(&mut self, path: Path, datagram: &[u8], now: Instant) {
        self.now = now;
        self.datagram = datagram.len();
        let Ok(contents) = datagram.try_into() else { return };
        let proto = match path.transport {
            Transport::Udp => Protocol::Udp,
            Transport::Tcp => Protocol::Tcp,
        };
        let receive = Receive { proto, source: path.remote, destination: path.local, contents };
        if let Err(error) = self.rtc.handle_input(Input::Receive(now, receive)) {
            tracing::debug!(%error, "datagram not understood");
        }
    }

    pub fn timeout(&mut self, now: Instant) {
        self.now = now;
        if let Err(error) = self.rtc.handle_input(Input::Timeout(now)) {
            tracing::debug!(%error, "peer connection timer failed");
        }
    }

    pub fn request_keyframe(&mut self, sid: &TrackSid) {
        let Some(mid) = self.tracks.iter().find(|(_, s)| *s == sid).map(|(mid, _)| *mid) else { return };
        if let Some(mut writer) = self.rtc.writer(mid)
            && let Err(error) = writer.request_keyframe(None, KeyframeRequestKind::Pli)
        {
            tracing::debug!(track = %sid, %error, "keyframe not asked for");
        }
    }

    pub fn poll(&mut self) -> Result<PeerEvent, RoomError> {
        loop {
            let output = match arrivals::naming(self.video, || self.rtc.poll_output()) {
                // A publisher's fault costs one frame of that publisher and nothing else.
                Err(RtcError::Packet(mid, _, error)) => {
                    tracing::debug!(%mid, %error, "frame not understood");
                    self.broken.insert(mid);
                    continue;
                }
                output => output.map_err(peer_error)?,
            };
            match output {
                str0m::Output::Timeout(at) => {
                    if let Some((sid, frame)) = self.pieces.overdue(self.now) {
                        return Ok(PeerEvent::Frame(sid, frame));
                    }
                    if let Some(bps) = self.bandwidth.report(self.now) {
                        self.send_bandwidth(bps);
                        continue;
                    }
                    let others = [self.pieces.next_overdue(), self.bandwidth.due()];
                    return Ok(PeerEvent::Wait(others.into_iter().flatten().fold(at, Instant::min)));
                }
                str0m::Output::Transmit(t) => {
                    let transport = match t.proto {
                        Protocol::Udp => Transport::Udp,
                        Protocol::Tcp | Protocol::SslTcp | Protocol::Tls => Transport::Tcp,
                    };
                    let path = Path { transport, local: t.source, remote: t.destination };
                    return Ok(PeerEvent::Transmit(path, t.contents.to_vec()));
                }
                str0m::Output::Event(event) => {
                    if let Some(output) = self.event(event) {
                        return Ok(output);
                    }
                }
            }
        }
    }

    fn event(&mut self, event: Event) -> Option<PeerEvent> {
        match event {
            Event::Connected => Some(PeerEvent::Connected),
            Event::IceConnectionStateChange(
                IceConnectionState::Connected | IceConnectionState::Completed,
            ) => {
                self.bandwidth.path_changed();
                Some(PeerEvent::PathFound)
            }
            Event::RawPacket(packet) => {
                // Only video carries send times, and they are needed only without transport-wide feedback.
                if let RawPacket::RtpRx(header, _) = *packet
                    && let Some(sent) = header.ext_vals.abs_send_time
                {
                    let (ssrc, sequence) = (*header.ssrc, header.sequence_number);
                    let packet = Packet { ssrc, sequence, bytes: self.datagram, sent };
                    self.bandwidth.received(packet, self.now);
                }
                None
            }
            Event::SenderFeedback(feedback) => {
                let sid = self.tracks.get(&feedback.mid)?.clone();
                let info = feedback.sender_info;
                let ntp = info.ntp_time.duration_since(std::time::UNIX_EPOCH).ok()?;
                let ntp_nanos = i64::try_from(ntp.as_nanos()).ok()?;
                // The lower 32 bits are those of the report.
                let report = SenderReport { ntp_nanos, rtp: info.rtp_time.numer() as u32 };
                Some(PeerEvent::Report(sid, report))
            }
            Event::MediaData(data) => {
                let sid = self.tracks.get(&data.mid)?.clone();
                let broken = self.broken.remove(&data.mid);
                let frame = received(data)?;
                let piece = ReceivedFrame { contiguous: frame.contiguous && !broken, ..frame };
                let frame = self.pieces.take(&sid, piece)?;
                Some(PeerEvent::Frame(sid, frame))
            }
            Event::MediaIngressStats(stats) => {
                let sid = self.tracks.get(&stats.mid)?.clone();
                Some(PeerEvent::Counts(sid, counts(&stats)))
            }
            // str0m has many events and gets more; the recorder ignores all others.
            _ => None,
        }
    }

    fn send_bandwidth(&mut self, bps: u64) {
        let Some(ssrc) = self.stream_with_feedback(Congestion::Estimates) else { return };
        if let Some(stream) = self.rtc.direct_api().stream_rx(&ssrc.into()) {
            tracing::debug!(bps, "estimate of the bandwidth");
            stream.request_remb(Bitrate::bps(bps));
        }
    }

    /// Returns a stream of video that the server sends with this kind of feedback. Feedback about all streams
    /// names this one.
    fn stream_with_feedback(&mut self, congestion: Congestion) -> Option<u32> {
        let matching = self.sections.iter().filter(|section| {
            let media = self.rtc.media(Mid::from(section.mid.as_str()));
            section.sending
                && section.congestion == congestion
                && media.is_some_and(|m| m.kind() == MediaKind::Video)
        });
        let mut ssrcs: Vec<u32> = matching.flat_map(|section| section.ssrcs.iter().copied()).collect();
        let mut direct = self.rtc.direct_api();
        ssrcs.retain(|ssrc| direct.stream_rx(&(*ssrc).into()).is_some());
        ssrcs.first().copied()
    }

    /// Returns whether the offer restarts ICE.
    fn new_ice_generation(&mut self, offer: &str) -> bool {
        let ufrag = sdp::ice_ufrag(offer).map(str::to_owned);
        let restarted = self.ice_ufrag.is_some() && self.ice_ufrag != ufrag;
        if restarted {
            self.tcp.restart(&mut self.rtc);
        }
        self.ice_ufrag = ufrag;
        restarted
    }

    fn take_down_recycled(&mut self, sections: &[MediaSection]) {
        for new in sections {
            let old = self.sections.iter().find(|o| o.mid == new.mid);
            let Some(old) = old.filter(|old| sdp::is_recycled(old, new)) else { continue };
            tracing::debug!(mid = new.mid, old = old.track, new = new.track, "m-line recycled");
            let mut direct = self.rtc.direct_api();
            for ssrc in &old.ssrcs {
                direct.remove_stream_rx((*ssrc).into());
            }
            let mid = Mid::from(new.mid.as_str());
            direct.remove_media(mid);
        }
    }

    fn remember(&mut self, sections: &[MediaSection]) {
        for new in sections {
            match self.sections.iter_mut().find(|o| o.mid == new.mid) {
                Some(old) if new.track.is_empty() => old.sending = new.sending,
                Some(old) => old.clone_from(new),
                None => self.sections.push(new.clone()),
            }
        }
    }

    fn remap(&mut self, sections: &[MediaSection]) -> (Vec<(TrackSid, TrackKind)>, Vec<TrackSid>) {
        let before: Vec<TrackSid> = self.tracks.drain().map(|(_, sid)| sid).collect();
        let mut added = Vec::new();
        for section in sections.iter().filter(|s| s.sending && s.track.starts_with("TR_")) {
            let mid = Mid::from(section.mid.as_str());
            let Some(media) = self.rtc.media(mid) else { continue };
            let (kind, sid) = (media.kind(), TrackSid(section.track.clone()));
            if !before.contains(&sid) {
                let kind = match kind {
                    MediaKind::Audio => TrackKind::Audio,
                    MediaKind::Video => TrackKind::Video,
                };
                added.push((sid.clone(), kind));
            }
            self.tracks.insert(mid, sid);
            if kind == MediaKind::Audio && section.resends {
                ask_again(&mut self.rtc, &section.ssrcs);
            }
        }
        let removed = before.into_iter().filter(|sid| !self.tracks.values().any(|t| t == sid)).collect();
        (added, removed)
    }
}

/// Turns on requests to send sound again. str0m turns them on only if resent packets come in a stream of
/// their own (RTX). Sound has none: LiveKit sends the same packet again.
fn ask_again(rtc: &mut Rtc, ssrcs: &[u32]) {
    let mut direct = rtc.direct_api();
    for ssrc in ssrcs {
        if let Some(stream) = direct.stream_rx(&(*ssrc).into()) {
            stream.suppress_nack(false);
        }
    }
}

fn counts(stats: &MediaIngressStats) -> IngressCounts {
    let MediaIngressStats { packets, bytes, nacks, plis, .. } = *stats;
    IngressCounts { packets, bytes, nacks, plis }
}

/// str0m's errors have several types; only their text is common.
fn peer_error(error: impl std::fmt::Display) -> RoomError {
    RoomError::Peer { reason: error.to_string() }
}

#[cfg(test)]
mod tests;
