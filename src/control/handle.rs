//! The front of the supervisor: what the doors of the service call.
//!
//! Contract: an answer that says so has its change in the database. Cheap to clone.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use super::error::ControlError;
use super::livekit::Livekit;
use super::recording::StopRequest;
use crate::ids::{EgressId, RoomName};
use crate::store::{Phase, RecordingRow, Store};

#[derive(Clone)]
pub struct Handle {
    pub(super) requests: mpsc::Sender<Request>,
    pub(super) store: Store,
    pub(super) livekit: Livekit,
}

/// What only the supervisor can do.
pub(super) enum Request {
    Start {
        room: RoomName,
        answer: oneshot::Sender<Result<Started, ControlError>>,
    },
    /// The way to stop a running recording, if it runs.
    Find {
        egress_id: EgressId,
        answer: oneshot::Sender<Option<mpsc::Sender<StopRequest>>>,
    },
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
    /// Starts a recording, or answers with the one that the room has.
    pub async fn start(&self, room: RoomName) -> Result<Started, ControlError> {
        if let Some(existing) = self.store.live_recording(&room).await? {
            return Ok(Started::from_row(existing, false));
        }
        let exists = self.livekit.room_exists(&room).await;
        if !exists.map_err(ControlError::Livekit)? {
            return Err(ControlError::RoomNotFound);
        }
        self.ask(|answer| Request::Start { room, answer }).await?
    }

    /// Stops the room's recording; one that is being finished already is answered with as well.
    pub async fn stop(&self, room: &RoomName) -> Result<EgressId, ControlError> {
        if let Some(live) = self.store.live_recording(room).await? {
            let egress_id = live.egress_id.clone();
            let found = self.ask(|answer| Request::Find { egress_id, answer });
            if let Some(recording) = found.await?
                && stop(&recording).await
            {
                return Ok(live.egress_id);
            }
            // It ended by itself in between: the database knows.
        }
        match self.store.finishing_recording(room).await? {
            Some(finishing) => Ok(finishing.egress_id),
            None => Err(ControlError::NothingToStop),
        }
    }

    /// The room's recording, if it takes in media or is about to.
    pub async fn active(&self, room: &RoomName) -> Result<Option<ActiveRecording>, ControlError> {
        let live = self.store.live_recording(room).await?;
        Ok(live.map(|row| ActiveRecording { egress_id: row.egress_id, started_at: row.started_at }))
    }

    async fn ask<T>(&self, request: impl FnOnce(oneshot::Sender<T>) -> Request) -> Result<T, ControlError> {
        let (answer, answered) = oneshot::channel();
        let sent = self.requests.send(request(answer)).await;
        sent.map_err(|_gone| ControlError::ShuttingDown)?;
        answered.await.map_err(|_gone| ControlError::ShuttingDown)
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

/// Whether the recording has taken note of the stop.
async fn stop(recording: &mpsc::Sender<StopRequest>) -> bool {
    let (noted, answer) = oneshot::channel();
    recording.send(noted).await.is_ok() && answer.await.is_ok()
}
