//! The room's event loop: one task that joins signalling, sockets and peer connection.
//!
//! Contract: [`Session::run`] ends when cancelled, when the room ends, or when the server is lost for
//! good; its last event is [`RoomEvent::Ended`]. It applies back-pressure: while its receiver is behind,
//! datagrams wait in the socket's buffer.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::{SignalClient, SignalEvent, SignalEvents};
use proto::{signal_request as request, signal_response as response};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::error::RoomError;
use super::keyframes::Verdict;
use super::peer::{Output, Peer};
use super::received::ReceivedFrame;
use super::roster::{Change, Roster};
use super::signalling::{self, AutoSubscribe};
use super::sockets::Sockets;
use super::speakers::Speakers;
use super::timeline::Timeline;
use super::track::Track;
use super::{RoomCommand, RoomEnd, RoomEvent, RoomOptions};
use crate::ids::TrackSid;
use crate::media::{EncodedFrame, MediaTime, TrackKind};

/// About a second of 25 tracks; then the sockets' buffers fill.
const EVENT_QUEUE: usize = 2048;
const COMMAND_QUEUE: usize = 256;
/// Datagrams taken per wake-up, so that signalling and timers get their turn.
const DATAGRAMS_PER_TURN: usize = 64;
/// Larger than any datagram that a path with an MTU of 1500 brings; jumbo frames fit too.
const DATAGRAM_BYTES: usize = 16 << 10;
/// The server forgets a participant whose signalling is gone for about this long.
const RESUME_ATTEMPTS: u32 = 20;
const RESUME_PAUSE: Duration = Duration::from_millis(500);

/// A joined room: the task to run, and the two ends that its owner holds.
pub struct Joined {
    pub session: Session,
    pub room_sid: String,
    /// Zero of the timeline: the moment of joining.
    pub epoch: Instant,
    pub events: mpsc::Receiver<RoomEvent>,
    pub commands: mpsc::Sender<RoomCommand>,
}

pub struct Session {
    /// Who was there before us.
    joined_with: Vec<proto::ParticipantInfo>,
    signal: SignalClient,
    signals: SignalEvents,
    sockets: Sockets,
    peer: Peer,
    roster: Roster,
    speakers: Speakers,
    timeline: Timeline,
    tracks: HashMap<TrackSid, Track>,
    epoch: Instant,
    negotiated: Option<Negotiated>,
    events: mpsc::Sender<RoomEvent>,
    commands: mpsc::Receiver<RoomCommand>,
}

/// The last offer and answer: a resume tells the server where we stand.
struct Negotiated {
    offer: proto::SessionDescription,
    answer: proto::SessionDescription,
}

/// What one turn of the loop found out.
enum Turn {
    Continue,
    End(RoomEnd),
}

