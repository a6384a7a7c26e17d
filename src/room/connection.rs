//! One session with a LiveKit server: signalling, the subscriber's peer connection and its sockets.
//!
//! Does not decide what to do when one of them breaks (`reconnect`). A new session is a new [`Connection`].
//!
//! Contract: after every call that takes `&mut self`, the owner calls [`Connection::poll`] until it returns
//! [`PeerEvent::Wait`]. Signalling messages that are sent during a resume wait for its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalEvents, SignalResult};
use proto::signal_request::Message;
use secrecy::{ExposeSecret, SecretString};

use super::media_path::MediaPath;
use super::reconnect::ResumeReason;
use super::subscription::Subscription;
use super::transport::{Answered, Path, Peer, PeerEvent, Received, Sockets};
use super::{RoomError, RoomOptions, signalling};

/// How long a leave message may take to reach the server.
const LEAVE_TIMEOUT: Duration = Duration::from_millis(500);

pub struct Connection {
    signal: Arc<SignalClient>,
    pub signals: SignalEvents,
    pub sockets: Sockets,
    peer: Peer,
    pub path: MediaPath,
    negotiated: Option<Negotiated>,
    sending: Sending,
}

/// A session that has begun, and what the server told with its join response.
pub struct Entered {
    pub connection: Connection,
    pub room_sid: String,
    /// The participants in the room.
    pub participants: Vec<proto::ParticipantInfo>,
}

/// The last offer and answer. After a resume they tell the server the state of this client.
struct Negotiated {
    offer: proto::SessionDescription,
    answer: proto::SessionDescription,
}

enum Sending {
    Now,
    /// The signal client is locked during a resume. A task that waited for that lock would hold up media.
    AfterResume(Vec<Message>),
}

impl Connection {
    /// Joins the room, as the token says.
    pub async fn enter(options: &RoomOptions, token: &SecretString) -> Result<Entered, RoomError> {
        let (host, port) = signalling::host(&options.url);
        let sockets = Sockets::open(&host, port).await?;
        let asking = signalling::options(Subscription::auto(options.streams));
        let connect = SignalClient::connect(&options.url, token.expose_secret(), asking, None).await;
        let (signal, join, signals) =
            connect.map_err(|e| RoomError::Join { url: options.url.clone(), source: Box::new(e) })?;
        let now = Instant::now();
        let connection = Self {
            signal: Arc::new(signal),
            signals,
            peer: Peer::new(sockets.addresses(), &options.codecs, now)?,
            sockets,
            path: MediaPath::new(now),
            negotiated: None,
            sending: Sending::Now,
        };
        let room_sid = join.room.map(|r| r.sid).unwrap_or_default();
        Ok(Entered { connection, room_sid, participants: join.other_participants })
    }

    /// Returns the newest access token of this session: LiveKit sends one every few minutes.
    pub fn token(&self) -> SecretString {
        self.signal.token().into()
    }

