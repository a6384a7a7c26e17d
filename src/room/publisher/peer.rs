//! Owns the publisher's peer connection: str0m, its UDP socket, the SDP offer and the candidates.
//! Knows nothing of signalling or of when a frame is due.
//!
//! Contract (str0m's): its output is drained after every mutation, before the next input. [`Peer::next`]
//! drains first, so every other method may mutate and return.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use str0m::change::{SdpAnswer, SdpPendingOffer};
use str0m::format::{Codec as RtcCodec, PayloadParams};
use str0m::media::{Direction, Frequency, MediaKind, MediaTime, Mid, Rid, Simulcast, SimulcastLayer};
use str0m::net::{Protocol, Receive};
use str0m::{Candidate, Event, IceConnectionState, Input, Output, Rtc};
use tokio::net::UdpSocket;
use tokio::time::sleep_until;
use url::Url;

use super::clip::{DueFrame, TrackClips, clock_rate};
use super::{PublishError, SignalFault};
use crate::media::{Codec, TrackKind};

/// Larger than any datagram that arrives.
const DATAGRAM: usize = 2048;

pub(super) struct Peer {
    rtc: Rtc,
    socket: UdpSocket,
    local: SocketAddr,
    datagram: Box<[u8; DATAGRAM]>,
}

/// An offer that waits for its answer.
pub(super) struct Offer {
    pub sdp: String,
    /// The media sections, in the order of the tracks.
    pub mids: Vec<Mid>,
    pending: SdpPendingOffer,
}

/// The stream that takes a clip's frames.
pub(super) struct Stream {
    pub mid: Mid,
    /// Set for a simulcast track.
    pub rid: Option<Rid>,
    pub codec: Codec,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum PeerEvent {
    /// ICE and DTLS are done: frames may be written.
    Connected,
    /// The time `due` has come.
    Due,
}

impl Peer {
    /// Binds the socket to the address from which `server` is reached.
    pub async fn bind(server: &str, codecs: impl Iterator<Item = Codec>) -> Result<Self, PublishError> {
        let ip = local_address_towards(server).await?;
        let socket = UdpSocket::bind((ip, 0)).await.map_err(PublishError::Socket)?;
        let local = socket.local_addr().map_err(PublishError::Socket)?;
        let mut config = Rtc::builder().clear_codecs();
        for codec in codecs {
            config = match codec {
                Codec::Vp8 => config.enable_vp8(true),
                Codec::Vp9 => config.enable_vp9(true),
                Codec::H264 => config.enable_h264(true),
                Codec::H265 => config.enable_h265(true),
                Codec::Av1 => config.enable_av1(true),
                Codec::Opus => config.enable_opus(true, false),
            };
        }
        let mut rtc = config.build(Instant::now());
        // The offer contains the only candidate, so there is none to trickle later.
        let host = Candidate::host(local, "udp").map_err(|e| PublishError::Sdp(e.to_string()))?;
        rtc.add_local_candidate(host);
        Ok(Self { rtc, socket, local, datagram: Box::new([0; DATAGRAM]) })
    }

    /// Makes an offer of these tracks, each with its client id. LiveKit finds the announced track by the id
    /// in `a=msid`.
    pub fn offer(&mut self, tracks: &[(&TrackClips, String)]) -> Result<Offer, PublishError> {
        let mut changes = self.rtc.sdp_api();
        let mids = tracks
            .iter()
            .map(|(track, cid)| {
                let (kind, stream) = (media_kind(track.codec().kind()), Some("publisher".to_owned()));
                changes.add_media(kind, Direction::SendOnly, stream, Some(cid.clone()), simulcast(track))
            })
            .collect();
        let (offer, pending) = changes.apply().ok_or(PublishError::NothingToPublish)?;
        Ok(Offer { sdp: offer.to_sdp_string(), mids, pending })
    }

    pub fn accept(&mut self, offer: Offer, answer: &str) -> Result<(), PublishError> {
        let answer = SdpAnswer::from_sdp_string(answer).map_err(|e| PublishError::Sdp(e.to_string()))?;
        self.rtc.sdp_api().accept_answer(offer.pending, answer)?;
        Ok(())
    }

    /// Takes an SDP candidate line. Candidates over TCP are ignored: the publisher runs beside its server.
    pub fn add_remote_candidate(&mut self, candidate: &str) -> Result<(), PublishError> {
        let candidate =
            Candidate::from_sdp_string(candidate).map_err(|e| PublishError::Sdp(e.to_string()))?;
        if candidate.proto() == Protocol::Udp {
            self.rtc.add_remote_candidate(candidate);
            // Only now does str0m learn that there is an address to check. A server that is an ICE-lite agent
            // sends no checks itself.
            self.rtc.handle_input(Input::Timeout(Instant::now()))?;
        }
        Ok(())
    }

    /// Sends one frame, captured at `captured`. str0m makes the sender reports from the pairs of `captured`
    /// and RTP time.
    pub fn write(
        &mut self,
        stream: &Stream,
        captured: Instant,
        due: &DueFrame<'_>,
    ) -> Result<(), PublishError> {
        let Stream { mid, rid, codec } = *stream;
        let mut writer = self.rtc.writer(mid).ok_or(PublishError::ConnectionLost)?;
        let pt = writer
            .payload_params()
            .find(|p| carries(p, codec))
            .map(PayloadParams::pt)
            .ok_or(PublishError::CodecRefused { codec })?;
        if let Some(rid) = rid {
            writer = writer.rid(rid);
        }
        if let Some(level) = due.frame.level {
            writer = writer.audio_level(level.dbov, level.voice);
        }
        let rtp_time = MediaTime::new(due.rtp_time, frequency(codec));
        writer.write(pt, captured, rtp_time, due.frame.data.clone())?;
        Ok(())
    }

