//! Owns a test participant: joins a room as an ordinary client does, publishes a camera and a
//! microphone from clips that were encoded beforehand, and repeats them until it is told to leave.
//! The demo and the benchmark are made of these; the recorder never publishes. Encoding is not
//! done here (see `demo::clips`), so that a participant costs next to nothing.
//!
//! Contract: picture and sound share one clock, RTP time never steps, and no frame is left out,
//! whoever asks for a keyframe: the asker waits for the clip's next one, a second at most. Jumping
//! ahead to it would drop source frames, which the benchmark counts.

mod clip;
mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalError, SignalEvent, SignalEvents, SignalOptions};
use livekit_token::{AccessToken, AccessTokenError, VideoGrants};
use proto::{signal_request, signal_response};
use str0m::media::Mid;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::clip::ClipLoop;
pub use self::clip::{AudioLevel, Clip, ClipFrame};
use self::peer::{Offer, Peer, PeerEvent, kind_of};
use crate::ids::RoomName;
use crate::media::{Codec, TrackKind};

/// From the first byte of signalling to a connection that carries media. A healthy server needs
/// less than a second; a machine that is starting everything at once needs more.
const JOIN_DEADLINE: Duration = Duration::from_secs(15);
/// While there is nothing to send, somebody else ends the wait.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// Who publishes what, and where.
#[derive(Clone)]
pub struct PublisherOptions {
    /// `ws://` or `http://` URL of the LiveKit server.
    pub url: String,
    pub api_key: String,
    pub api_secret: String,
    pub room: RoomName,
    pub identity: String,
    /// The name that other participants see.
    pub name: String,
    /// At most one with a picture and one with sound.
    pub clips: Vec<Arc<Clip>>,
}

/// A participant that is connected; nothing has been sent yet.
pub struct Publisher {
    signal: Signal,
    peer: Peer,
    tracks: Vec<PublishedTrack>,
}

/// Why [`Publisher::run`] came back without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishEnd {
    Cancelled,
    /// The server sent us away: room closed, participant removed, server going down.
    Dismissed,
}