    pub async fn leave(&self) {
        let leave = async {
            self.signal.send(Message::Leave(signalling::leave())).await;
            self.signal.close().await;
        };
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, leave).await;
    }

    /// Returns a future that makes a new signalling connection for this session. Once it has succeeded, the
    /// owner calls [`Connection::resumed`].
    pub fn resume(&mut self, reason: ResumeReason) -> impl Future<Output = SignalResult<()>> + Send + use<> {
        let signal = Arc::clone(&self.signal);
        self.sending = Sending::AfterResume(Vec::new());
        let reason = match reason {
            ResumeReason::SignallingLost => proto::ReconnectReason::RrSignalDisconnected,
            ResumeReason::MediaSilent => proto::ReconnectReason::RrSubscriberFailed,
        };
        async move { signal.restart(reason).await.map(|_| ()) }
    }

    /// Sends the state of this client, as the server expects after a resume, and then the messages that had
    /// to wait.
    pub async fn resumed(&mut self, subscription: proto::UpdateSubscription) {
        let (offer, answer) = match &self.negotiated {
            Some(n) => (Some(n.offer.clone()), Some(n.answer.clone())),
            None => (None, None),
        };
        let subscription = Some(subscription);
        let state = proto::SyncState { answer, offer, subscription, ..Default::default() };
        self.signal.send(Message::SyncState(state)).await;
        self.signal.set_reconnected().await;
        self.resume_over().await;
    }

    /// Sends the messages that had to wait for a resume. Without a signalling connection, the signal client
    /// keeps them for the next one.
    pub async fn resume_over(&mut self) {
        if let Sending::AfterResume(held) = std::mem::replace(&mut self.sending, Sending::Now) {
            for message in held {
                self.signal.send(message).await;
            }
        }
    }

    /// Returns a future that closes signalling for good, so that the server hears no more of this session.
    pub fn abandon(&self) -> impl Future<Output = ()> + Send + use<> {
        let signal = Arc::clone(&self.signal);
        async move {
            let _ = tokio::time::timeout(LEAVE_TIMEOUT, signal.close()).await;
        }
    }

    /// Returns whether there is a signalling connection. Not to be called during a resume.
    pub async fn is_signalling(&self) -> bool {
        self.signal.is_connected().await
    }

    pub async fn send(&mut self, message: Message) {
        match &mut self.sending {
            Sending::Now => self.signal.send(message).await,
            Sending::AfterResume(held) => held.push(message),
        }
    }

    /// Accepts an offer and sends the answer; returns what the offer changed.
    pub async fn answer(&mut self, offer: proto::SessionDescription) -> Result<Answered, RoomError> {
        let answered = self.peer.accept_offer(&offer.sdp)?;
        if answered.ice_restarted {
            self.sockets.close_tcp();
            self.path.restarted(Instant::now());
        }
        let answer = proto::SessionDescription {
            r#type: "answer".into(),
            sdp: answered.sdp.clone(),
            id: offer.id,
            ..Default::default()
        };
        let is_first = self.negotiated.is_none();
        self.negotiated = Some(Negotiated { offer, answer: answer.clone() });
        self.send(Message::Answer(answer)).await;
        if is_first {
            self.send_candidates().await;
        }
        Ok(answered)
    }

    pub fn trickle(&mut self, trickle: &proto::TrickleRequest) {
        let Some(candidate) = signalling::candidate(trickle, proto::SignalTarget::Subscriber) else { return };
        if let Err(error) = self.peer.add_remote_candidate(&candidate) {
            tracing::debug!(%error, candidate, "candidate not understood");
        }
        if self.path.is_tcp_tried() {
            self.open_tcp();
        }
    }

    /// Returns str0m's next output, unless it concerns this connection alone.
    pub fn poll(&mut self) -> Result<PeerEvent, RoomError> {
        loop {
            match self.peer.poll()? {
                PeerEvent::Transmit(path, datagram) => self.sockets.send(path, &datagram),
                PeerEvent::PathFound => self.path.ice_connected(Instant::now()),
                PeerEvent::Connected => {
                    self.path.connected(Instant::now());
                    return Ok(PeerEvent::Connected);
                }
                other => return Ok(other),
            }
        }
    }

    /// Passes a datagram from socket `index` to str0m; returns whether there was one.
    pub fn receive(&mut self, index: usize) -> bool {
        let now = Instant::now();
        match self.sockets.receive(index) {
            Received::Datagram(path, datagram) => {
                if let Some(first) = datagram.first() {
                    self.path.datagram(*first, now);
                }
                self.peer.receive(path, &datagram, now);
                true
            }
            Received::Empty => false,
            Received::Closed(path) => {
                self.peer.tcp_closed(path);
                false
            }
        }
    }

    pub fn tcp_opened(&mut self, path: Path) {
        tracing::debug!(?path, "media connection by tcp");
        self.peer.tcp_opened(path);
    }

    /// Tells str0m the time, and tries TCP if it is due.
    pub fn timeout(&mut self, now: Instant) {
        if self.path.tcp_due(now) {
            self.open_tcp();
        }
        self.peer.timeout(now);
    }

    pub fn request_keyframe(&mut self, sid: &crate::ids::TrackSid) {
        self.peer.request_keyframe(sid);
    }

    /// Shuts the failed peer connection: it does nothing any more.
    pub fn shut_peer(&mut self) {
        self.peer.shut();
    }

    fn open_tcp(&mut self) {
        for remote in self.peer.tcp_remotes() {
            self.sockets.open_tcp(remote);
        }
    }

    async fn send_candidates(&mut self) {
        let candidates: Vec<String> =
            self.sockets.addresses().filter_map(signalling::candidate_init).collect();
        let last = candidates.len().saturating_sub(1);
        for (n, candidate_init) in candidates.into_iter().enumerate() {
            let trickle = proto::TrickleRequest {
                candidate_init,
                target: proto::SignalTarget::Subscriber as i32,
                r#final: n == last,
            };
            self.send(Message::Trickle(trickle)).await;
        }
    }
}
