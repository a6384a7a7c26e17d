//! The front of the supervisor: what the doors of the service call.
//!
//! Contract: an answer that says so has its change in the database. Cheap to clone.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::error::ControlError;
use super::identity::Identity;
use super::overview::{self, Overview};
use super::recording::{Command, NoPreview, Reply};
use super::shared::Shared;
use super::supervisor::BACK_SOON;
use crate::filepath::Filepath;
use crate::health::{Admission, Readiness};
use crate::ids::{EgressId, RoomName, RoomSid};
use crate::media::StreamKind;
use crate::options::{AskedOptions, RecordingOptions, ViewChange};
use crate::store::{Phase, RecordingRow, Store};

/// Whoever holds the database's lock (a backup, an operator) is done soon.
const NOT_WRITTEN: ControlError = ControlError::NotWritten { retry_after: Duration::from_secs(5) };

#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
}

/// What only the supervisor can do.
pub(super) enum Request {
    Start {
        wanted: Wanted,
        answer: oneshot::Sender<Result<Started, ControlError>>,
    },
    /// The way to a running recording, if it runs.
    Find {
        egress_id: EgressId,
        answer: oneshot::Sender<Option<mpsc::Sender<Command>>>,
    },
}

/// A recording that somebody wants to have.
pub(super) struct Wanted {
    pub identity: Identity,
    pub room: RoomName,
    /// LiveKit's id of the room's present session.
    pub room_sid: RoomSid,
    pub filepath: Option<Filepath>,
    pub options: RecordingOptions,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    pub egress_id: EgressId,
    pub started_at: Timestamp,
    pub status: StartStatus,
    /// Whether this call started it.
    pub created: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartStatus {
    Starting,
    Active,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveRecording {
    pub egress_id: EgressId,
    pub started_at: Timestamp,
}

impl Handle {
    /// Starts a recording, or returns the one that is meant, whatever that was asked to be like.
    pub async fn start(
        &self,
        identity: Identity,
        room: RoomName,
        asked: AskedOptions,
    ) -> Result<Started, ControlError> {
        let filepath = asked.filepath.clone();
        let options = asked.upon(&self.shared.defaults)?;
        if let Some(existing) = identity.existing(&self.store, &room).await? {
            return Ok(Started::from_row(existing, false));
        }
        let found = self.shared.rooms.room_sid(&room).await.map_err(ControlError::Livekit)?;
        let room_sid = found.ok_or(ControlError::RoomNotFound)?;
        let wanted = Wanted { identity, room, room_sid, filepath, options };
        self.ask(|answer| Request::Start { wanted, answer }).await?
    }

    /// Stops the room's recording; one that is being finished already is returned as well.
    pub async fn stop(&self, room: &RoomName) -> Result<EgressId, ControlError> {
        if let Some(live) = self.store.live_recording(room).await?
            && self.stop_one(&live).await?
        {
            return Ok(live.egress_id);
        }
        // There is none, or it ended by itself in between: the database knows.
        match self.store.finishing_recording(room).await? {
            Some(finishing) => Ok(finishing.egress_id),
            None => Err(ControlError::NothingToStop),
        }
    }

    /// Stops a recording, whichever others its room has; of one that takes in no more media nothing changes.
    pub async fn stop_recording(&self, id: &EgressId) -> Result<(), ControlError> {
        let row = self.store.recording(id).await?.ok_or(ControlError::NoSuchRecording)?;
        match row.phase {
            Phase::Starting | Phase::Active => self.stop_one(&row).await.map(drop),
            Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => Ok(()),
        }
    }

    /// Returns whether it took in media until now.
    async fn stop_one(&self, live: &RecordingRow) -> Result<bool, ControlError> {
        done(self.command(live, Command::Stop).await?)
    }

    /// Ends the recordings of a room that LiveKit has closed; those of another room of the same name go on. Returns whether
    /// it ended one. If one's end could not be written down, the others are ended all the same.
    pub async fn room_finished(&self, name: &RoomName, room: &RoomSid) -> Result<bool, ControlError> {
        let live = self.store.live_recordings(name).await?;
        let ends = live.iter().map(async |live| {
            let room = room.clone();
            done(self.command(live, |reply| Command::EndWith { room, reply }).await?)
        });
        let ends = futures_util::future::join_all(ends).await;
        ends.into_iter().try_fold(false, |any, ended| Ok(ended? || any))
    }

    /// The room's recording, if it takes in media or is about to.
    pub async fn active(&self, room: &RoomName) -> Result<Option<ActiveRecording>, ControlError> {
        let live = self.store.live_recording(room).await?;
        Ok(live.map(|row| ActiveRecording { egress_id: row.egress_id, started_at: row.started_at }))
    }

    /// Changes what the room's recording looks like from now on.
    pub async fn change_view(
        &self,
        room: &RoomName,
        change: ViewChange,
    ) -> Result<ActiveRecording, ControlError> {
        let live = self.store.live_recording(room).await?.ok_or(ControlError::NothingToChange)?;
        has_picture(&live)?;
        match done(self.command(&live, |reply| Command::View { change, reply }).await?)? {
            true => Ok(ActiveRecording { egress_id: live.egress_id, started_at: live.started_at }),
            false => Err(ControlError::NothingToChange),
        }
    }

    /// The newest frame of a recording that takes in media, as JPEG.
    pub async fn preview(&self, id: &EgressId) -> Result<Bytes, ControlError> {
        let row = self.store.recording(id).await?.ok_or(ControlError::NoSuchRecording)?;
        has_picture(&row)?;
        let preview =
            tokio::time::timeout(self.shared.limits.preview, self.command(&row, Command::Preview)).await;
        match preview.map_err(|_elapsed| ControlError::NoPreview)?? {
            Some(Ok(jpeg)) => Ok(jpeg),
            Some(Err(NoPreview::NotActive)) | None => Err(ControlError::NotActive),
            Some(Err(NoPreview::NoFrame)) => Err(ControlError::NoFrame),
            Some(Err(NoPreview::Failed)) => Err(ControlError::NoPreview),
        }
    }

    /// Whether a recording could be started now. Asks the database only; of everything else the last that is known counts.
    pub async fn readiness(&self) -> Result<Readiness, ControlError> {
        self.store.ping().await?;
        let Shared { closed, livekit_status, encoders_status, measurements, uploads, .. } =
            self.shared.as_ref();
        let admission = match self.shared.has_room() {
            _ if closed.is_cancelled() => Admission::Ending,
            Ok(()) => Admission::Free,
            Err(shortage) => Admission::Short(shortage),
        };
        Ok(Readiness {
            livekit: livekit_status.now(),
            encoders: encoders_status.now(),
            space: *measurements.space.borrow(),
            admission,
            store_trouble: overview::store_trouble(&uploads.all()).cloned(),
        })
    }

    /// All recordings, and what they wait for.
    pub async fn overview(&self) -> Result<Overview, ControlError> {
        Ok(Overview {
            census: self.store.census().await?,
            uploads: self.shared.uploads.all(),
            running: self.shared.running.all().await,
            space: *self.shared.measurements.space.borrow(),
        })
    }

    /// What a running recording says to a command; `None` if it runs no more.
    async fn command<T>(
        &self,
        live: &RecordingRow,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<Option<T>, ControlError> {
        let egress_id = live.egress_id.clone();
        let Some(recording) = self.ask(|answer| Request::Find { egress_id, answer }).await? else {
            return Ok(None);
        };
        let (reply, answer) = oneshot::channel();
        let _gone = recording.send(command(reply)).await;
        Ok(answer.await.ok())
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, ControlError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(request(answer)).await;
        let gone = || ControlError::ShuttingDown { retry_after: BACK_SOON };
        sent.map_err(|_gone| gone())?;
        answered.await.map_err(|_gone| gone())
    }
}

/// Whether a recording did what it was told; it may be too late for that.
fn done(reply: Option<Reply>) -> Result<bool, ControlError> {
    match reply {
        Some(Reply::Done) => Ok(true),
        Some(Reply::NotWritten) => Err(NOT_WRITTEN),
        Some(Reply::TooLate | Reply::OtherRoom) | None => Ok(false),
    }
}

fn has_picture(row: &RecordingRow) -> Result<(), ControlError> {
    match row.options.streams.has(StreamKind::Video) {
        true => Ok(()),
        false => Err(ControlError::NoPicture),
    }
}

impl Started {
    pub(super) fn from_row(row: RecordingRow, created: bool) -> Self {
        Self {
            egress_id: row.egress_id,
            started_at: row.started_at,
            status: match row.phase {
                Phase::Starting => StartStatus::Starting,
                // Later phases can only come between the look and the answer.
                Phase::Active | Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => {
                    StartStatus::Active
                }
            },
            created,
        }
    }
}
