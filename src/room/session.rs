//! The room's event loop: one task that owns the connection, the observer, and the reconnecting.
//!
//! Contract: [`Session::run`] ends when cancelled, when the room ends, or when the server is lost for good.
//! Its last event is [`RoomEvent::Ended`]. It applies back-pressure: while its receiver is behind, datagrams
//! wait in the sockets' buffers.

use std::collections::HashMap;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use livekit_protocol as proto;
use livekit_signaling::{SignalError, SignalEvent};
use proto::{signal_request as request, signal_response as response};
use secrecy::SecretString;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::connection::{Connection, Entered};
use super::observer::{Keyframe, Observer};
use super::reconnect::{self, AfterLeave, Failure, Reconnect, Recovery, Step};
use super::subscription::Subscription;
use super::transport::{PeerEvent, Ready};
use super::{RoomCommand, RoomEnd, RoomError, RoomEvent, RoomOptions, signalling};
use crate::ids::TrackSid;

/// About a second of 25 tracks. When it is full, datagrams wait in the sockets' buffers.
const EVENT_QUEUE: usize = 2048;
const COMMAND_QUEUE: usize = 256;
/// Datagrams taken per wake-up, so that signalling and timers get their turn.
const DATAGRAMS_PER_TURN: usize = 64;
/// How long missing participants are waited for after a rejoin. LiveKit's clients try again for about ten
/// seconds after their server was restarted.
const RETURN_TIMEOUT: Duration = Duration::from_secs(15);

/// A joined room: the task to run, and the two ends that its owner holds.
pub struct Joined {
    pub session: Session,
    pub room_sid: String,
    /// Zero of the timeline: from the options, or the moment of joining.
    pub epoch: Instant,
    pub events: mpsc::Receiver<RoomEvent>,
    pub commands: mpsc::Sender<RoomCommand>,
}

pub struct Session {
    options: Arc<RoomOptions>,
    tokens: watch::Receiver<SecretString>,
    /// What was sent since the room was joined.
    newer_token: Option<SecretString>,
    connection: Connection,
    reconnect: Reconnect,
    attempt: Option<Attempt>,
    observer: Observer,
    /// The participants who were in the room before the recorder.
    joined_with: Vec<proto::ParticipantInfo>,
    subscription: Subscription,
    /// The last settings that the server was sent for each track. They are sent again to a new session.
    shown: HashMap<TrackSid, proto::UpdateTrackSettings>,
    /// Until when participants and tracks that are missing after a rejoin are waited for.
    waits_for_absent: Option<Instant>,
    commands: mpsc::Receiver<RoomCommand>,
}

/// An attempt to reconnect that is under way.
type Attempt = Pin<Box<dyn Future<Output = Attempted> + Send>>;

enum Attempted {
    Resumed(Result<(), SignalError>),
    Rejoined(Box<Result<Entered, RoomError>>),
}

/// How one turn of the loop ended.
enum Turn {
    Continue,
    End(RoomEnd),
}

/// Joins as the options' token says.
pub async fn join(options: RoomOptions) -> Result<Joined, RoomError> {
    signalling::install(options.ca_file.as_deref())?;
    let mut tokens = options.token.clone();
    let token = tokens.borrow_and_update().clone();
    let entered = Connection::enter(&options, &token).await?;
    let now = Instant::now();
    let epoch = options.epoch.unwrap_or(now);
    let (event_sender, events) = mpsc::channel(EVENT_QUEUE);
    let (commands, command_receiver) = mpsc::channel(COMMAND_QUEUE);
    let session = Session {
        reconnect: Reconnect::new(options.give_up_after, now),
        subscription: Subscription::new(options.streams),
        options: Arc::new(options),
        tokens,
        newer_token: None,
        connection: entered.connection,
        attempt: None,
        observer: Observer::new(epoch, event_sender),
        joined_with: entered.participants,
        shown: HashMap::new(),
        waits_for_absent: None,
        commands: command_receiver,
    };
    Ok(Joined { session, room_sid: entered.room_sid, epoch, events, commands })
}

