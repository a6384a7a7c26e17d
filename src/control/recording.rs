//! One recording: its workers, its upload and its row in the database, in one event loop.
//!
//! Carries out what `state` decides. Contract: when `run` returns, the recording has ended in the database
//! and its worker has exited. If it is dropped before that, the recording stays unfinished in the database,
//! and the next start of the service continues it.

mod actions;
mod commands;
mod previews;
mod records;
mod rewriting;
mod waits;
mod watched;
mod worker;

use std::io;
use std::path::PathBuf;
use std::pin::{Pin, pin};
use std::sync::Arc;

use futures_util::FutureExt;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::EndStatus;
use super::process::{WorkerOutput, WorkerProcess};
use super::recovery;
use super::running::{self, VitalsTeller};
use super::shared::Shared;
use super::state::{Input, State};
use super::successor::{Beginning, NoSuccessor, Predecessor, Question, SuccessorSearch};
use super::watchdog::Lateness;
use crate::admission::Slot;
use crate::admission::Space;
use crate::ids::RoomSid;
use crate::store::RecordingRow;
use crate::upload::Extent;
use crate::upload::{UploadError, UploadOptions, Uploaded, Uploader};
use crate::worker::messages::{EndReason, Event, Resume};

use actions::delete;
use previews::Previews;
use records::{Note, Records};
use rewriting::Rewriting;
use waits::{exhausted, reached};
use worker::Worker;

pub use commands::{Command, Reply};
pub use previews::NoPreview;

/// Where a recording begins.
pub enum Origin {
    /// It was just accepted.
    Start { slot: Slot },
    /// It took in media when an earlier service ended. It is resumed if it can be.
    Resume { slot: Slot },
    /// An earlier service left it unfinished, and no worker follows: its spool is stored.
    Salvage { end_status: EndStatus },
}

pub struct Recording {
    row: RecordingRow,
    shared: Arc<Shared>,
    records: Records,
    rewriting: Rewriting,
    spool: PathBuf,
    /// The room that a worker has joined; `None` before that.
    joined: Option<RoomSid>,
    state: State,
    worker: Worker,
    previews: Previews,
    vitals: VitalsTeller,
    successor: SuccessorSearch,
    extent: watch::Sender<Extent>,
    space: watch::Receiver<Space>,
    /// The zero of the times in the state's inputs.
    begun: Instant,
    /// When the worker was told to stop.
    stopped: Instant,
    /// When the worker gets another access token.
    token_at: Option<Instant>,
}

type Upload<'a> = Pin<&'a mut (dyn Future<Output = Result<Uploaded, UploadError>> + Send)>;

impl Recording {
    pub fn new(row: RecordingRow, shared: Arc<Shared>) -> Self {
        Self {
            spool: shared.spool_of(&row.egress_id),
            records: Records::new(shared.store.clone()),
            rewriting: Rewriting::default(),
            space: shared.measurements.space.clone(),
            vitals: shared.running.teller(row.egress_id.clone(), row.room.clone()),
            row,
            shared,
            joined: None,
            state: State::NEW,
            worker: Worker::None,
            previews: Previews::default(),
            successor: SuccessorSearch::None,
            extent: watch::Sender::new(Extent::Growing(0)),
            begun: Instant::now(),
            stopped: Instant::now(),
            token_at: None,
        }
    }

    pub async fn run(
        mut self,
        origin: Origin,
        mut commands: mpsc::Receiver<Command>,
        cancel: CancellationToken,
    ) {
        // A recording may outlive its upload, until its end is in the database.
        let mut upload = pin!(self.upload().fuse());
        if let Origin::Start { .. } = origin {
            tracing::info!(key = self.row.key, "accepted");
        }
        self.begin(origin).await;
        while !matches!(self.state, State::Ended { .. }) {
            self.turn(upload.as_mut(), &mut commands, &cancel).await;
        }
        self.worker.close(self.shared.limits.exit).await;
        delete(&watched::preview_file(&self.spool)).await;
    }

    fn upload(&self) -> impl Future<Output = Result<Uploaded, UploadError>> + Send + use<> {
        let uploader = Uploader::new(UploadOptions {
            stores: self.shared.stores.clone(),
            database: self.shared.store.clone(),
            egress_id: self.row.egress_id.clone(),
            key: self.row.key.clone(),
            spool: self.spool.clone(),
            extent: self.extent.subscribe(),
            retry: self.shared.retry.clone(),
            space: self.shared.measurements.space.clone(),
            status: self.shared.uploads.add(self.row.egress_id.clone()),
        });
        uploader.run()
    }

