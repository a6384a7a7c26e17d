//! One recording: its worker, its upload and its record in the database, in one event loop.
//!
//! Owns what is done; `state` decides it. Contract: when `run` returns, the recording has ended in the
//! database and its worker is gone. Dropped before that, the recording stays unfinished in the
//! database, and the next start of the service goes on with it.

use std::path::{Path, PathBuf};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::process::{Output, WorkerProcess};
use super::recovery;
use super::shared::Shared;
use super::spool::{Condition, Extent};
use super::state::{self, Action, Exit, Failure, Input, State, Verdict};
use super::upload::{UploadError, UploadOptions, Uploaded, Uploader};
use crate::media::View;
use crate::options::ViewChange;
use crate::report::QualityReport;
use crate::store::{EndResult, Ending, Outcome, Phase, RecordingRow};
use crate::webhook::event;
use crate::worker::messages::Event;

/// Tries to write a phase down before the recording goes on without: what a phase decides after a
/// restart is less than a recording that nobody can stop.
const PHASE_ATTEMPTS: u32 = 3;
/// The pause before the database is tried again.
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// What somebody asks of a running recording. It is answered once it is in the database.
pub enum Wish {
    Stop(oneshot::Sender<Noted>),
    View { change: ViewChange, noted: oneshot::Sender<Noted> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Noted {
    Done,
    /// It takes in no more media.
    TooLate,
}

/// How a recording comes to be.
pub enum Origin {
    /// Just accepted; the permit is held as long as there is a worker.
    Start { permit: OwnedSemaphorePermit },
    /// What somebody left unfinished: there is no worker, only what it left.
    Salvage { failure: Failure },
}

pub struct Recording {
    row: RecordingRow,
    shared: Arc<Shared>,
    spool: PathBuf,
    state: State,
    worker: Worker,
    extent: watch::Sender<Extent>,
    /// Since when the worker owes a sign of life, or its end.
    owed_since: Instant,
}

enum Worker {
    None,
    Running { process: Box<WorkerProcess>, _permit: OwnedSemaphorePermit },
}

type Upload<'a> = Pin<&'a mut (dyn Future<Output = Result<Uploaded, UploadError>> + Send)>;

impl Recording {
    pub fn new(row: RecordingRow, shared: Arc<Shared>) -> Self {
        Self {
            spool: shared.spool_of(&row.egress_id),
            row,
            shared,
            state: State::Starting,
            worker: Worker::None,
            extent: watch::Sender::new(Extent::Growing(0)),
            owed_since: Instant::now(),
        }
    }

    pub async fn run(mut self, origin: Origin, mut wishes: mpsc::Receiver<Wish>, cancel: CancellationToken) {
        let mut upload = pin!(self.upload());
        self.begin(origin).await;
        while !matches!(self.state, State::Ended { .. }) {
            self.turn(upload.as_mut(), &mut wishes, &cancel).await;
        }
        if let Worker::Running { process, .. } = self.worker {
            process.close(self.shared.limits.exit).await;
        }
    }

    fn upload(&self) -> impl Future<Output = Result<Uploaded, UploadError>> + Send + use<> {
        let uploader = Uploader::new(UploadOptions {
            storage: Arc::clone(&self.shared.storage),
            key: self.row.key.clone(),
            spool: self.spool.clone(),
            extent: self.extent.subscribe(),
            retry: self.shared.retry.clone(),
            space: self.shared.space.clone(),
            status: self.shared.uploads.add(self.row.egress_id.clone()),
        });
        uploader.run()
    }

    async fn begin(&mut self, origin: Origin) {
        match origin {
            Origin::Start { permit } => self.start_worker(permit).await,
            Origin::Salvage { failure } => {
                recovery::wait_for_writer(&self.spool, self.shared.limits.stop).await;
                let verdict = Verdict::Failed(failure);
                self.state = State::Finishing { verdict };
                self.extent.send_replace(Extent::Whole);
            }
        }
    }

    async fn start_worker(&mut self, permit: OwnedSemaphorePermit) {
        let spec = self.shared.worker_spec(&self.row, self.spool.clone());
        match WorkerProcess::start(&self.shared.program, spec).await {
            Ok(process) => {
                tracing::info!(pid = process.pid(), "recording accepted");
                self.worker = Worker::Running { process: Box::new(process), _permit: permit };
            }
            Err(error) => {
                tracing::error!(%error, "the worker cannot be started");
                self.apply(Input::WorkerExited(Exit::Unknown)).await;
            }
        }
    }

    /// Waits for the next thing to happen and does what it asks for.
    async fn turn(
        &mut self,
        upload: Upload<'_>,
        wishes: &mut mpsc::Receiver<Wish>,
        cancel: &CancellationToken,
    ) {
        let recording = matches!(self.state, State::Starting | State::Active);
        let deadline = self.deadline();
        tokio::select! {
            biased;
            () = cancel.cancelled(), if recording => self.apply(Input::StopRequested).await,
            Some(wish) = wishes.recv() => self.grant(wish).await,
            output = self.worker.next() => self.heard(output).await,
            result = upload => self.uploaded(result).await,
            input = expiry(deadline) => self.apply(input).await,
        }
    }

    async fn grant(&mut self, wish: Wish) {
        let (noted, answer) = match wish {
            Wish::Stop(noted) => {
                self.apply(Input::StopRequested).await;
                (noted, Noted::Done)
            }
            Wish::View { change, noted } => (noted, self.change_view(change).await),
        };
        // Whoever asked may have gone.
        let _answered = noted.send(answer);
    }

    async fn change_view(&mut self, change: ViewChange) -> Noted {
        match self.state {
            State::Starting | State::Active => {}
            State::Stopping | State::Killing { .. } | State::Finishing { .. } | State::Ended { .. } => {
                return Noted::TooLate;
            }
        }
        let view = change.upon(self.row.options.view);
        tracing::info!(?view, "the view changes");
        self.row.options.view = view;
        let (id, options) = (&self.row.egress_id, self.row.options.clone());
        if let Err(error) = self.shared.store.set_options(id, options).await {
            // What is seen matters more than what is written about it.
            tracing::error!(%error, "the view cannot be written down");
        }
        self.worker.change_view(view).await;
        Noted::Done
    }

    /// When the worker is late, and what that means.
    fn deadline(&self) -> Option<(Instant, Input)> {
        let limits = &self.shared.limits;
        match self.state {
            State::Starting | State::Active => Some((self.owed_since + limits.silence, Input::WorkerSilent)),
            State::Stopping => Some((self.owed_since + limits.stop, Input::StopTimedOut)),
            State::Killing { .. } | State::Finishing { .. } | State::Ended { .. } => None,
        }
    }

    async fn heard(&mut self, output: Output) {
        let input = match output {
            Output::Event(Event::Joined { room_sid, .. }) => {
                tracing::info!(room_sid, "joined the room");
                Input::Joined
            }
            Output::Event(Event::FirstMedia) => Input::FirstMedia,
            Output::Event(Event::Progress { final_bytes, .. }) => Input::Progress { final_bytes },
            // Not a failure: the worker gives up by itself when it has waited long enough.
            Output::Event(Event::Reachable { reachable: false }) => {
                return tracing::warn!("LiveKit is out of reach, the recording waits for it");
            }
            Output::Event(Event::Reachable { reachable: true }) => {
                return tracing::info!("LiveKit is within reach again");
            }
            Output::Event(Event::Report { report }) => return self.keep(*report).await,
            Output::Event(Event::Ended { reason, ticks, final_bytes, error }) => {
                tracing::info!(%reason, ticks, final_bytes, error, "recorded");
                Input::WorkerEnded { reason, error }
            }
            Output::Exited(exit) => {
                tracing::debug!(?exit, "the worker is gone");
                self.worker = Worker::None;
                Input::WorkerExited(exit)
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
                self.apply(Input::UploadFailed).await;
            }
        }
    }

    async fn apply(&mut self, input: Input) {
        match self.state {
            State::Starting | State::Active => self.owed_since = Instant::now(),
            // What it owes now is its end, whatever else it says.
            State::Stopping | State::Killing { .. } | State::Finishing { .. } | State::Ended { .. } => {}
        }
        let (state, actions) = state::step(self.state.clone(), input);
        self.state = state;
        for action in actions {
            self.act(action).await;
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Persist(phase) => self.persist(phase).await,
            Action::TellMediaStarted => self.tell_media_started().await,
            Action::OfferBytes(end) => {
                self.extent.send_replace(Extent::Growing(end));
            }
            Action::FinishUpload => {
                self.extent.send_replace(Extent::Whole);
            }
            Action::StopWorker => self.worker.stop().await,
            Action::KillWorker => self.worker.kill(),
            Action::End(outcome) => self.end(outcome).await,
            Action::DeleteSpool => delete(&self.spool).await,
        }
    }

    async fn persist(&self, phase: Phase) {
        for _ in 0..PHASE_ATTEMPTS {
            match self.shared.store.set_phase(&self.row.egress_id, phase).await {
                Ok(true) => return,
                Ok(false) => return tracing::warn!(?phase, "not in the database any more"),
                Err(error) => tracing::error!(%error, ?phase, "the phase cannot be written down"),
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    async fn keep(&self, report: QualityReport) {
        if let Err(error) = self.shared.store.keep_report(&self.row.egress_id, report).await {
            tracing::error!(%error, "the quality report cannot be written down");
        }
    }

    async fn tell_media_started(&self) {
        let RecordingRow { egress_id, room, started_at, .. } = &self.row;
        tracing::info!("first media");
        let event = event::egress_started(egress_id, room, *started_at);
        let store = &self.shared.store;
        if let Err(error) = store.media_started(egress_id, Timestamp::now(), event).await {
            tracing::error!(%error, "the first media cannot be written down, nobody is told of it");
        }
    }

    /// Does not give up: as long as it is not written down nobody may believe that it has ended.
    async fn end(&self, outcome: Outcome) {
        let RecordingRow { egress_id, room, .. } = &self.row;
        let event = event::egress_ended(egress_id, room, &outcome);
        let ending = Ending { outcome, ended_at: Timestamp::now() };
        let store = &self.shared.store;
        loop {
            match store.end_recording(egress_id, ending.clone(), event.clone()).await {
                Ok(EndResult::Ended) => break log_end(&ending.outcome),
                Ok(EndResult::AlreadyEnded) => break tracing::warn!("had ended before"),
                Err(error) => tracing::error!(%error, "the end cannot be written down"),
            }
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }
}

impl Worker {
    async fn next(&mut self) -> Output {
        match self {
            Self::Running { process, .. } => process.next().await,
            Self::None => std::future::pending().await,
        }
    }

    async fn change_view(&mut self, view: View) {
        match self {
            Self::Running { process, .. } => process.change_view(view).await,
            Self::None => {}
        }
    }

    async fn stop(&mut self) {
        match self {
            Self::Running { process, .. } => process.stop().await,
            Self::None => {}
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Running { process, .. } => process.kill(),
            Self::None => {}
        }
    }
}

async fn expiry(deadline: Option<(Instant, Input)>) -> Input {
    match deadline {
        Some((at, input)) => {
            tokio::time::sleep_until(at).await;
            input
        }
        None => std::future::pending().await,
    }
}

async fn delete(spool: &Path) {
    match tokio::fs::remove_file(spool).await {
        Ok(()) => {}
        // The worker never came to create it.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(%error, spool = %spool.display(), "the spool cannot be deleted");
        }
    }
}

fn log_end(outcome: &Outcome) {
    match outcome {
        Outcome::Complete(saved) => {
            tracing::info!(
                key = saved.key,
                seconds = saved.duration_s,
                size = saved.size,
                "recording complete"
            );
        }
        Outcome::Failed { error, saved } => {
            let key = saved.as_ref().map(|saved| &saved.key);
            tracing::error!(error, key, "recording failed");
        }
    }
}
