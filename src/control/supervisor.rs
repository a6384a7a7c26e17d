//! Owns the running recordings of a service: starts them, finds them, sees them end.
//!
//! Does not own what happens inside one (`recording`). Contract: a recording runs in exactly one task;
//! one whose task panics is salvaged, once, as if the service had been restarted.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::capacity::Shortage;
use super::error::ControlError;
use super::failure::{Failure, Verdict};
use super::handle::{Handle, Request, Started, Wanted};
use super::recording::{Origin, Recording, Wish};
use super::recovery::Prospect;
use super::shared::Shared;
use super::shutdown::Shutdown;
use super::upload::Orphans;
use super::workforce::Place;
use super::{key, recovery};
use crate::filepath::Facts;
use crate::ids::{EgressId, RoomName};
use crate::store::{Inserted, NewRecording, RecordingRow};

/// Requests that may wait for the supervisor; more callers wait in line.
const QUEUE: usize = 64;
/// Wishes that may wait for one recording.
const WISH_QUEUE: usize = 8;
/// When a full service should be asked again: recordings end at any time.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long recordings may take to be finished and stored once they were stopped because the service is to end. What
/// is not done by then is done by the next start.
const STORING_GRACE: Duration = Duration::from_secs(60);
/// When somebody who was refused because the service is ending should ask again: another one is there soon.
pub const BACK_SOON: Duration = Duration::from_secs(10);

pub struct Supervisor {
    shared: Arc<Shared>,
    /// Whether new recordings are taken in.
    door: Door,
    requests: mpsc::Receiver<Request>,
    tasks: JoinSet<()>,
    running: HashMap<Id, Running>,
    stop_all: CancellationToken,
    /// Ends with the supervisor.
    _errands: JoinSet<()>,
}

struct Running {
    egress_id: EgressId,
    wishes: mpsc::Sender<Wish>,
    attempt: Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
}

/// Where a service stands that is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Recordings go on until then.
    Draining { until: Instant },
    /// They were stopped, and are to be stored until then.
    Storing { until: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Recording,
    Salvage,
}

impl Supervisor {
    /// Creates the spool folder and takes up what an earlier service left unfinished.
    pub async fn new(shared: Shared) -> Result<(Handle, Self), ControlError> {
        create_spool_folder(&shared).await?;
        recovery::sweep(&shared).await?;
        let (sender, requests) = mpsc::channel(QUEUE);
        let shared = Arc::new(shared);
        let handle = Handle { requests: sender, store: shared.store.clone(), shared: Arc::clone(&shared) };
        let orphans = Orphans { stores: shared.stores.clone(), database: shared.store.clone() };
        let mut errands = JoinSet::new();
        errands.spawn(orphans.run());
        let mut supervisor = Self {
            shared,
            door: Door::Open,
            requests,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            stop_all: CancellationToken::new(),
            _errands: errands,
        };
        for (row, prospect) in recovery::unfinished(&supervisor.shared).await? {
            tracing::warn!(egress_id = %row.egress_id, room = %row.room, ?prospect, "unfinished recording found");
            supervisor.take_up(row, prospect);
        }
        Ok((handle, supervisor))
    }