    async fn begin(&mut self, origin: Origin) {
        match origin {
            Origin::Start { slot } => {
                self.worker = Worker::Awaited { slot };
                self.start_worker(Beginning::Anew).await;
            }
            Origin::Resume { slot } => {
                self.worker = Worker::Awaited { slot };
                self.state = State::resuming(self.row.phase);
                self.prepare_successor(Predecessor::OfEarlierService {
                    accepted_at: self.row.started_at,
                    timeout: self.shared.limits.stop,
                    oldest: self.shared.resume_within,
                });
            }
            Origin::Salvage { end_status } => {
                if let Err(error) = recovery::wait_for_writer(&self.spool, self.shared.limits.stop).await {
                    tracing::warn!(%error, "it is read as it is");
                }
                self.state = State::Uploading { end_status };
                self.extent.send_replace(Extent::Whole);
            }
        }
    }

    async fn start_worker(&mut self, beginning: Beginning) {
        let resume = match beginning {
            Beginning::Anew => {
                self.row.zero = None;
                None
            }
            Beginning::At { zero, position } => {
                let report = self.records.kept(&self.row).await.map(Box::new);
                Some(Resume { zero_unix_ms: zero.as_millisecond(), position, report })
            }
        };
        let started = self.process(resume).await;
        match &started {
            Ok(process) => {
                tracing::info!(pid = process.pid(), "a worker records");
                self.vitals.worked_by(process.pid());
            }
            Err(error) => tracing::error!(%error, "the worker cannot be started"),
        }
        let worker = std::mem::replace(&mut self.worker, Worker::None);
        self.worker = worker.begin(started.ok(), self.shared.limits.worker.clone());
    }

    async fn process(&mut self, resume: Option<Resume>) -> io::Result<WorkerProcess> {
        let token = self.shared.token(&self.row).map_err(io::Error::other)?;
        self.token_at = Some(self.next_token_at());
        let spec = self.shared.worker_spec(&self.row, token, self.spool.clone(), resume);
        WorkerProcess::start(&self.shared.program, spec).await
    }

    fn next_token_at(&self) -> Instant {
        Instant::now() + self.shared.limits.token / 2
    }

    async fn renew_token(&mut self) {
        self.token_at = Some(self.next_token_at());
        match self.shared.token(&self.row) {
            Ok(token) => self.worker.renew_token(token).await,
            Err(error) => tracing::error!(%error, "the worker goes on with the access token that it has"),
        }
    }

    fn prepare_successor(&mut self, predecessor: Predecessor) {
        let question = Question {
            livekit: self.shared.rooms.clone(),
            room: self.row.room.clone(),
            spool: self.spool.clone(),
            streams: self.row.options.streams,
            frame_rate: self.row.options.frame_rate,
            zero: self.row.zero,
            give_up_after: self.shared.livekit.give_up_after,
            predecessor,
        };
        self.successor = SuccessorSearch::ask(question);
    }

    /// Waits for the next event and handles it.
    async fn turn(
        &mut self,
        upload: Upload<'_>,
        commands: &mut mpsc::Receiver<Command>,
        cancel: &CancellationToken,
    ) {
        let live = self.state.is_live();
        let (deadline, rewriting, token) = (self.deadline(), self.rewriting.at(), self.token_at);
        tokio::select! {
            biased;
            () = cancel.cancelled(), if live => self.hears(Input::ServiceEnds).await,
            () = exhausted(&mut self.space), if live => self.hears(Input::DiskExhausted).await,
            Some(command) = commands.recv() => self.execute(command).await,
            output = self.worker.next() => self.heard(output).await,
            answer = self.successor.answer() => self.resume(answer).await,
            result = upload => self.uploaded(result).await,
            () = reached(deadline) => self.late().await,
            () = reached(rewriting) => self.write_again().await,
            () = reached(token), if live => self.renew_token().await,
        }
    }

    /// Returns when the worker is late.
    fn deadline(&mut self) -> Option<Instant> {
        match self.state {
            State::Starting { .. } | State::Active { .. } => {
                self.worker.watchdog().map(|watchdog| watchdog.deadline())
            }
            State::Stopping { .. } => Some(self.stopped + self.shared.limits.stop),
            State::Frozen { .. }
            | State::Restarting { .. }
            | State::Killing { .. }
            | State::Uploading { .. }
            | State::Unwritten { .. }
            | State::Ended { .. } => None,
        }
    }