#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error("cannot make an access token")]
    Token(#[from] AccessTokenError),
    #[error("LiveKit signalling failed")]
    Signal(#[from] SignalFault),
    #[error("LiveKit did not connect the publisher within {} s", JOIN_DEADLINE.as_secs())]
    JoinTimeout,
    #[error("cannot use a UDP socket")]
    Socket(#[source] std::io::Error),
    #[error("session description or candidate not understood: {0}")]
    Sdp(String),
    #[error("the media connection failed")]
    Rtc(#[from] str0m::RtcError),
    #[error("there is no clip to publish")]
    NothingToPublish,
    #[error("LiveKit does not take {codec:?}; is it enabled for the room?")]
    CodecRefused { codec: Codec },
    #[error("the media connection was lost")]
    ConnectionLost,
}

/// What can go wrong on the way of the signals.
#[derive(Debug, thiserror::Error)]
pub enum SignalFault {
    #[error("not a URL: {0}")]
    Url(String),
    #[error(transparent)]
    Client(#[from] SignalError),
    #[error("the signalling connection was closed: {0}")]
    Closed(String),
    #[error("the server refused to publish: {0}")]
    Refused(String),
}

struct Signal {
    client: SignalClient,
    events: SignalEvents,
}

struct PublishedTrack {
    mid: Mid,
    codec: Codec,
    frames: ClipLoop,
}

/// A signal that matters to a publisher.
enum Told {
    Published { cid: String },
    Answer { sdp: String },
    Candidate { line: String },
    Dismissed,
    Refused { why: String },
    Nothing,
}

impl Publisher {
    /// Joins, announces the tracks and connects. Once this returns, the room lists the tracks.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the token or a codec, or takes too long.
    pub async fn join(options: PublisherOptions) -> Result<Self, PublishError> {
        timeout(JOIN_DEADLINE, connect(options))
            .await
            .unwrap_or(Err(PublishError::JoinTimeout))
    }

    /// Publishes until `cancel` or until the server ends it, then leaves.
    ///
    /// # Errors
    /// If the connection to the server is lost.
    pub async fn run(mut self, cancel: CancellationToken) -> Result<PublishEnd, PublishError> {
        let ended = self.publish(&cancel).await;
        self.leave().await;
        ended
    }

    async fn publish(&mut self, cancel: &CancellationToken) -> Result<PublishEnd, PublishError> {
        let start = Instant::now();
        loop {
            let due = self.tracks.iter().map(|t| t.frames.due()).min();
            let due = start + due.unwrap_or(FOREVER);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(PublishEnd::Cancelled),
                told = self.signal.next() => match told? {
                    Told::Dismissed => return Ok(PublishEnd::Dismissed),
                    // The server restarts nothing that we have, and offers nothing that we want.
                    Told::Published { .. } | Told::Answer { .. } | Told::Candidate { .. } | Told::Nothing => {}
                    Told::Refused { why } => return Err(SignalFault::Refused(why).into()),
                },
                event = self.peer.next(due) => match event? {
                    PeerEvent::Due => self.send_due(start)?,
                    PeerEvent::Connected => {}
                },
            }
        }
    }

    /// One frame of the track whose turn it is; the caller drains str0m before the next.
    fn send_due(&mut self, start: Instant) -> Result<(), PublishError> {
        let Some(track) = self.tracks.iter_mut().min_by_key(|t| t.frames.due()) else {
            return Ok(());
        };
        let due = track.frames.take();
        self.peer
            .write(track.mid, track.codec, start + due.elapsed, &due)
    }

    async fn leave(self) {
        let reason = proto::DisconnectReason::ClientInitiated as i32;
        let action = proto::leave_request::Action::Disconnect as i32;
        let leave = proto::LeaveRequest {
            reason,
            action,
            ..Default::default()
        };
        self.signal
            .client
            .send(signal_request::Message::Leave(leave))
            .await;
        self.signal.client.close().await;
        self.peer.close();
    }
}

async fn connect(options: PublisherOptions) -> Result<Publisher, PublishError> {
    let codecs = options.clips.iter().map(|c| c.codec);
    let mut peer = Peer::bind(&options.url, codecs).await?;
    let mut signal = Signal::connect(&options).await?;
    let cids = signal.announce(&options.clips).await?;
    let tracks: Vec<(TrackKind, String)> =
        options.clips.iter().map(|c| kind_of(c)).zip(cids).collect();
    let offer = peer.offer(&tracks)?;
    let mids = offer.mids.clone();
    signal.send_offer(&offer).await;
    negotiate(&mut signal, &mut peer, offer).await?;
    let tracks = options
        .clips
        .into_iter()
        .zip(mids)
        .map(|(clip, mid)| PublishedTrack {
            mid,
            codec: clip.codec,
            frames: ClipLoop::new(clip, rand::random()),
        })
        .collect();
    Ok(Publisher {
        signal,
        peer,
        tracks,
    })
}

/// From the offer to a connection that carries media.
async fn negotiate(signal: &mut Signal, peer: &mut Peer, offer: Offer) -> Result<(), PublishError> {
    // Candidates mean nothing before the answer has brought the server's ICE credentials.
    let mut early: Vec<String> = Vec::new();
    let mut offer = Some(offer);
    loop {
        let told = tokio::select! {
            told = signal.next() => told?,
            event = peer.next(Instant::now() + FOREVER) => match event? {
                PeerEvent::Connected => return Ok(()),
                PeerEvent::Due => continue,
            },
        };
        match told {
            Told::Answer { sdp } => {
                if let Some(offer) = offer.take() {
                    peer.accept(offer, &sdp)?;
                }
                for line in early.drain(..) {
                    peer.add_remote_candidate(&line)?;
                }
            }
            Told::Candidate { line } if offer.is_some() => early.push(line),
            Told::Candidate { line } => peer.add_remote_candidate(&line)?,
            Told::Dismissed => return Err(PublishError::ConnectionLost),
            Told::Refused { why } => return Err(SignalFault::Refused(why).into()),
            Told::Published { .. } | Told::Nothing => {}
        }
    }
}

impl Signal {
    async fn connect(options: &PublisherOptions) -> Result<Self, PublishError> {
        let token = access_token(options)?;
        let (client, _join, events) =
            SignalClient::connect(&options.url, &token, signal_options(), None)
                .await
                .map_err(SignalFault::from)?;
        Ok(Self { client, events })
    }

    /// Announces a track for each clip; answers with their client ids once the server knows all.
    async fn announce(&mut self, clips: &[Arc<Clip>]) -> Result<Vec<String>, PublishError> {
        let cids: Vec<String> = clips.iter().map(|c| client_id(c.codec)).collect();
        for (clip, cid) in clips.iter().zip(&cids) {
            let request = add_track_request(clip, cid);
            self.client
                .send(signal_request::Message::AddTrack(request))
                .await;
        }
        let mut waiting = cids.clone();
        while !waiting.is_empty() {
            match self.next().await? {
                Told::Published { cid } => waiting.retain(|w| *w != cid),
                Told::Refused { why } => return Err(SignalFault::Refused(why).into()),
                Told::Dismissed => return Err(PublishError::ConnectionLost),
                Told::Answer { .. } | Told::Candidate { .. } | Told::Nothing => {}
            }
        }
        Ok(cids)
    }

    async fn send_offer(&self, offer: &Offer) {
        let offer = proto::SessionDescription {
            r#type: "offer".into(),
            sdp: offer.sdp.clone(),
            ..Default::default()
        };
        self.client
            .send(signal_request::Message::Offer(offer))
            .await;
    }

    async fn next(&mut self) -> Result<Told, SignalFault> {
        match self.events.recv().await {
            Some(SignalEvent::Message(message)) => Ok(told(*message)),
            Some(SignalEvent::Close(why)) => Err(SignalFault::Closed(why.into_owned())),
            None => Err(SignalFault::Closed("no more events".into())),
        }
    }
}

fn told(message: signal_response::Message) -> Told {
    use signal_response::Message;
    match message {
        Message::TrackPublished(published) => Told::Published { cid: published.cid },
        Message::Answer(answer) => Told::Answer { sdp: answer.sdp },
        Message::Trickle(trickle) => candidate_for_publisher(&trickle),
        Message::Leave(_) => Told::Dismissed,
        Message::RequestResponse(r) if r.reason() != proto::request_response::Reason::Ok => {
            Told::Refused {
                why: format!("{:?}: {}", r.reason(), r.message),
            }
        }
        // Everything about others, whom a publisher does not follow. As the token lets it subscribe
        // to nothing, the server offers it no second connection.
        _ => Told::Nothing,
    }
}

fn candidate_for_publisher(trickle: &proto::TrickleRequest) -> Told {
    if trickle.target() != proto::SignalTarget::Publisher {
        return Told::Nothing;
    }
    // `RTCIceCandidateInit` as JSON; an empty candidate marks the end of them.
    let init: serde_json::Value = serde_json::from_str(&trickle.candidate_init).unwrap_or_default();
    match init["candidate"].as_str() {
        Some(line) if !line.is_empty() => Told::Candidate {
            line: line.to_owned(),
        },
        Some(_) | None => Told::Nothing,
    }
}

fn signal_options() -> SignalOptions {
    // Marked non-exhaustive, so it cannot be written as one literal.
    let mut options = SignalOptions::default();
    options.auto_subscribe = false;
    options.adaptive_stream = false;
    options.single_peer_connection = false;
    options.region_failover = false;
    options.client_capabilities = Vec::new();
    options.client_protocol = 0;
    options
}

fn access_token(options: &PublisherOptions) -> Result<String, AccessTokenError> {
    let grants = VideoGrants {
        room_join: true,
        room: options.room.to_string(),
        can_publish: Some(true),
        can_subscribe: Some(false),
        can_publish_data: Some(false),
        ..Default::default()
    };
    AccessToken::with_api_key(&options.api_key, &options.api_secret)
        .with_identity(&options.identity)
        .with_name(&options.name)
        .with_grants(grants)
        .to_jwt()
}

fn client_id(codec: Codec) -> String {
    let kind = match codec.kind() {
        TrackKind::Audio => "microphone",
        TrackKind::Video => "camera",
    };
    format!("{kind}-{:08x}", rand::random::<u32>())
}

fn add_track_request(clip: &Clip, cid: &str) -> proto::AddTrackRequest {
    let (kind, source, name) = match clip.codec.kind() {
        TrackKind::Audio => (
            proto::TrackType::Audio,
            proto::TrackSource::Microphone,
            "microphone",
        ),
        TrackKind::Video => (
            proto::TrackType::Video,
            proto::TrackSource::Camera,
            "camera",
        ),
    };
    let codec = match clip.codec {
        Codec::Vp8 => "vp8",
        Codec::H264 => "h264",
        Codec::Opus => "opus",
    };
    let (width, height) = clip.size.map_or((0, 0), |s| (s.width, s.height));
    proto::AddTrackRequest {
        cid: cid.to_owned(),
        name: name.to_owned(),
        r#type: kind as i32,
        source: source as i32,
        width,
        height,
        layers: clip
            .size
            .map(|_| single_layer(width, height))
            .into_iter()
            .collect(),
        simulcast_codecs: vec![proto::SimulcastCodec {
            codec: codec.to_owned(),
            cid: cid.to_owned(),
            ..Default::default()
        }],
        // Redundant sound (RFC 2198) would have to be sent by us; we send none.
        disable_red: true,
        ..Default::default()
    }
}

fn single_layer(width: u32, height: u32) -> proto::VideoLayer {
    proto::VideoLayer {
        quality: proto::VideoQuality::High as i32,
        width,
        height,
        ..Default::default()
    }
}
