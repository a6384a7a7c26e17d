//! Owns the calls on a room's recording: start, stop, show and change (contract, part 1).

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::bodies::{StartBody, ViewBody};
use super::options;
use super::path::Room;
use crate::control::{ActiveRecording, Recorder, StartStatus, Started};
use crate::front::http::problem::Problem;
use crate::front::rest::openapi::schemas;
use crate::ids::EgressId;

const STARTING: &str = "starting";
const ACTIVE: &str = "active";
const STOPPING: &str = "stopping";

type TheRecorder = State<Arc<dyn Recorder>>;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StartAnswer {
    #[schema(schema_with = schemas::egress_id)]
    egress_id: EgressId,
    #[schema(schema_with = start_status)]
    status: &'static str,
    #[schema(schema_with = schemas::time)]
    started_at: String,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct StopAnswer {
    #[schema(schema_with = schemas::egress_id)]
    egress_id: EgressId,
    #[schema(schema_with = stop_status)]
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum ShowAnswer {
    #[serde(rename_all = "camelCase")]
    Active {
        #[schema(schema_with = yes)]
        active: bool,
        #[schema(schema_with = schemas::egress_id)]
        egress_id: EgressId,
        #[schema(schema_with = schemas::time)]
        started_at: String,
    },
    Inactive {
        #[schema(schema_with = no)]
        active: bool,
    },
}

/// Starts a recording, or answers with the one that the room has.
#[utoipa::path(
    post,
    path = "/v1/rooms/{roomId}/recording/start",
    operation_id = "startRecording",
    tag = "recording",
    params(Room),
    request_body(content = Option<StartBody>, description = "No body at all asks for what the service does by default."),
    responses(
        (status = 200, description = "The room is being recorded already.", body = StartAnswer),
        (status = 201, description = "A recording was started.", body = StartAnswer),
        (status = 400, description = "The room's name is none, or an option cannot be honoured; or the body did not arrive as a whole."),
        (status = 404, description = "LiveKit has no such room."),
        (status = 500, description = "The service failed."),
        (status = 503, description = "LiveKit cannot be reached, there is no capacity left, or the service is ending."),
    )
)]
pub async fn start(
    State(recorder): TheRecorder,
    Room(room): Room,
    body: Bytes,
) -> Result<(StatusCode, Json<StartAnswer>), Problem> {
    let asked = options::asked(&body)?;
    let Started { egress_id, started_at, status, created } = recorder.start(room, asked).await?;
    let code = if created { StatusCode::CREATED } else { StatusCode::OK };
    let status = match status {
        StartStatus::Starting => STARTING,
        StartStatus::Active => ACTIVE,
    };
    let started_at = millis(started_at);
    Ok((code, Json(StartAnswer { egress_id, status, started_at })))
}

/// Stops the room's recording. A second stop answers as the first one did, until it is finished.
#[utoipa::path(
    post,
    path = "/v1/rooms/{roomId}/recording/stop",
    operation_id = "stopRecording",
    tag = "recording",
    params(Room),
    responses(
        (status = 200, description = "It takes in no more media, and is being finished.", body = StopAnswer),
        (status = 400, description = "The room's name is none; or the body did not arrive as a whole."),
        (status = 404, description = "The room is not being recorded."),
        (status = 500, description = "The service failed."),
        (status = 503, description = "It could not be written down, and so has not been done; or the service is ending."),
    )
)]
pub async fn stop(State(recorder): TheRecorder, Room(room): Room) -> Result<Json<StopAnswer>, Problem> {
    let egress_id = recorder.stop(&room).await?;
    Ok(Json(StopAnswer { egress_id, status: STOPPING }))
}

/// Whether the room is being recorded.
#[utoipa::path(
    get,
    path = "/v1/rooms/{roomId}/recording",
    operation_id = "showRoomRecording",
    tag = "recording",
    params(Room),
    responses(
        (status = 200, description = "It is, or it is not.", body = ShowAnswer),
        (status = 400, description = "The room's name is none; or the body did not arrive as a whole."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn show(State(recorder): TheRecorder, Room(room): Room) -> Result<Json<ShowAnswer>, Problem> {
    Ok(Json(recorder.active(&room).await?.into()))
}

/// Changes what the running recording looks like.
#[utoipa::path(
    patch,
    path = "/v1/rooms/{roomId}/recording",
    operation_id = "changeRoomRecording",
    tag = "recording",
    params(Room),
    request_body = ViewBody,
    responses(
        (status = 200, description = "The recording, as it is shown otherwise.", body = ShowAnswer),
        (status = 400, description = "The room's name is none, or the body is not as described or did not arrive as a whole."),
        (status = 404, description = "The room is not being recorded."),
        (status = 409, description = "The recording has no picture."),
        (status = 500, description = "The service failed."),
        (status = 503, description = "It could not be written down, and so has not been done; or the service is ending."),
    )
)]
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

/// Returns a time as ISO 8601 in UTC with milliseconds and a `Z`.
pub fn millis(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn start_status() -> Object {
    schemas::words([STARTING, ACTIVE])
}

fn stop_status() -> Object {
    schemas::words([STOPPING])
}

fn yes() -> Object {
    schemas::only(true)
}

fn no() -> Object {
    schemas::only(false)
}
