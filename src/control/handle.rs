//! The supervisor's handle, which the doors of the service call. Cheap to clone.
//!
//! Contract: when a call that changes something returns `Ok`, the change is in the database.

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

/// Another program that holds the database's lock, such as a backup, is done soon.
const NOT_WRITTEN: ControlError = ControlError::NotWritten { retry_after: Duration::from_secs(5) };

#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) store: Store,
    pub(super) shared: Arc<Shared>,
}

/// A request that only the supervisor can carry out.
pub(super) enum Request {
    Start {
        wanted: Wanted,
        answer: oneshot::Sender<Result<Started, ControlError>>,
    },
    /// Returns the command channel of a recording; `None` if it does not run.
    Find {
        egress_id: EgressId,
        answer: oneshot::Sender<Option<mpsc::Sender<Command>>>,
    },
}

/// The recording that a start asks for.
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
    /// Starts a recording. If the recording that `identity` means exists already, returns that one, whatever
    /// its options.
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

    /// Stops the room's recording; returns its id, also if it was stopping or uploading already.
    pub async fn stop(&self, room: &RoomName) -> Result<EgressId, ControlError> {
        if let Some(live) = self.store.live_recording(room).await?
            && self.stop_one(&live).await?
        {
            return Ok(live.egress_id);
        }
        // There is none, or it has just ended by itself. The database knows.
        match self.store.finishing_recording(room).await? {
            Some(finishing) => Ok(finishing.egress_id),
            None => Err(ControlError::NothingToStop),
        }
    }

    /// Stops a recording, but no other recordings of its room. Changes nothing if it takes in no more media.
    pub async fn stop_recording(&self, id: &EgressId) -> Result<(), ControlError> {
        let row = self.store.recording(id).await?.ok_or(ControlError::NoSuchRecording)?;
        match row.phase {
            Phase::Starting | Phase::Active => self.stop_one(&row).await.map(drop),
            Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => Ok(()),
        }
    }

    /// Stops a recording; returns whether it took in media until now.
    async fn stop_one(&self, live: &RecordingRow) -> Result<bool, ControlError> {
        done(self.command(live, Command::Stop).await?)
    }

    /// Ends the recordings of a room that LiveKit has closed, but not those of another room of the same name.
    /// Returns whether it ended one. If the end of one cannot be written to the database, it still ends the
    /// others.
    pub async fn room_finished(&self, name: &RoomName, room: &RoomSid) -> Result<bool, ControlError> {
        let live = self.store.live_recordings(name).await?;
        let ends = live.iter().map(async |live| {
            let room = room.clone();
            done(self.command(live, |reply| Command::EndWith { room, reply }).await?)
        });
        let ends = futures_util::future::join_all(ends).await;
        ends.into_iter().try_fold(false, |any, ended| Ok(ended? || any))
    }

    /// Returns the room's recording, if it takes in media or is about to.
    pub async fn active(&self, room: &RoomName) -> Result<Option<ActiveRecording>, ControlError> {
        let live = self.store.live_recording(room).await?;
        Ok(live.map(|row| ActiveRecording { egress_id: row.egress_id, started_at: row.started_at }))
    }

    /// Changes the view of the room's recording from now on.
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

    /// Returns the newest frame of a recording that takes in media, as JPEG.
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

    /// Returns whether a recording could be started now. Asks only the database. For everything else, the
    /// last known status counts.
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

    /// Returns the state of all recordings, and what they wait for.
    pub async fn overview(&self) -> Result<Overview, ControlError> {
        Ok(Overview {
            census: self.store.census().await?,
            uploads: self.shared.uploads.all(),
            running: self.shared.running.all().await,
            space: *self.shared.measurements.space.borrow(),
        })
    }

    /// Returns a running recording's reply to a command; `None` if it does not run any more.
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

/// Returns whether a recording carried out a command. `false` means that it was too late.
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
                // A later phase can only have begun since the recording was read.
                Phase::Active | Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => {
                    StartStatus::Active
                }
            },
            created,
        }
    }
}