/// Joins as a hidden recorder.
pub async fn join(options: RoomOptions) -> Result<Joined, RoomError> {
    let token = signalling::recorder_token(&options)?;
    let (host, port) = signalling::host(&options.url);
    let sockets = Sockets::open(&host, port).await?;
    let connect =
        SignalClient::connect(&options.url, &token, signalling::options(AutoSubscribe::Yes), None).await;
    let (signal, join, signals) =
        connect.map_err(|e| RoomError::Join { url: options.url.clone(), source: Box::new(e) })?;
    let epoch = Instant::now();
    let peer = Peer::new(sockets.addresses(), &options.codecs, epoch)?;
    let (event_sender, events) = mpsc::channel(EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(COMMAND_QUEUE);
    let session = Session {
        joined_with: join.other_participants,
        signal,
        signals,
        sockets,
        peer,
        roster: Roster::default(),
        speakers: Speakers::default(),
        timeline: Timeline::default(),
        tracks: HashMap::new(),
        epoch,
        negotiated: None,
        events: event_sender,
        commands: command_receiver,
    };
    let room_sid = join.room.map(|r| r.sid).unwrap_or_default();
    Ok(Joined { session, room_sid, epoch, events, commands })
}

impl Session {
    pub async fn run(mut self, cancel: CancellationToken) {
        let joined_with = std::mem::take(&mut self.joined_with);
        self.participants(&joined_with).await;
        let end = loop {
            let wait = match self.drain().await {
                Ok(wait) => wait,
                Err(error) => break RoomEnd::Lost(error.to_string()),
            };
            let turn = tokio::select! {
                biased;
                () = cancel.cancelled() => Turn::End(RoomEnd::Left),
                signal = self.signals.recv() => self.signalled(signal).await,
                Some(command) = self.commands.recv() => self.command(command).await,
                readable = self.sockets.readable() => self.receive(readable).await,
                () = tokio::time::sleep_until(wait.into()) => {
                    self.peer.timeout(Instant::now());
                    Turn::Continue
                }
            };
            match turn {
                Turn::Continue => {}
                Turn::End(end) => break end,
            }
        };
        let last: Vec<TrackSid> = self.tracks.keys().cloned().collect();
        for sid in &last {
            self.tell_figures(sid).await;
        }
        self.leave().await;
        self.tell(RoomEvent::Ended(end)).await;
    }

    async fn leave(&self) {
        let leave = signalling::leave();
        self.signal.send(request::Message::Leave(leave)).await;
        self.signal.close().await;
    }

    /// Lets str0m say all it has to say; answers when it wants to be called again.
    async fn drain(&mut self) -> Result<Instant, RoomError> {
        loop {
            match self.peer.poll()? {
                Output::Wait(until) => return Ok(until),
                Output::Transmit { from, to, datagram } => self.sockets.send(from, to, &datagram),
                Output::Connected => {
                    tracing::debug!("media path connected");
                    self.tell(RoomEvent::Connected).await;
                }
                Output::Unreachable => tracing::warn!("livekit does not answer on the media path"),
                Output::Report(sid, report) => self.timeline.sender_report(&sid, report),
                Output::Frame(sid, frame) => self.frame(sid, frame).await,
                Output::Counts(sid, counts) => {
                    if let Some(track) = self.tracks.get_mut(&sid) {
                        track.counted(counts);
                        self.tell_figures(&sid).await;
                    }
                }
            }
        }
    }

    async fn receive(&mut self, readable: std::io::Result<usize>) -> Turn {
        let index = match readable {
            Ok(index) => index,
            Err(error) => return Turn::End(RoomEnd::Lost(format!("media socket failed: {error}"))),
        };
        let mut buffer = [0_u8; DATAGRAM_BYTES];
        for _ in 0..DATAGRAMS_PER_TURN {
            let Some((len, from, to)) = self.sockets.receive(index, &mut buffer) else { break };
            self.peer.receive(from, to, &buffer[..len], Instant::now());
            if let Err(error) = self.drain().await {
                return Turn::End(RoomEnd::Lost(error.to_string()));
            }
        }
        Turn::Continue
    }

    async fn frame(&mut self, sid: TrackSid, received: ReceivedFrame) {
        let arrival = self.media_time(received.arrival);
        let Some(track) = self.tracks.get_mut(&sid) else { return };
        match track.receive(&received, Instant::now()) {
            Verdict::Pass => {}
            Verdict::Drop => return,
            Verdict::DropAndRequest => return self.peer.request_keyframe(&sid),
        }
        let Some(time) = self.timeline.place(&sid, received.rtp, arrival) else { return };
        let frame = EncodedFrame {
            codec: received.codec,
            time,
            data: received.data,
            keyframe: received.keyframe,
            rotation: received.rotation,
            discontinuity: !received.contiguous,
        };
        self.tell(RoomEvent::Frame { sid, frame }).await;
    }

    async fn command(&mut self, command: RoomCommand) -> Turn {
        match command {
            RoomCommand::RequestKeyframe(sid) => {
                let wanted = self.tracks.get_mut(&sid).is_some_and(|t| t.keyframe_wanted(Instant::now()));
                if wanted {
                    self.peer.request_keyframe(&sid);
                }
            }
            RoomCommand::ShownAt { sid, size } => {
                if let Some(track) = self.tracks.get_mut(&sid) {
                    track.set_shown(true);
                }
                let settings = signalling::shown_at(&sid, size);
                self.signal.send(request::Message::TrackSetting(settings)).await;
            }
            RoomCommand::Hidden(sid) => {
                if let Some(track) = self.tracks.get_mut(&sid) {
                    track.set_shown(false);
                }
                let settings = signalling::hidden(&sid);
                self.signal.send(request::Message::TrackSetting(settings)).await;
            }
        }
        Turn::Continue
    }

    async fn signalled(&mut self, event: Option<SignalEvent>) -> Turn {
        match event {
            Some(SignalEvent::Message(message)) => self.message(*message).await,
            Some(SignalEvent::Close(reason)) => self.signal_closed(&reason).await,
            None => Turn::End(RoomEnd::Lost("the signalling connection is gone".into())),
        }
    }

    async fn message(&mut self, message: response::Message) -> Turn {
        match message {
            response::Message::Offer(offer) => return self.offer(offer).await,
            response::Message::Trickle(trickle) => self.trickle(&trickle),
            response::Message::Update(update) => self.participants(&update.participants).await,
            response::Message::SpeakersChanged(changed) => {
                self.speakers.update(&changed.speakers);
                let speakers = self.speakers.list(&self.roster);
                self.tell(RoomEvent::Speakers { speakers, at: self.media_time(Instant::now()) }).await;
            }
            response::Message::Leave(leave) => return Turn::End(end_of(&leave)),
            // Quality and stream states are of no use to a recorder; tokens and pings are the
            // signal client's own business.
            _ => {}
        }
        Turn::Continue
    }

    async fn offer(&mut self, offer: proto::SessionDescription) -> Turn {
        let answered = match self.peer.accept_offer(&offer.sdp) {
            Ok(answered) => answered,
            Err(error) => {
                // The streams that were negotiated before go on.
                tracing::error!(%error, offer = offer.id, "offer not understood");
                return Turn::Continue;
            }
        };
        for sid in &answered.removed {
            self.tell_figures(sid).await;
            self.tracks.remove(sid);
            self.timeline.remove(sid);
        }
        for (sid, kind) in answered.added {
            self.add_track(sid, kind);
        }
        let first = self.negotiated.is_none();
        let answer = proto::SessionDescription {
            r#type: "answer".into(),
            sdp: answered.sdp,
            id: offer.id,
            ..Default::default()
        };
        self.negotiated = Some(Negotiated { offer, answer: answer.clone() });
        self.signal.send(request::Message::Answer(answer)).await;
        if first {
            self.send_candidates().await;
        }
        Turn::Continue
    }

    fn add_track(&mut self, sid: TrackSid, kind: TrackKind) {
        // An offer may overtake the update that tells whose its tracks are; until that comes, the
        // track stands for a publisher of its own.
        let publisher = self.roster.track(&sid).map_or_else(|| sid.0.clone(), |t| t.publisher.clone());
        tracing::debug!(track = %sid, publisher, ?kind, "track negotiated");
        self.timeline.add(sid.clone(), publisher, kind);
        self.tracks.insert(sid, Track::default());
    }

    async fn send_candidates(&self) {
        let candidates: Vec<String> =
            self.sockets.addresses().filter_map(signalling::candidate_init).collect();
        let last = candidates.len().saturating_sub(1);
        for (n, candidate_init) in candidates.into_iter().enumerate() {
            let trickle = proto::TrickleRequest {
                candidate_init,
                target: proto::SignalTarget::Subscriber as i32,
                r#final: n == last,
            };
            self.signal.send(request::Message::Trickle(trickle)).await;
        }
    }

    fn trickle(&mut self, trickle: &proto::TrickleRequest) {
        let Some(candidate) = signalling::candidate(trickle, proto::SignalTarget::Subscriber) else { return };
        if let Err(error) = self.peer.add_remote_candidate(&candidate) {
            tracing::debug!(%error, candidate, "candidate not understood");
        }
    }

    async fn participants(&mut self, infos: &[proto::ParticipantInfo]) {
        let before = self.roster.participants();
        let at = self.media_time(Instant::now());
        for change in self.roster.update(infos) {
            match change {
                Change::Joined(participant) => {
                    self.tell(RoomEvent::ParticipantJoined { participant, at }).await;
                }
                Change::Left(identity) => self.tell(RoomEvent::ParticipantLeft { identity, at }).await,
                Change::Published(track) => {
                    if self.tracks.contains_key(&track.sid) {
                        self.timeline.add(track.sid.clone(), track.publisher.clone(), track.kind);
                    }
                    self.tell(RoomEvent::Published(track)).await;
                }
                Change::Unpublished(sid) => self.tell(RoomEvent::Unpublished { sid, at }).await,
                Change::Muted(sid, muted) => {
                    if let Some(track) = self.tracks.get_mut(&sid).filter(|_| !muted) {
                        track.restart();
                    }
                    self.tell(RoomEvent::Muted { sid, muted, at }).await;
                }
            }
        }
        if self.roster.participants() != before {
            self.tell(RoomEvent::Participants(self.roster.participants())).await;
        }
    }

    async fn signal_closed(&mut self, reason: &str) -> Turn {
        // The close of a stream that a resume has replaced already.
        if self.signal.is_connected().await {
            return Turn::Continue;
        }
        tracing::warn!(reason, "signalling lost, resuming");
        for attempt in 1..=RESUME_ATTEMPTS {
            match self.signal.restart(proto::ReconnectReason::RrSignalDisconnected).await {
                Ok(_) => {
                    self.resumed().await;
                    tracing::info!(attempt, "signalling resumed");
                    return Turn::Continue;
                }
                Err(error) => tracing::debug!(%error, attempt, "resume failed"),
            }
            if let Err(error) = self.media_during_resume().await {
                return Turn::End(RoomEnd::Lost(error.to_string()));
            }
        }
        Turn::End(RoomEnd::Lost(format!("signalling to livekit was lost: {reason}")))
    }

    /// Media needs no signalling: between two attempts it goes on.
    async fn media_during_resume(&mut self) -> Result<(), RoomError> {
        let until = tokio::time::Instant::now() + RESUME_PAUSE;
        loop {
            let wait = self.drain().await?;
            tokio::select! {
                () = tokio::time::sleep_until(until) => return Ok(()),
                readable = self.sockets.readable() => drop(self.receive(readable).await),
                () = tokio::time::sleep_until(wait.into()) => self.peer.timeout(Instant::now()),
            }
        }
    }

    async fn resumed(&self) {
        let (offer, answer) = match &self.negotiated {
            Some(n) => (Some(n.offer.clone()), Some(n.answer.clone())),
            None => (None, None),
        };
        let subscription = Some(proto::UpdateSubscription { subscribe: true, ..Default::default() });
        let state = proto::SyncState { answer, offer, subscription, ..Default::default() };
        self.signal.send(request::Message::SyncState(state)).await;
        self.signal.set_reconnected().await;
    }

    /// Tells a track's figures if they have changed.
    async fn tell_figures(&mut self, sid: &TrackSid) {
        let Some(track) = self.tracks.get_mut(sid) else { return };
        if let Some(clock) = self.timeline.figures(sid) {
            track.clocked(clock);
        }
        if let Some(figures) = track.news() {
            self.tell(RoomEvent::Received { sid: sid.clone(), figures }).await;
        }
    }

    async fn tell(&self, event: RoomEvent) {
        // A receiver that is gone has cancelled this session or is about to.
        let _ = self.events.send(event).await;
    }

    fn media_time(&self, instant: Instant) -> MediaTime {
        let nanos = match instant.checked_duration_since(self.epoch) {
            Some(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            None => -i64::try_from((self.epoch - instant).as_nanos()).unwrap_or(i64::MAX),
        };
        MediaTime::from_nanos(nanos)
    }
}

fn end_of(leave: &proto::LeaveRequest) -> RoomEnd {
    match leave.reason() {
        proto::DisconnectReason::RoomDeleted | proto::DisconnectReason::RoomClosed => RoomEnd::Closed,
        reason => RoomEnd::Lost(format!("livekit ended the connection: {}", reason.as_str_name())),
    }
}
