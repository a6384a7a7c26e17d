//! Owns how LiveKit's own webhooks are handled: when a room is finished, its recording ends at once.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::control::Recorder;
use crate::front::http::problem::Problem;
use crate::front::rest::gate::{self, BodyLimits};
use crate::front::rest::livekit_signature::LivekitKey;
use crate::ids::{RoomName, RoomSid};

/// The only event that is needed here: workers notice everything else in the room.
const ROOM_FINISHED: &str = "room_finished";

#[derive(Clone)]
pub struct LivekitHook {
    pub recorder: Arc<dyn Recorder>,
    pub key: LivekitKey,
    pub body: BodyLimits,
}

/// What became of it.
#[derive(Serialize, ToSchema)]
pub struct HookAnswer {
    /// Whether a recording was ended by it.
    ended: bool,
}

/// Of LiveKit's `WebhookEvent`, as JSON.
#[derive(Deserialize, ToSchema)]
#[schema(as = LivekitEvent)]
struct Event {
    #[serde(default)]
    event: String,
    room: Option<Room>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = LivekitRoom)]
struct Room {
    #[serde(default)]
    sid: String,
    #[serde(default)]
    name: String,
}

/// Takes a webhook of LiveKit's: a room that is finished ends its recording at once.
#[utoipa::path(
    post,
    path = "/livekit/webhook",
    operation_id = "hearLivekit",
    tag = "service",
    request_body(content = Event, content_type = "application/webhook+json"),
    responses(
        (status = 200, description = "It was understood.", body = HookAnswer),
        (status = 400, description = "The body is no event of LiveKit's, or did not arrive as a whole."),
        (status = 500, description = "The service failed."),
        (status = 503, description = "It could not be written down yet, or the service is ending."),
    )
)]
pub async fn hear(
    State(hook): State<LivekitHook>,
    request: Request<Body>,
) -> Result<Json<HookAnswer>, Problem> {
    let (head, body) = request.into_parts();
    let claim = hook.key.claim(&head.headers)?;
    let body = gate::read_body(&head.headers, body, hook.body).await?;
    claim.verify(&body)?;
    let event: Event = serde_json::from_slice(&body)
        .map_err(|error| Problem::bad_request(format!("The body is no event of LiveKit's: {error}")))?;
    let ended = match finished_room(event) {
        Some((room, sid)) => hook.recorder.room_finished(&room, &sid).await?,
        None => false,
    };
    Ok(Json(HookAnswer { ended }))
}

/// Ignores a room whose name no recording can have.
fn finished_room(event: Event) -> Option<(RoomName, RoomSid)> {
    let Event { event, room } = event;
    let Room { sid, name } = room.filter(|_| event == ROOM_FINISHED)?;
    Some((name.parse().ok()?, RoomSid(sid)))
}
