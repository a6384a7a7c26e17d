//! Owns the calls on a room's recording: start, stop, show and change (contract, part 1).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::options;
use super::path::Room;
use crate::api::problem::Problem;
use crate::api::recorder::{ActiveRecording, Recorder, StartStatus, Started};
use crate::ids::EgressId;

type TheRecorder = State<Arc<dyn Recorder>>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StartAnswer {
    egress_id: EgressId,
    status: &'static str,
    started_at: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StopAnswer {
    egress_id: EgressId,
    status: &'static str,
}

#[derive(Serialize)]
#[serde(untagged)]
pub enum ShowAnswer {
    #[serde(rename_all = "camelCase")]
    Active {
        active: bool,
        egress_id: EgressId,
        started_at: String,
    },
    Inactive {
        active: bool,
    },
}

pub async fn start(
    State(recorder): TheRecorder,
    Room(room): Room,
    body: Bytes,
) -> Result<(StatusCode, Json<StartAnswer>), Problem> {
    let asked = options::asked(&body)?;
    let Started { egress_id, started_at, status, created } = recorder.start(room, asked).await?;
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    let status = match status {
        StartStatus::Starting => "starting",
        StartStatus::Active => "active",
    };
    let started_at = millis(started_at);
    Ok((code, Json(StartAnswer { egress_id, status, started_at })))
}

pub async fn stop(State(recorder): TheRecorder, Room(room): Room) -> Result<Json<StopAnswer>, Problem> {
    let egress_id = recorder.stop(&room).await?;
    Ok(Json(StopAnswer { egress_id, status: "stopping" }))
}

pub async fn show(State(recorder): TheRecorder, Room(room): Room) -> Result<Json<ShowAnswer>, Problem> {
    Ok(Json(recorder.active(&room).await?.into()))
}

/// Answers as [`show`] does.
pub async fn change(
    State(recorder): TheRecorder,
    Room(room): Room,
    body: Bytes,
) -> Result<Json<ShowAnswer>, Problem> {
    let change = options::view_change(&body)?;
    let active = recorder.change_view(&room, change).await?;
    Ok(Json(Some(active).into()))
}

impl From<Option<ActiveRecording>> for ShowAnswer {
    fn from(active: Option<ActiveRecording>) -> Self {
        match active {
            Some(ActiveRecording { egress_id, started_at }) => {
                Self::Active { active: true, egress_id, started_at: millis(started_at) }
            }
            None => Self::Inactive { active: false },
        }
    }
}

/// ISO 8601 in UTC with milliseconds and a `Z`.
pub fn millis(time: Timestamp) -> String {
    format!("{time:.3}")
}