impl Session {
    pub async fn run(mut self, cancel: CancellationToken) {
        let joined_with = std::mem::take(&mut self.joined_with);
        self.participants(joined_with).await;
        let end = loop {
            let polled = self.drain().await;
            if let Turn::End(end) = self.recover().await {
                break end;
            }
            let wait = self.deadline(polled);
            let turn = tokio::select! {
                biased;
                () = cancel.cancelled() => Turn::End(RoomEnd::Left),
                signal = self.connection.signals.recv() => self.signalled(signal).await,
                Some(command) = self.commands.recv() => self.command(command).await,
                attempted = attempt(&mut self.attempt) => self.attempted(attempted).await,
                ready = self.connection.sockets.ready() => self.receive(ready).await,
                () = tokio::time::sleep_until(wait.into()) => {
                    self.connection.timeout(Instant::now());
                    Turn::Continue
                }
            };
            match turn {
                Turn::Continue => {}
                Turn::End(end) => break end,
            }
        };
        self.observer.send_last_figures().await;
        self.connection.leave().await;
        self.observer.send(RoomEvent::Ended(end)).await;
    }

    /// Handles all of str0m's outputs; returns when str0m is to be called again.
    async fn drain(&mut self) -> Instant {
        loop {
            match self.connection.poll() {
                Ok(PeerEvent::Wait(until)) => return until,
                // Handled by the connection.
                Ok(PeerEvent::Transmit(..) | PeerEvent::PathFound) => {}
                Ok(PeerEvent::Connected) => {
                    tracing::debug!("media path connected");
                    self.observer.send(RoomEvent::Connected).await;
                }
                Ok(PeerEvent::Report(sid, report)) => self.observer.sender_report(&sid, report),
                Ok(PeerEvent::Counts(sid, counts)) => self.observer.counts(&sid, counts).await,
                Ok(PeerEvent::Frame(sid, frame)) => {
                    if self.observer.frame(sid.clone(), frame).await == Keyframe::Ask {
                        self.connection.request_keyframe(&sid);
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "peer connection failed");
                    self.connection.shut_peer();
                    self.reconnect.session_lost(Instant::now());
                }
            }
        }
    }

    /// Takes the steps that `reconnect` asks for.
    async fn recover(&mut self) -> Turn {
        loop {
            let now = Instant::now();
            let Some(step) = self.reconnect.step(self.connection.path.media(now), now) else { break };
            match step {
                Step::Interrupted(since) => self.interrupted(since).await,
                Step::Restored => {
                    tracing::info!("media path is up again");
                    let at = self.observer.media_time(now);
                    self.observer.send(RoomEvent::Restored { at }).await;
                }
                Step::Try(recovery) => self.attempt = Some(self.begin(recovery)),
                Step::GiveUp => {
                    let seconds = self.options.give_up_after.as_secs();
                    return Turn::End(RoomEnd::Lost(format!("livekit was out of reach for {seconds} s")));
                }
            }
        }
        if self.waits_for_absent.is_some_and(|until| until <= Instant::now()) {
            self.waits_for_absent = None;
            self.observer.give_up_absent().await;
        }
        Turn::Continue
    }

    fn begin(&mut self, recovery: Recovery) -> Attempt {
        tracing::info!(?recovery, "connecting again");
        match recovery {
            Recovery::Resume(reason) => {
                let resume = self.connection.resume(reason);
                Box::pin(async move { Attempted::Resumed(resume.await) })
            }
            Recovery::Rejoin => {
                let abandon = self.connection.abandon();
                let (options, token) = (Arc::clone(&self.options), self.token());
                Box::pin(async move {
                    abandon.await;
                    Attempted::Rejoined(Box::new(Connection::enter(&options, &token).await))
                })
            }
        }
    }

