//! A test participant: it joins a room as an ordinary client does, publishes a camera and a microphone from
//! clips that were encoded beforehand, and repeats them until it is told to leave.
//!
//! The demo and the benchmark use such participants; the recorder never publishes. Encoding is not done here
//! (see `demo::clips`), so that a participant costs next to nothing.
//!
//! Contract: picture and sound share one clock, RTP time never steps, and no frame is left out. A request for
//! a keyframe changes nothing: the next keyframe of the clip comes within a second. Jumping ahead to it would
//! drop source frames, which the benchmark counts.

mod clip;
mod peer;
mod signal;

use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_signaling::SignalError;
use livekit_token::AccessTokenError;
use str0m::media::{Mid, Rid};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use self::clip::ClipLoop;
pub use self::clip::{AudioLevel, Clip, ClipFrame, RIDS, TrackClips};
use self::peer::{Offer, Peer, PeerEvent, Stream};
use self::signal::{ServerMessage, Signal};
use crate::ids::RoomName;
use crate::media::Codec;

/// How long joining may take, from the first byte of signalling to a connection that carries media. A healthy
/// server needs less than a second. A machine that starts everything at once needs more.
const JOIN_DEADLINE: Duration = Duration::from_secs(15);
/// With nothing to send, only other events end the wait.
const FOREVER: Duration = Duration::from_secs(24 * 3600);

/// The participant, its tracks, and the server.
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
    pub tracks: Vec<TrackClips>,
}

/// A connected participant that has sent nothing yet.
pub struct Publisher {
    signal: Signal,
    peer: Peer,
    streams: Vec<PublishedStream>,
}

/// Why [`Publisher::run`] returned without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublishEnd {
    Cancelled,
    /// The server sent the participant away: room closed, participant removed, server going down.
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

/// The errors of signalling.
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

struct PublishedStream {
    stream: Stream,
    frames: ClipLoop,
}

impl Publisher {
    /// Joins, announces the tracks and connects. Once this returns, the room lists the tracks.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the token or a codec, or takes too long.
    pub async fn join(options: PublisherOptions) -> Result<Self, PublishError> {
        timeout(JOIN_DEADLINE, connect(options)).await.unwrap_or(Err(PublishError::JoinTimeout))
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
            let due = self.streams.iter().map(|s| s.frames.due()).min();
            let due = start + due.unwrap_or(FOREVER);
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(PublishEnd::Cancelled),
                message = self.signal.next() => match message? {
                    ServerMessage::Dismissed => return Ok(PublishEnd::Dismissed),
                    // Nothing to do: every track is published already, and there is no further negotiation.
                    ServerMessage::Published { .. } | ServerMessage::Answer { .. } | ServerMessage::Candidate { .. } | ServerMessage::Other => {}
                    ServerMessage::Refused { why } => return Err(SignalFault::Refused(why).into()),
                },
                event = self.peer.next(due) => match event? {
                    PeerEvent::Due => self.send_due(start)?,
                    PeerEvent::Connected => {}
                },
            }
        }
    }

    /// Sends one frame of the stream that is due first. The caller drains str0m before the next frame.
    fn send_due(&mut self, start: Instant) -> Result<(), PublishError> {
        let Some(published) = self.streams.iter_mut().min_by_key(|s| s.frames.due()) else {
            return Ok(());
        };
        let due = published.frames.take();
        self.peer.write(&published.stream, start + due.elapsed, &due)
    }

    async fn leave(self) {
        self.signal.leave().await;
        self.peer.close();
    }
}

async fn connect(options: PublisherOptions) -> Result<Publisher, PublishError> {
    let tracks = &options.tracks;
    let mut peer = Peer::bind(&options.url, tracks.iter().map(TrackClips::codec)).await?;
    let mut signal = Signal::connect(&options).await?;
    let cids = signal.announce(tracks).await?;
    let offer = peer.offer(&tracks.iter().zip(cids).collect::<Vec<_>>())?;
    let streams = tracks.iter().zip(&offer.mids).flat_map(|(track, mid)| streams(track, *mid)).collect();
    signal.offer(&offer.sdp).await;
    negotiate(&mut signal, &mut peer, offer).await?;
    Ok(Publisher { signal, peer, streams })
}

/// All streams of a track begin at the same RTP time, so that a picture has the same time in every size.
fn streams(track: &TrackClips, mid: Mid) -> impl Iterator<Item = PublishedStream> {
    let (codec, first_rtp_time) = (track.codec(), rand::random());
    track.streams().map(move |(rid, clip)| PublishedStream {
        stream: Stream { mid, rid: rid.map(Rid::from), codec },
        frames: ClipLoop::new(Arc::clone(clip), first_rtp_time),
    })
}

/// Negotiates a connection, from the offer until it carries media.
async fn negotiate(signal: &mut Signal, peer: &mut Peer, offer: Offer) -> Result<(), PublishError> {
    // Candidates cannot be used before the answer has brought the server's ICE credentials.
    let mut early: Vec<String> = Vec::new();
    let mut offer = Some(offer);
    loop {
        let message = tokio::select! {
            message = signal.next() => message?,
            event = peer.next(Instant::now() + FOREVER) => match event? {
                PeerEvent::Connected => return Ok(()),
                PeerEvent::Due => continue,
            },
        };
        match message {
            ServerMessage::Answer { sdp } => {
                if let Some(offer) = offer.take() {
                    peer.accept(offer, &sdp)?;
                }
                for line in early.drain(..) {
                    peer.add_remote_candidate(&line)?;
                }
            }
            ServerMessage::Candidate { line } if offer.is_some() => early.push(line),
            ServerMessage::Candidate { line } => peer.add_remote_candidate(&line)?,
            ServerMessage::Dismissed => return Err(PublishError::ConnectionLost),
            ServerMessage::Refused { why } => return Err(SignalFault::Refused(why).into()),
            ServerMessage::Published { .. } | ServerMessage::Other => {}
        }
    }
}