    async fn late(&mut self) {
        if let State::Stopping { .. } = self.state {
            return self.hears(Input::StopTimedOut).await;
        }
        match self.worker.watchdog().map(|watchdog| watchdog.judge(Instant::now())) {
            Some(Lateness::Frozen) => {
                tracing::error!("the worker makes no progress, it is killed");
                self.hears(Input::NoProgress).await;
            }
            Some(Lateness::Unknown) => tracing::warn!("the service stood still for a while"),
            None => {}
        }
    }

    async fn heard(&mut self, output: WorkerOutput) {
        let now = Instant::now();
        let input = match output {
            WorkerOutput::Event(Event::Joined { room_sid, zero_unix_ms }) => {
                tracing::info!(room_sid, "joined the room");
                self.joined = Some(RoomSid(room_sid));
                self.has_joined(zero_unix_ms, now).await;
                Input::Joined
            }
            WorkerOutput::Event(Event::FirstMedia) => Input::FirstMedia,
            WorkerOutput::Event(Event::Progress { final_bytes, ticks }) => {
                if final_bytes > 0 {
                    self.shared.encoders_status.good();
                }
                self.worker
                    .watchdog()
                    .into_iter()
                    .for_each(|watchdog| watchdog.progress(ticks, final_bytes, now));
                let lag = running::lag(self.row.zero, ticks, self.row.options.frame_rate, Timestamp::now());
                self.vitals.progress(ticks, lag);
                Input::Progress { final_bytes }
            }
            // Not a failure: after a time the worker ends by itself.
            WorkerOutput::Event(Event::Reachable { reachable: false }) => {
                return tracing::warn!("LiveKit is out of reach, the recording waits for it");
            }
            WorkerOutput::Event(Event::Reachable { reachable: true }) => {
                return tracing::info!("LiveKit is within reach again");
            }
            WorkerOutput::Event(Event::Preview { outcome }) => return self.shown(outcome).await,
            WorkerOutput::Event(Event::Report { report }) => {
                self.vitals.report(&report);
                return self.records.keep(&self.row, *report).await;
            }
            WorkerOutput::Event(Event::Ended { reason, ticks, final_bytes, error }) => {
                tracing::info!(%reason, ticks, final_bytes, error, "recorded");
                if reason == EndReason::EncodersFailed {
                    self.shared.encoders_status.bad("the encoders failed in a recording");
                }
                Input::WorkerEnded { reason, error }
            }
            WorkerOutput::Exited(exit) => {
                tracing::debug!(?exit, "the worker is gone");
                self.not_shown();
                self.vitals.worked_by(None);
                self.worker = std::mem::replace(&mut self.worker, Worker::None).gone();
                Input::WorkerExited { exit, at: self.begun.elapsed() }
            }
        };
        self.hears(input).await;
    }

    /// Only the zero of the worker that began the spool counts. Its successors report the same zero by their
    /// own clocks.
    async fn has_joined(&mut self, zero_unix_ms: i64, now: Instant) {
        self.worker.watchdog().into_iter().for_each(|watchdog| watchdog.joined(now));
        match Timestamp::from_millisecond(zero_unix_ms) {
            Ok(zero) if self.row.zero.is_none() => {
                self.row.zero = Some(zero);
                self.note(Note::Zero(zero)).await;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the worker's clock is beyond all counting"),
        }
    }

    async fn resume(&mut self, answer: Result<Beginning, NoSuccessor>) {
        let input = match answer {
            Ok(beginning) => {
                tracing::warn!(?beginning, "another worker goes on");
                self.successor = SuccessorSearch::Answered(beginning);
                Input::SuccessorReady
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "no other worker goes on");
                self.successor = SuccessorSearch::None;
                Input::NoSuccessor
            }
        };
        self.hears(input).await;
    }

    async fn uploaded(&mut self, result: Result<Uploaded, UploadError>) {
        match result {
            Ok(Uploaded { saved, condition }) => {
                self.hears(Input::Uploaded(saved, condition)).await;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let spool = self.spool.display();
                tracing::error!(%error, cause, %spool, "the recording cannot be stored, its spool is kept");
                self.hears(Input::UploadFailed(error.left())).await;
            }
        }
    }
}