    /// The token to join again with: one that was sent since the room was joined, or LiveKit's newest.
    fn token(&mut self) -> SecretString {
        if let Ok(true) = self.tokens.has_changed() {
            self.newer_token = Some(self.tokens.borrow_and_update().clone());
        }
        self.newer_token.clone().unwrap_or_else(|| self.connection.token())
    }

    async fn attempted(&mut self, attempted: Attempted) -> Turn {
        let now = Instant::now();
        match attempted {
            // The new connection may be lost again already.
            Attempted::Resumed(Ok(())) if self.connection.is_signalling().await => {
                tracing::info!("signalling resumed");
                self.connection.resumed(self.subscription.state()).await;
                self.reconnect.resumed(now);
            }
            Attempted::Resumed(Ok(())) => self.failed(Failure::Unreachable).await,
            Attempted::Resumed(Err(SignalError::LeaveRequest { reason, action })) => {
                tracing::info!(?reason, ?action, "resume refused");
                match reconnect::after_leave(reason, action) {
                    AfterLeave::End(end) => return Turn::End(end),
                    AfterLeave::Resume => self.failed(Failure::Unreachable).await,
                    AfterLeave::Rejoin => self.failed(Failure::Refused).await,
                }
            }
            Attempted::Resumed(Err(error)) => {
                tracing::info!(%error, "signalling not resumed");
                self.failed(Failure::Unreachable).await;
            }
            Attempted::Rejoined(entered) => match *entered {
                Ok(entered) => self.rejoined(entered).await,
                Err(error) => {
                    tracing::info!(error = &error as &dyn std::error::Error, "room not joined again");
                    self.failed(Failure::Unreachable).await;
                }
            },
        }
        Turn::Continue
    }

    async fn failed(&mut self, failure: Failure) {
        self.connection.resume_over().await;
        self.reconnect.failed(failure, Instant::now(), rand::random());
    }

    /// Replaces the session by a new one; the recording goes on.
    async fn rejoined(&mut self, entered: Entered) {
        tracing::info!(room_sid = entered.room_sid, "room joined again");
        let now = Instant::now();
        let last_heard = self.connection.path.last_heard();
        if let Some(Step::Interrupted(since)) = self.reconnect.rejoined(last_heard, now) {
            self.interrupted(since).await;
        }
        self.connection = entered.connection;
        self.newer_token = None;
        self.subscription.forget();
        let participants = self.subscribe(entered.participants).await;
        self.observer.rejoined(&participants).await;
        self.waits_for_absent = self.observer.has_absent().then(|| now + RETURN_TIMEOUT);
        self.shown.retain(|sid, _| self.observer.is_published(sid));
        for settings in self.shown.values() {
            self.connection.send(request::Message::TrackSetting(settings.clone())).await;
        }
    }

    async fn interrupted(&mut self, since: Instant) {
        let reason = match self.reconnect.is_trying() {
            true => "livekit ended the session",
            false => "no answer from livekit on the media path",
        };
        let at = self.observer.media_time(since);
        self.observer.send(RoomEvent::Interrupted { at, reason: reason.into() }).await;
    }

    async fn receive(&mut self, ready: io::Result<Ready>) -> Turn {
        let index = match ready {
            Ok(Ready::Datagrams(index)) => index,
            Ok(Ready::Opened(path)) => {
                self.connection.tcp_opened(path);
                return Turn::Continue;
            }
            Err(error) => return Turn::End(RoomEnd::Lost(format!("media socket failed: {error}"))),
        };
        for _ in 0..DATAGRAMS_PER_TURN {
            if !self.connection.receive(index) {
                break;
            }
            self.drain().await;
        }
        Turn::Continue
    }

    async fn command(&mut self, command: RoomCommand) -> Turn {
        match command {
            RoomCommand::RequestKeyframe(sid) => {
                if self.observer.keyframe_wanted(&sid) == Keyframe::Ask {
                    self.connection.request_keyframe(&sid);
                }
            }
            RoomCommand::ShownAt { sid, size } => {
                self.observer.set_shown(&sid, true);
                self.set(sid.clone(), signalling::shown_at(&sid, size)).await;
            }
            RoomCommand::Hidden(sid) => {
                self.observer.set_shown(&sid, false);
                self.set(sid.clone(), signalling::hidden(&sid)).await;
            }
        }
        Turn::Continue
    }