    /// Drives the connection until the owner must act on an event, or until `due`. May be dropped and called
    /// again at any time.
    pub async fn next(&mut self, due: Instant) -> Result<PeerEvent, PublishError> {
        loop {
            let timeout = match self.drain()? {
                Drained::Until(timeout) => timeout,
                Drained::Connected => return Ok(PeerEvent::Connected),
            };
            let now = Instant::now();
            if timeout <= now {
                self.rtc.handle_input(Input::Timeout(now))?;
                continue;
            }
            if due <= now {
                return Ok(PeerEvent::Due);
            }
            tokio::select! {
                biased;
                () = sleep_until(timeout.min(due).into()) => {}
                received = self.socket.recv_from(&mut self.datagram[..]) => {
                    let (len, from) = received.map_err(PublishError::Socket)?;
                    self.receive(len, from)?;
                }
            }
        }
    }

    pub fn close(mut self) {
        self.rtc.disconnect();
    }

    fn drain(&mut self) -> Result<Drained, PublishError> {
        loop {
            match self.rtc.poll_output()? {
                Output::Timeout(at) => return Ok(Drained::Until(at)),
                // With a full socket buffer the packet is lost, as on a network; NACK brings it back.
                Output::Transmit(packet) => {
                    let _ = self.socket.try_send_to(&packet.contents, packet.destination);
                }
                Output::Event(Event::Connected) => return Ok(Drained::Connected),
                Output::Event(Event::IceConnectionStateChange(IceConnectionState::Disconnected)) => {
                    return Err(PublishError::ConnectionLost);
                }
                // The contract of the module says why a request for a keyframe is not answered.
                Output::Event(Event::KeyframeRequest(request)) => {
                    tracing::debug!(mid = %request.mid, "keyframe requested: the clip's next one will do");
                }
                Output::Event(_) => {}
            }
        }
    }

    fn receive(&mut self, len: usize, from: SocketAddr) -> Result<(), PublishError> {
        // The server sends nothing but STUN, DTLS, RTP and RTCP.
        let Ok(contents) = self.datagram[..len].try_into() else {
            return Ok(());
        };
        let packet = Receive { proto: Protocol::Udp, source: from, destination: self.local, contents };
        self.rtc.handle_input(Input::Receive(Instant::now(), packet))?;
        Ok(())
    }
}

enum Drained {
    Until(Instant),
    Connected,
}

/// Returns the description of a simulcast track's streams for str0m; `None` for a single stream.
fn simulcast(track: &TrackClips) -> Option<Simulcast> {
    let mut simulcast = Simulcast::new();
    for rid in track.streams().filter_map(|(rid, _)| rid) {
        simulcast.add_send_layer(SimulcastLayer::new(rid));
    }
    (!simulcast.send.is_empty()).then_some(simulcast)
}

fn media_kind(kind: TrackKind) -> MediaKind {
    match kind {
        TrackKind::Audio => MediaKind::Audio,
        TrackKind::Video => MediaKind::Video,
    }
}

/// H.264 is negotiated in several payload types. Whole access units need packetization-mode 1 (RFC 6184,
/// section 6.3).
fn carries(params: &PayloadParams, codec: Codec) -> bool {
    let spec = params.spec();
    match codec {
        Codec::Vp8 => spec.codec == RtcCodec::Vp8,
        Codec::Vp9 => spec.codec == RtcCodec::Vp9,
        Codec::H265 => spec.codec == RtcCodec::H265,
        Codec::Av1 => spec.codec == RtcCodec::Av1,
        Codec::H264 => spec.codec == RtcCodec::H264 && spec.format.packetization_mode == Some(1),
        Codec::Opus => spec.codec == RtcCodec::Opus,
    }
}

fn frequency(codec: Codec) -> Frequency {
    debug_assert_eq!(clock_rate(Codec::Opus), Frequency::FORTY_EIGHT_KHZ.get());
    match codec.kind() {
        TrackKind::Video => Frequency::NINETY_KHZ,
        TrackKind::Audio => Frequency::FORTY_EIGHT_KHZ,
    }
}

/// Returns the local address from which the system would send to `server`. "Connecting" a UDP socket sends
/// nothing.
async fn local_address_towards(server: &str) -> Result<IpAddr, PublishError> {
    let url = Url::parse(server).map_err(|e| SignalFault::Url(e.to_string()))?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = url.port_or_known_default().unwrap_or(443);
    let found = tokio::net::lookup_host((host, port)).await.map_err(PublishError::Socket)?;
    // IPv4 first: the media ports of a LiveKit server listen on it in every set-up.
    let mut addresses: Vec<SocketAddr> = found.collect();
    addresses.sort_by_key(SocketAddr::is_ipv6);
    let Some(address) = addresses.first() else {
        return Ok(Ipv4Addr::LOCALHOST.into());
    };
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (std::net::Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let probe = UdpSocket::bind(any).await.map_err(PublishError::Socket)?;
    probe.connect(address).await.map_err(PublishError::Socket)?;
    Ok(probe.local_addr().map_err(PublishError::Socket)?.ip())
}
