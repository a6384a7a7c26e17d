//! The event loop of one recording. What is due and when is decided in `pace`; here things are only
//! carried from one part to the next.

mod preview;
mod quality;
mod room_events;
mod start;
mod ticks;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secrecy::SecretString;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::error::{WorkerError, report};
use super::feed::TrackFeed;
use super::file::FileWriter;
use super::idle::Idle;
use super::layers::Layers;
use super::limits;
use super::messages::{EndReason, Event, WorkerSpec};
use super::pace::Pace;
use super::quality::Quality;
use super::spool::SpoolError;
use super::stdio::{Commands, Events};
use crate::compose::Composer;
use crate::encode::Encoder;
use crate::ids::TrackSid;
use crate::media::{Codec, MediaTime, View};
use crate::room::{RoomCommand, RoomEvent};

use preview::Previews;
use ticks::Wait;

/// The service counts a worker that is silent for long as hung. New bytes are told at once.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);
/// How much of the quality report a crash of the worker can cost.
const REPORT_INTERVAL: Duration = Duration::from_secs(10);
/// Decoders and encoder wake the loop themselves; this bounds what a lost wake-up could cost.
const RECHECK: Duration = Duration::from_millis(20);

/// What the service asks of a running recording.
#[derive(Debug, Clone)]
pub enum Request {
    View(View),
    /// A picture of itself, in this file.
    Preview {
        file: PathBuf,
    },
    /// To join with from now on.
    Token(SecretString),
    Stop(StopCause),
}

/// Why the service wants an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    Asked,
    ServiceGone,
}

/// Makes the recording that `spec` describes; returns its last event.
pub async fn record(spec: WorkerSpec, commands: &mut Commands, events: &mut Events) -> Event {
    let before = spec.resume.as_ref().map(|resume| resume.position).unwrap_or_default();
    match Recording::start(spec, events).await {
        Ok(recording) => recording.run(commands, events).await,
        Err(error) => {
            let reason = error.reason();
            let error = report(&error);
            tracing::error!(error, "recording could not start");
            Event::Ended { reason, ticks: before.ticks, final_bytes: before.bytes, error: Some(error) }
        }
    }
}

struct Recording {
    spec: WorkerSpec,
    epoch: Instant,
    pace: Pace,
    room_events: mpsc::Receiver<RoomEvent>,
    room_commands: mpsc::Sender<RoomCommand>,
    tokens: watch::Sender<SecretString>,
    /// Ends the room session.
    leave: CancellationToken,
    session: JoinSet<()>,
    wake: Arc<Notify>,
    feeds: HashMap<TrackSid, TrackFeed>,
    composer: Composer,
    layers: Layers,
    /// What can be decoded here.
    codecs: Vec<Codec>,
    encoder: Encoder,
    file: FileWriter,
    /// Final bytes that the service knows of.
    told_bytes: u64,
    media: MediaSeen,
    quality: Quality,
    previews: Previews,
    idle: Idle,
    ending: Option<Ending>,
}

#[derive(PartialEq)]
enum MediaSeen {
    None,
    Untold,
    Told,
}

#[derive(Debug)]
struct Ending {
    reason: EndReason,
    error: Option<String>,
}

impl Recording {
    async fn run(mut self, commands: &mut Commands, events: &mut Events) -> Event {
        let mut progress = tokio::time::interval(PROGRESS_INTERVAL);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut reports = tokio::time::interval(REPORT_INTERVAL);
        reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
        reports.reset();
        loop {
            let wait = match self.make_ticks() {
                Ok(Wait::Done) => break,
                Ok(Wait::ForOthers) => Instant::now() + RECHECK,
                Ok(Wait::Until(at)) => at,
                Err(error) => {
                    self.fail(&error);
                    break;
                }
            };
            tokio::select! {
                biased;
                request = commands.next(), if self.ending.is_none() => self.handle(request),
                Some(event) = self.room_events.recv() => self.room_event(event, events).await,
                _ = progress.tick() => self.tell_progress(events).await,
                _ = reports.tick() => self.tell_report(events).await,
                Some(outcome) = self.previews.next() => events.tell(&Event::Preview { outcome }).await,
                () = self.wake.notified() => {}
                () = tokio::time::sleep_until(wait.into()) => {}
            }
            if self.file.final_bytes() != self.told_bytes {
                self.tell_progress(events).await;
            }
        }
        self.finish(events).await
    }