    /// Runs recordings until it is told to end; then until they have ended and are stored, or time is up.
    pub async fn run(mut self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.begun() => break,
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                Some(request) = self.requests.recv() => self.serve(request).await,
            }
        }
        self.end(&shutdown).await;
    }

    async fn serve(&mut self, request: Request) {
        // Whoever asked may have gone: an answer that nobody takes is dropped.
        match request {
            Request::Start { wanted, answer } => {
                let _taken = answer.send(self.start(wanted).await);
            }
            Request::Find { egress_id, answer } => {
                let _taken = answer.send(self.find(&egress_id));
            }
        }
    }

    async fn start(&mut self, wanted: Wanted) -> Result<Started, ControlError> {
        let Wanted { room, room_sid, filepath, options } = wanted;
        if self.door == Door::Closed {
            return self.existing_or(&room, ControlError::ShuttingDown { retry_after: BACK_SOON }).await;
        }
        let place = match self.place() {
            Ok(place) => place,
            Err(shortage) => {
                let error = ControlError::NoCapacity { shortage, retry_after: RETRY_AFTER };
                return self.existing_or(&room, error).await;
            }
        };
        let (egress_id, started_at) = (EgressId::random(), Timestamp::now());
        let facts = Facts { room: &room, room_sid: &room_sid, egress_id: &egress_id, started_at };
        let key = key::wanted(filepath.as_ref(), facts)?;
        let new = NewRecording { egress_id, room, started_at, key, options };
        match self.shared.store.insert_recording(new).await? {
            Inserted::Existing(row) => Ok(Started::from_row(row, false)),
            Inserted::New(row) => {
                self.spawn(row.clone(), Origin::Start { place }, Attempt::Recording);
                Ok(Started::from_row(row, true))
            }
        }
    }

    /// A place for one more recording, if none that runs is harmed by it.
    fn place(&self) -> Result<Place, Shortage> {
        self.shared.has_room()?;
        self.shared.workforce.take_place(self.shared.max_recordings).ok_or(Shortage::Places)
    }

    /// Two starts of one room may have raced for the last place.
    async fn existing_or(&self, room: &RoomName, error: ControlError) -> Result<Started, ControlError> {
        match self.shared.store.live_recording(room).await? {
            Some(row) => Ok(Started::from_row(row, false)),
            None => Err(error),
        }
    }

    fn find(&self, egress_id: &EgressId) -> Option<mpsc::Sender<Wish>> {
        let mut running = self.running.values();
        let found = running.find(|running| running.egress_id == *egress_id);
        found.map(|running| running.wishes.clone())
    }

    fn take_up(&mut self, row: RecordingRow, prospect: Prospect) {
        // It had a place before: there is one for it whatever the limit is now.
        match (prospect, self.shared.workforce.take_place(None)) {
            (Prospect::GoOn, Some(place)) => self.spawn(row, Origin::Resume { place }, Attempt::Recording),
            (Prospect::GoOn, None) => self.salvage(row, Verdict::Failed(Failure::ServiceRestarted)),
            (Prospect::Finish(verdict), _) => self.salvage(row, verdict),
        }
    }

    fn salvage(&mut self, row: RecordingRow, verdict: Verdict) {
        self.spawn(row, Origin::Salvage { verdict }, Attempt::Salvage);
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
                    self.salvage(row, Verdict::Failed(Failure::Reported("internal error".into())));
                }
                Ok(None) => {}
                Err(error) => tracing::error!(%error, "it is left to the next start"),
            },
            Attempt::Salvage => tracing::error!("it is left to the next start"),
        }
    }

    async fn end(mut self, shutdown: &Shutdown) {
        self.door = Door::Closed;
        self.shared.closed.cancel();
        let mut ending = Ending::Draining { until: Instant::now() + self.shared.shutdown_grace };
        tracing::info!(recordings = self.running.len(), "no new recordings, those that run are waited for");
        while !self.tasks.is_empty() {
            let (Ending::Draining { until } | Ending::Storing { until }) = ending;
            let draining = matches!(ending, Ending::Draining { .. });
            tokio::select! {
                biased;
                () = shutdown.hurried(), if draining => ending = self.stop_all(),
                () = tokio::time::sleep_until(until) => match ending {
                    Ending::Draining { .. } => ending = self.stop_all(),
                    Ending::Storing { .. } => break,
                },
                Some(ended) = self.tasks.join_next_with_id() => self.ended(ended).await,
                Some(request) = self.requests.recv() => self.serve(request).await,
            }
        }
        if !self.tasks.is_empty() {
            let left = self.tasks.len();
            tracing::warn!(left, "not all recordings are stored yet, the next start goes on");
            self.tasks.shutdown().await;
        }
    }

    fn stop_all(&self) -> Ending {
        tracing::info!(recordings = self.running.len(), "stopping recordings");
        self.stop_all.cancel();
        Ending::Storing { until: Instant::now() + STORING_GRACE }
    }
}

async fn create_spool_folder(shared: &Shared) -> Result<(), ControlError> {
    let created = tokio::fs::create_dir_all(&shared.spool_dir).await;
    created.map_err(|source| ControlError::SpoolFolder { path: shared.spool_dir.clone(), source })
}

#[cfg(test)]
mod tests;
