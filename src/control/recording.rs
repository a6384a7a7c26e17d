//! One recording: its workers, its upload and its record in the database, in one event loop.
//!
//! Owns what is done; `state` decides it. Contract: when `run` returns, the recording has ended in the
//! database and its worker is gone. Dropped before that, the recording stays unfinished in the
//! database, and the next start of the service goes on with it.

mod crew;
mod previews;
mod records;
mod waits;
mod watched;
mod wishes;

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::failure::Verdict;
use super::process::{Output, WorkerProcess};
use super::recovery;
use super::running::{self, VitalsTeller};
use super::shared::Shared;
use super::space::Space;
use super::spool::{Condition, Extent};
use super::state::{self, Action, Input, State};
use super::succession::{Beginning, NoSuccessor, Predecessor, Question, Succession};
use super::upload::{UploadError, UploadOptions, Uploaded, Uploader};
use super::vigil::Lateness;
use super::workforce::Place;
use crate::failpoint::FailPoint;
use crate::ids::RoomSid;
use crate::store::RecordingRow;
use crate::worker::messages::{EndReason, Event, Resume};

use crew::Crew;
use previews::Previews;
use records::Records;
use waits::{exhausted, reached};

pub use previews::NoPreview;
pub use wishes::{Noted, Wish};

/// How a recording comes to be.
pub enum Origin {
    /// Just accepted.
    Start { place: Place },
    /// It took in media when an earlier service went away, and goes on if it can.
    Resume { place: Place },
    /// What somebody left unfinished: there is no worker, only what it left.
    Salvage { verdict: Verdict },
}

pub struct Recording {
    row: RecordingRow,
    shared: Arc<Shared>,
    records: Records,
    spool: PathBuf,
    /// The room that a worker has joined, once one has.
    joined: Option<RoomSid>,
    state: State,
    crew: Crew,
    previews: Previews,
    vitals: VitalsTeller,
    succession: Succession,
    extent: watch::Sender<Extent>,
    space: watch::Receiver<Space>,
    /// What the times of the state's inputs count from.
    begun: Instant,
    /// When the worker was asked to end.
    stopped: Instant,
}

type Upload<'a> = Pin<&'a mut (dyn Future<Output = Result<Uploaded, UploadError>> + Send)>;

impl Recording {
    pub fn new(row: RecordingRow, shared: Arc<Shared>) -> Self {
        Self {
            spool: shared.spool_of(&row.egress_id),
            records: Records::new(shared.store.clone()),
            space: shared.outlook.space.clone(),
            vitals: shared.running.teller(row.egress_id.clone(), row.room.clone()),
            row,
            shared,
            joined: None,
            state: State::NEW,
            crew: Crew::Dismissed,
            previews: Previews::default(),
            succession: Succession::None,
            extent: watch::Sender::new(Extent::Growing(0)),
            begun: Instant::now(),
            stopped: Instant::now(),
        }
    }