    async fn tell_progress(&mut self, events: &mut Events) {
        if self.media == MediaSeen::Untold {
            self.media = MediaSeen::Told;
            tracing::debug!("first media");
            events.tell(&Event::FirstMedia).await;
        }
        let (final_bytes, ticks) = (self.file.final_bytes(), self.pace.made());
        self.told_bytes = final_bytes;
        events.tell(&Event::Progress { final_bytes, ticks }).await;
        self.stop_when_it_is_time();
    }

    fn stop_when_it_is_time(&mut self) {
        let now = self.now();
        let limit = self.spec.options.max_duration();
        if limit.is_some_and(|limit| now >= MediaTime::ZERO + limit) {
            return self.stop(EndReason::MaxDuration, None);
        }
        if limits::is_full(self.file.bytes(), &self.spec.options) {
            return self.stop(EndReason::MaxSize, None);
        }
        if self.idle.is_over(now, self.spec.idle_timeout()) {
            self.stop(EndReason::Idle, None);
        }
    }

    fn handle(&mut self, request: Request) {
        match request {
            Request::View(view) => {
                tracing::info!(?view, "the view changes");
                self.composer.set_view(view, self.now());
            }
            Request::Preview { file } => self.preview(file),
            Request::Token(token) => drop(self.tokens.send_replace(token)),
            Request::Stop(StopCause::Asked) => self.stop(EndReason::Stopped, None),
            Request::Stop(StopCause::ServiceGone) => self.stop(EndReason::ParentGone, None),
        }
    }

    /// From now on nothing is taken in; the ticks up to now are made.
    fn stop(&mut self, reason: EndReason, error: Option<String>) {
        if self.ending.is_some() {
            return;
        }
        tracing::info!(?reason, error, "stopping");
        self.ending = Some(Ending { reason, error });
        self.pace.stop(self.now());
        self.leave.cancel();
    }

    fn fail(&mut self, error: &WorkerError) {
        let sentence = report(error);
        tracing::error!(error = sentence, "recording failed");
        self.leave.cancel();
        // Why the spool's thread has gone is known when it is joined.
        let is_known = !matches!(error, WorkerError::Spool(SpoolError::Gone));
        self.ending = Some(Ending { reason: error.reason(), error: is_known.then_some(sentence) });
    }

    async fn finish(mut self, events: &mut Events) -> Event {
        self.count();
        let ticks = self.pace.made();
        let final_bytes = self.file.final_bytes();
        events.tell(&Event::Progress { final_bytes, ticks }).await;
        let Self { feeds, encoder, file, wake, mut session, mut room_events, mut quality, ending, .. } = self;
        feeds.into_values().for_each(TrackFeed::close);
        let (final_bytes, outcome) = file.finish(encoder, &wake).await;
        let mut ending = ending.unwrap_or(Ending { reason: EndReason::Failed, error: None });
        if let Err(error) = outcome {
            ending.reason = error.reason();
            let error = report(&error);
            tracing::error!(error, "file not finished");
            ending.error.get_or_insert(error);
        }
        // The session leaves the room; a server that does not answer must not keep the file.
        let _ = tokio::time::timeout(Duration::from_secs(1), session.join_next()).await;
        quality::take_last_figures(&mut quality, &mut room_events);
        let quality = quality.conclude();
        quality::log(&quality);
        events.tell(&Event::Report { report: Box::new(quality) }).await;
        tracing::debug!(reason = ?ending.reason, ticks, final_bytes, "ended");
        Event::Ended { reason: ending.reason, ticks, final_bytes, error: ending.error }
    }

    fn now(&self) -> MediaTime {
        MediaTime::ZERO + self.epoch.elapsed()
    }

    fn instant(&self, time: MediaTime) -> Instant {
        self.epoch + Duration::from_nanos(u64::try_from(time.nanos()).unwrap_or(0))
    }
}
