//! Owns the running recordings of a service: starts them, finds them, sees them end.
//!
//! Does not own what happens inside one (`recording`). Contract: a recording runs in exactly one task;
//! one whose task panics is salvaged, once, as if the service had been restarted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::error::ControlError;
use super::handle::{Handle, Request, Started};
use super::livekit::Livekit;
use super::recording::{Origin, Recording, Wish};
use super::shared::Shared;
use super::state::Failure;
use super::{key, recovery};
use crate::ids::{EgressId, RoomName};
use crate::options::RecordingOptions;
use crate::store::{Inserted, NewRecording, RecordingRow};

/// Requests that may wait for the supervisor; more callers wait in line.
const QUEUE: usize = 64;
/// Wishes that may wait for one recording.
const WISH_QUEUE: usize = 8;
/// When a full service should be asked again: recordings end at any time.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long recordings may take to be finished and stored when the service is to end. What is not
/// done by then is done by the next start.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(60);

pub struct Supervisor {
    shared: Arc<Shared>,
    capacity: Arc<Semaphore>,
    requests: mpsc::Receiver<Request>,
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
    stop_all: CancellationToken,
}

struct Running {
    egress_id: EgressId,
    wishes: mpsc::Sender<Wish>,
    attempt: Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Recording,
    Salvage,
}

impl Supervisor {
    /// Creates the spool folder and takes up what an earlier service left unfinished.
    pub async fn new(shared: Shared, livekit: Livekit) -> Result<(Handle, Self), ControlError> {
        create_spool_folder(&shared).await?;
        let (sender, requests) = mpsc::channel(QUEUE);
        let shared = Arc::new(shared);
        let handle =
            Handle { requests: sender, store: shared.store.clone(), livekit, shared: Arc::clone(&shared) };
        let mut supervisor = Self {
            capacity: Arc::new(Semaphore::new(shared.capacity.get() as usize)),
            shared,
            requests,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            stop_all: CancellationToken::new(),
        };
        for row in recovery::unfinished(&supervisor.shared).await? {
            tracing::warn!(egress_id = %row.egress_id, room = %row.room, "unfinished recording found");
            supervisor.salvage(row, Failure::ServiceRestarted);
        }
        Ok((handle, supervisor))
    }

    /// Runs recordings until it is cancelled, then stops them and waits until they are stored.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                Some(request) = self.requests.recv() => self.serve(request).await,
            }
        }
        self.finish().await;
    }

    async fn serve(&mut self, request: Request) {
        // Whoever asked may have gone: an answer that nobody takes is dropped.
        match request {
            Request::Start { room, options, answer } => {
                let _taken = answer.send(self.start(room, options).await);
            }
            Request::Find { egress_id, answer } => {
                let _taken = answer.send(self.find(&egress_id));
            }
        }
    }

    async fn start(&mut self, room: RoomName, options: RecordingOptions) -> Result<Started, ControlError> {
        let Ok(permit) = Arc::clone(&self.capacity).try_acquire_owned() else {
            return self.existing_or_full(&room).await;
        };
        let started_at = Timestamp::now();
        let new = NewRecording {
            egress_id: EgressId::random(),
            key: key::wanted(&room, started_at),
            room,
            started_at,
            options,
        };
        match self.shared.store.insert_recording(new).await? {
            Inserted::Existing(row) => Ok(Started::from_row(row, false)),
            Inserted::New(row) => {
                self.spawn(row.clone(), Origin::Start { permit }, Attempt::Recording);
                Ok(Started::from_row(row, true))
            }
        }
    }

    /// Two starts of one room may have raced for the last place.
    async fn existing_or_full(&self, room: &RoomName) -> Result<Started, ControlError> {
        match self.shared.store.live_recording(room).await? {
            Some(row) => Ok(Started::from_row(row, false)),
            None => Err(ControlError::NoCapacity { retry_after: RETRY_AFTER }),
        }
    }

    fn find(&self, egress_id: &EgressId) -> Option<mpsc::Sender<Wish>> {
        let mut running = self.running.values();
        let found = running.find(|running| running.egress_id == *egress_id);
        found.map(|running| running.wishes.clone())
    }

    fn salvage(&mut self, row: RecordingRow, failure: Failure) {
        self.spawn(row, Origin::Salvage { failure }, Attempt::Salvage);
    }

    fn spawn(&mut self, row: RecordingRow, origin: Origin, attempt: Attempt) {
        let span = tracing::info_span!("recording", egress_id = %row.egress_id, room = %row.room);
        let egress_id = row.egress_id.clone();
        let (wishes, wished) = mpsc::channel(WISH_QUEUE);
        let recording = Recording::new(row, Arc::clone(&self.shared));
        let run = recording.run(origin, wished, self.stop_all.clone());
        let task = self.tasks.spawn(run.instrument(span));
        let running = Running { egress_id, wishes, attempt };
        self.running.insert(task.id(), running);
    }

    async fn ended(&mut self, ended: Result<(Id, ()), JoinError>) {
        match ended {
            Ok((id, ())) => {
                self.running.remove(&id);
            }
            Err(error) => self.panicked(&error).await,
        }
    }

    async fn panicked(&mut self, error: &JoinError) {
        let Some(running) = self.running.remove(&error.id()) else {
            return;
        };
        let egress_id = running.egress_id;
        tracing::error!(%egress_id, %error, "the task of a recording failed");
        match running.attempt {
            Attempt::Recording => match recovery::unfinished_one(&self.shared, &egress_id).await {
                Ok(Some(row)) => {
                    self.salvage(row, Failure::Reported("internal error".into()));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "it is left to the next start"),
            },
            Attempt::Salvage => tracing::error!("it is left to the next start"),
        }
    }

    async fn finish(mut self) {
        self.requests.close();
        self.stop_all.cancel();
        tracing::info!(recordings = self.running.len(), "finishing recordings");
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(SHUTDOWN_GRACE, all).await.is_err() {
            let left = self.tasks.len();
            tracing::warn!(left, "not all recordings are stored yet, the next start goes on");
            self.tasks.shutdown().await;
        }
    }
}

async fn create_spool_folder(shared: &Shared) -> Result<(), ControlError> {
    let created = tokio::fs::create_dir_all(&shared.spool_dir).await;
    created.map_err(|source| ControlError::SpoolFolder { path: shared.spool_dir.clone(), source })
}

#[cfg(test)]
mod tests;