    async fn set(&mut self, sid: TrackSid, settings: proto::UpdateTrackSettings) {
        self.connection.send(request::Message::TrackSetting(settings.clone())).await;
        self.shown.insert(sid, settings);
    }

    async fn signalled(&mut self, event: Option<SignalEvent>) -> Turn {
        match event {
            Some(SignalEvent::Message(message)) => return self.message(*message).await,
            // This is the close of a stream that is being replaced, or has been.
            Some(SignalEvent::Close(_)) if self.reconnect.is_trying() => {}
            Some(SignalEvent::Close(_)) if self.connection.is_signalling().await => {}
            Some(SignalEvent::Close(reason)) => {
                tracing::warn!(%reason, "signalling lost");
                self.reconnect.signalling_lost(Instant::now());
            }
            None => self.reconnect.session_lost(Instant::now()),
        }
        Turn::Continue
    }

    async fn message(&mut self, message: response::Message) -> Turn {
        match message {
            response::Message::Offer(offer) => self.offer(offer).await,
            response::Message::Trickle(trickle) => self.connection.trickle(&trickle),
            response::Message::Update(update) => self.participants(update.participants).await,
            response::Message::SpeakersChanged(changed) => self.observer.speakers(&changed.speakers).await,
            response::Message::Leave(leave) => return self.leave_request(&leave),
            // A recorder does not need quality and stream states. The signal client handles tokens and pings
            // itself.
            _ => {}
        }
        Turn::Continue
    }

    async fn participants(&mut self, infos: Vec<proto::ParticipantInfo>) {
        let infos = self.subscribe(infos).await;
        self.observer.participants(&infos).await;
    }

    /// Subscribes to the wanted tracks of these participants; returns the participants with those tracks
    /// only.
    async fn subscribe(&mut self, infos: Vec<proto::ParticipantInfo>) -> Vec<proto::ParticipantInfo> {
        let infos = self.subscription.keep_wanted(infos);
        if let Some(subscription) = self.subscription.ask(&infos) {
            self.connection.send(request::Message::Subscription(subscription)).await;
        }
        infos
    }

    fn leave_request(&mut self, leave: &proto::LeaveRequest) -> Turn {
        let (reason, action) = (leave.reason(), leave.action());
        tracing::info!(?reason, ?action, "livekit ends the session");
        let now = Instant::now();
        match reconnect::after_leave(reason, action) {
            AfterLeave::End(end) => return Turn::End(end),
            AfterLeave::Resume => self.reconnect.signalling_lost(now),
            AfterLeave::Rejoin => self.reconnect.session_lost(now),
        }
        Turn::Continue
    }

    async fn offer(&mut self, offer: proto::SessionDescription) {
        let id = offer.id;
        match self.connection.answer(offer).await {
            Ok(answered) => {
                for sid in &answered.removed {
                    self.observer.remove_track(sid).await;
                }
                for (sid, kind) in answered.added {
                    self.observer.add_track(sid, kind);
                }
            }
            // The streams that were negotiated before go on.
            Err(error) => tracing::error!(%error, offer = id, "offer not understood"),
        }
    }

    /// Returns when the loop must act even if no event comes. `polled` is when str0m is to be called.
    fn deadline(&self, polled: Instant) -> Instant {
        let path = self.connection.path.deadline(Instant::now());
        let others = [path, self.reconnect.deadline(), self.waits_for_absent];
        others.into_iter().flatten().fold(polled, Instant::min)
    }
}

/// Waits for the end of the attempt that is under way; forever, if there is none.
async fn attempt(attempt: &mut Option<Attempt>) -> Attempted {
    match attempt {
        Some(running) => {
            let attempted = running.await;
            *attempt = None;
            attempted
        }
        None => std::future::pending().await,
    }
}