    pub async fn run(mut self, origin: Origin, mut wishes: mpsc::Receiver<Wish>, cancel: CancellationToken) {
        let mut upload = pin!(self.upload());
        if let Origin::Start { .. } = origin {
            tracing::info!(key = self.row.key, "accepted");
        }
        self.begin(origin).await;
        while !matches!(self.state, State::Ended { .. }) {
            self.turn(upload.as_mut(), &mut wishes, &cancel).await;
        }
        self.crew.close(self.shared.limits.exit).await;
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
            space: self.shared.outlook.space.clone(),
            status: self.shared.uploads.add(self.row.egress_id.clone()),
        });
        uploader.run()
    }

    async fn begin(&mut self, origin: Origin) {
        match origin {
            Origin::Start { place } => {
                self.crew = Crew::Waiting { place };
                self.start_worker(Beginning::Anew).await;
            }
            Origin::Resume { place } => {
                self.crew = Crew::Waiting { place };
                self.state = State::resuming(self.row.phase);
                self.prepare_successor(Predecessor::OfEarlierService {
                    accepted_at: self.row.started_at,
                    patience: self.shared.limits.stop,
                    oldest: self.shared.resume_within,
                });
            }
            Origin::Salvage { verdict } => {
                if let Err(error) = recovery::wait_for_writer(&self.spool, self.shared.limits.stop).await {
                    tracing::warn!(%error, "it is read as it is");
                }
                self.state = State::Finishing { verdict };
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
        let spec = self.shared.worker_spec(&self.row, self.spool.clone(), resume);
        let started = WorkerProcess::start(&self.shared.program, spec).await;
        match &started {
            Ok(process) => {
                tracing::info!(pid = process.pid(), "a worker records");
                self.vitals.worked_by(process.pid());
            }
            Err(error) => tracing::error!(%error, "the worker cannot be started"),
        }
        let crew = std::mem::replace(&mut self.crew, Crew::Dismissed);
        self.crew = crew.begin(started.ok(), self.shared.limits.worker.clone());
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
        self.succession = Succession::ask(question);
    }

    /// Waits for the next thing to happen and does what it asks for.
    async fn turn(
        &mut self,
        upload: Upload<'_>,
        wishes: &mut mpsc::Receiver<Wish>,
        cancel: &CancellationToken,
    ) {
        let live = self.state.is_live();
        let deadline = self.deadline();
        tokio::select! {
            biased;
            () = cancel.cancelled(), if live => self.apply(Input::StopRequested).await,
            () = exhausted(&mut self.space), if live => self.apply(Input::DiskExhausted).await,
            Some(wish) = wishes.recv() => self.grant(wish).await,
            output = self.crew.next() => self.heard(output).await,
            answer = self.succession.answer() => self.succeed(answer).await,
            result = upload => self.uploaded(result).await,
            () = reached(deadline) => self.late().await,
        }
    }

    /// When the worker is late.
    fn deadline(&mut self) -> Option<Instant> {
        match self.state {
            State::Joining { .. } | State::Active { .. } => self.crew.vigil().map(|vigil| vigil.deadline()),
            State::Stopping { .. } => Some(self.stopped + self.shared.limits.stop),
            State::Frozen { .. }
            | State::Restarting { .. }
            | State::Killing { .. }
            | State::Finishing { .. }
            | State::Ended { .. } => None,
        }
    }

    async fn late(&mut self) {
        if let State::Stopping { .. } = self.state {
            return self.apply(Input::StopTimedOut).await;
        }
        match self.crew.vigil().map(|vigil| vigil.judge(Instant::now())) {
            Some(Lateness::Frozen) => {
                tracing::error!("the worker makes no progress, it is killed");
                self.apply(Input::NoProgress).await;
            }
            Some(Lateness::Unknown) => tracing::warn!("the service stood still for a while"),
            None => {}
        }
    }

    async fn heard(&mut self, output: Output) {
        let now = Instant::now();
        let input = match output {
            Output::Event(Event::Joined { room_sid, zero_unix_ms }) => {
                tracing::info!(room_sid, "joined the room");
                self.joined = Some(RoomSid(room_sid));
                self.has_joined(zero_unix_ms, now).await;
                Input::Joined
            }
            Output::Event(Event::FirstMedia) => Input::FirstMedia,
            Output::Event(Event::Progress { final_bytes, ticks }) => {
                if final_bytes > 0 {
                    self.shared.encoders_known.good();
                }
                self.crew.vigil().into_iter().for_each(|vigil| vigil.progress(ticks, final_bytes, now));
                let lag = running::lag(self.row.zero, ticks, self.row.options.frame_rate, Timestamp::now());
                self.vitals.progress(ticks, lag);
                Input::Progress { final_bytes }
            }
            // Not a failure: the worker gives up by itself when it has waited long enough.
            Output::Event(Event::Reachable { reachable: false }) => {
                return tracing::warn!("LiveKit is out of reach, the recording waits for it");
            }
            Output::Event(Event::Reachable { reachable: true }) => {
                return tracing::info!("LiveKit is within reach again");
            }
            Output::Event(Event::Preview { outcome }) => return self.shown(outcome).await,
            Output::Event(Event::Report { report }) => {
                self.vitals.report(&report);
                return self.records.keep(&self.row, *report).await;
            }
            Output::Event(Event::Ended { reason, ticks, final_bytes, error }) => {
                tracing::info!(%reason, ticks, final_bytes, error, "recorded");
                if reason == EndReason::EncodersFailed {
                    self.shared.encoders_known.bad("the encoders failed in a recording");
                }
                Input::WorkerEnded { reason, error }
            }
            Output::Exited(exit) => {
                tracing::debug!(?exit, "the worker is gone");
                self.not_shown();
                self.vitals.worked_by(None);
                self.crew = std::mem::replace(&mut self.crew, Crew::Dismissed).gone();
                Input::WorkerExited { exit, at: self.begun.elapsed() }
            }
        };
        self.apply(input).await;
    }

    /// The zero is that of the worker which began the spool: others go on from it, and tell it as their clocks see it.
    async fn has_joined(&mut self, zero_unix_ms: i64, now: Instant) {
        self.crew.vigil().into_iter().for_each(|vigil| vigil.joined(now));
        match Timestamp::from_millisecond(zero_unix_ms) {
            Ok(zero) if self.row.zero.is_none() => {
                self.row.zero = Some(zero);
                self.records.zero(&self.row, zero).await;
            }
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "the worker's clock is beyond all counting"),
        }
    }

    async fn succeed(&mut self, answer: Result<Beginning, NoSuccessor>) {
        let input = match answer {
            Ok(beginning) => {
                tracing::warn!(?beginning, "another worker goes on");
                self.succession = Succession::Answered(beginning);
                Input::SuccessorReady
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                tracing::warn!(%error, cause, "no other worker goes on");
                self.succession = Succession::None;
                Input::NoSuccessor
            }
        };
        self.apply(input).await;
    }

    async fn uploaded(&mut self, result: Result<Uploaded, UploadError>) {
        match result {
            Ok(Uploaded { saved, condition }) => {
                match condition {
                    Condition::Sound => {}
                    Condition::Damaged => self.apply(Input::SpoolDamaged).await,
                }
                self.apply(Input::Uploaded(saved)).await;
            }
            Err(error) => {
                let cause = std::error::Error::source(&error).map(ToString::to_string);
                let spool = self.spool.display();
                tracing::error!(%error, cause, %spool, "the recording cannot be stored, its spool is kept");
                self.apply(Input::UploadFailed(error.left())).await;
            }
        }
    }

    async fn apply(&mut self, input: Input) {
        let (state, actions) = state::step(self.state.clone(), input);
        self.state = state;
        for action in actions {
            self.act(action).await;
        }
        self.give_back_what_is_not_needed();
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Persist(phase) => self.records.phase(&self.row, phase).await,
            Action::PersistVerdict(verdict) => self.records.verdict(&self.row, &verdict).await,
            Action::TellMediaStarted => self.records.media_started(&self.row).await,
            Action::OfferBytes(end) => self.offer(end),
            Action::FinishUpload => drop(self.extent.send_replace(Extent::Whole)),
            Action::StopWorker => {
                self.stopped = Instant::now();
                self.crew.stop().await;
            }
            Action::KillWorker => self.crew.kill(),
            Action::PrepareSuccessor => self.prepare_successor(Predecessor::Gone),
            Action::StartSuccessor => {
                if let Succession::Answered(beginning) = self.succession.take() {
                    self.start_worker(beginning).await;
                }
            }
            Action::End(outcome) => {
                FailPoint::Completed.reached();
                self.records.end(&self.row, outcome).await;
                FailPoint::RowCommitted.reached();
            }
            Action::DeleteSpool => delete(&self.spool).await,
        }
    }

    /// What was final stays final: a successor has to go on behind it.
    fn offer(&self, end: u64) {
        self.extent.send_if_modified(|extent| match extent {
            Extent::Growing(known) if *known < end => {
                *known = end;
                true
            }
            Extent::Growing(_) | Extent::Whole => false,
        });
    }

    fn give_back_what_is_not_needed(&mut self) {
        match self.state {
            State::Restarting { .. } => {}
            State::Finishing { .. } | State::Ended { .. } => {
                self.succession = Succession::None;
                if let Crew::Waiting { .. } = self.crew {
                    self.crew = Crew::Dismissed;
                }
            }
            State::Joining { .. }
            | State::Active { .. }
            | State::Frozen { .. }
            | State::Stopping { .. }
            | State::Killing { .. } => self.succession = Succession::None,
        }
    }
}

async fn delete(file: &Path) {
    match tokio::fs::remove_file(file).await {
        Ok(()) => {}
        // The worker never came to create it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%error, file = %file.display(), "what is not needed any more cannot be deleted");
        }
    }
}
