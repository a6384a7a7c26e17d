//! Owns the running recordings of a service: starts them, finds them, and notices their ends.
//!
//! Does not own what happens inside a recording (`recording`). Contract: a recording runs in exactly one
//! task. If its task panics, the recording is continued once, as after a restart of the service.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::error::ControlError;
use super::failure::{EndStatus, Failure};
use super::handle::{Handle, Request, Started, Wanted};
use super::identity::Identity;
use super::recording::{Command, Origin, Recording};
use super::recovery;
use super::recovery::Recovery;
use super::shared::Shared;
use super::shutdown::Shutdown;
use crate::admission::Shortage;
use crate::admission::Slot;
use crate::filepath::Facts;
use crate::ids::{EgressId, RoomName};
use crate::store::{Inserted, NewRecording, RecordingRow};
use crate::upload::{self, Orphans};

/// How many requests may wait for the supervisor. Further callers wait until there is room.
const QUEUE: usize = 64;
/// How many commands may wait for one recording.
const COMMAND_QUEUE: usize = 8;
/// When a caller should try again if there is no room: recordings end at any time.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// How long recordings may take to be stored after the end of the service has stopped them. The next start
/// continues the rest.
const STORING_GRACE: Duration = Duration::from_secs(60);
/// When a caller should try again if the service is ending: another one is there soon.
pub const BACK_SOON: Duration = Duration::from_secs(10);

pub struct Supervisor {
    shared: Arc<Shared>,
    /// Whether new recordings are started.
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
    commands: mpsc::Sender<Command>,
    attempt: Attempt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Closed,
}

/// How far the end of the service is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// Recordings go on until then.
    Draining { until: Instant },
    /// Recordings were stopped. They have until then to be stored.
    Storing { until: Instant },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Recording,
    Salvage,
}

impl Supervisor {
    /// Creates the folder of the spools, and continues the recordings that an earlier service left
    /// unfinished.
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
        for (row, recovery_of) in recovery::unfinished(&supervisor.shared).await? {
            tracing::warn!(egress_id = %row.egress_id, room = %row.room, ?recovery_of, "unfinished recording found");
            supervisor.recover(row, recovery_of);
        }
        Ok((handle, supervisor))
    }

    /// Runs recordings until it is told to end. Then returns when they are stored, or their time is up.
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
        // The caller may have gone. Then the reply is dropped.
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
        let Wanted { identity, room, room_sid, filepath, options } = wanted;
        if self.door == Door::Closed {
            let error = ControlError::ShuttingDown { retry_after: BACK_SOON };
            return self.existing_or(&identity, &room, error).await;
        }
        let slot = match self.slot() {
            Ok(slot) => slot,
            Err(shortage) => {
                let error = ControlError::NoCapacity { shortage, retry_after: RETRY_AFTER };
                return self.existing_or(&identity, &room, error).await;
            }
        };
        let (egress_id, exclusivity) = identity.of_new();
        let started_at = Timestamp::now();
        let facts = Facts { room: &room, room_sid: &room_sid, egress_id: &egress_id, started_at };
        let key = upload::wanted(filepath.as_ref(), facts)?;
        let new = NewRecording { egress_id, room, exclusivity, started_at, key, options };
        match self.shared.store.insert_recording(new).await? {
            Inserted::Existing(row) => Ok(Started::from_row(row, false)),
            Inserted::IdTaken => Err(ControlError::IdTaken),
            Inserted::New(row) => {
                self.spawn(row.clone(), Origin::Start { slot }, Attempt::Recording);
                Ok(Started::from_row(row, true))
            }
        }
    }

    /// Returns a slot for one more recording, unless that would harm those that run.
    fn slot(&self) -> Result<Slot, Shortage> {
        self.shared.has_room()?;
        self.shared.slots.take(self.shared.max_recordings).ok_or(Shortage::Slots)
    }

    /// Two starts of one recording may have competed for the last slot. Then both return it.
    async fn existing_or(
        &self,
        identity: &Identity,
        room: &RoomName,
        error: ControlError,
    ) -> Result<Started, ControlError> {
        match identity.existing(&self.shared.store, room).await? {
            Some(row) => Ok(Started::from_row(row, false)),
            None => Err(error),
        }
    }

    fn find(&self, egress_id: &EgressId) -> Option<mpsc::Sender<Command>> {
        let mut running = self.running.values();
        let found = running.find(|running| running.egress_id == *egress_id);
        found.map(|running| running.commands.clone())
    }

    fn recover(&mut self, row: RecordingRow, recovery_of: Recovery) {
        // It had a slot before, so it gets one whatever the limit is now.
        match (recovery_of, self.shared.slots.take(None)) {
            (Recovery::Resume, Some(slot)) => self.spawn(row, Origin::Resume { slot }, Attempt::Recording),
            (Recovery::Resume, None) => self.salvage(row, EndStatus::Failed(Failure::ServiceRestarted)),
            (Recovery::Finish(end_status), _) => self.salvage(row, end_status),
        }
    }

    fn salvage(&mut self, row: RecordingRow, end_status: EndStatus) {
        self.spawn(row, Origin::Salvage { end_status }, Attempt::Salvage);
    }

    fn spawn(&mut self, row: RecordingRow, origin: Origin, attempt: Attempt) {
        let span = tracing::info_span!("recording", egress_id = %row.egress_id, room = %row.room);
        let egress_id = row.egress_id.clone();
        let (commands, receiver) = mpsc::channel(COMMAND_QUEUE);
        let recording = Recording::new(row, Arc::clone(&self.shared));
        let run = recording.run(origin, receiver, self.stop_all.clone());
        let task = self.tasks.spawn(run.instrument(span));
        let running = Running { egress_id, commands, attempt };
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
                    self.salvage(row, EndStatus::Failed(Failure::Reported("internal error".into())));
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
