//! Owns the parameters of paths: they are percent-decoded and checked before a handler sees them.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::Object;

use crate::front::http::problem::{Kind, Problem};
use crate::front::rest::openapi::schemas;
use crate::ids::{EgressId, RoomName, WebhookId};
use crate::store::DeliveryId;

/// The room that a path names.
pub struct Room(pub RoomName);

/// The recording that a path names. It need not exist.
pub struct Recording(pub EgressId);

/// The webhook that a path names. It need not exist.
pub struct Webhook(pub WebhookId);

/// The delivery of a webhook that a path names. Neither need exist.
pub struct Delivery {
    pub webhook: WebhookId,
    pub id: DeliveryId,
}

impl<S: Send + Sync> FromRequestParts<S> for Room {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let name = segment(parts, state).await?;
        let room = name.parse().map(Self);
        room.map_err(|error| Problem::bad_request(error.to_string()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Recording {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = segment(parts, state).await?;
        // A text that is no egress id is treated as the id of an unknown recording.
        let recording = id.parse().map(Self);
        recording.map_err(|_| Problem::no_such_recording())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Webhook {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let id = segment(parts, state).await?;
        // A text that is no webhook id is treated as the id of an unknown webhook.
        let webhook = id.parse().map(Self);
        webhook.map_err(|_| no_such_webhook())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Delivery {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let segments = Path::<(String, String)>::from_request_parts(parts, state).await;
        let Path((webhook, id)) = segments.map_err(|_| not_utf8())?;
        Ok(Self {
            webhook: webhook.parse().map_err(|_| no_such_webhook())?,
            id: id.parse().map_err(|_| Problem::no_such_delivery())?,
        })
    }
}

impl IntoParams for Room {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("roomId", schemas::room_name())]
    }
}

impl IntoParams for Recording {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("egressId", schemas::egress_id())]
    }
}

impl IntoParams for Webhook {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("id", schemas::webhook_id())]
    }
}

impl IntoParams for Delivery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![parameter("id", schemas::webhook_id()), parameter("deliveryId", schemas::delivery_id())]
    }
}

fn parameter(name: &str, schema: Object) -> Parameter {
    let parameter = Parameter::builder().name(name).parameter_in(ParameterIn::Path);
    parameter.required(Required::True).schema(Some(schema)).build()
}

/// Returns the route's one variable segment.
async fn segment<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    match Path::<String>::from_request_parts(parts, state).await {
        Ok(Path(text)) => Ok(text),
        Err(_) => Err(not_utf8()),
    }
}

fn not_utf8() -> Problem {
    Problem::bad_request("The path must be percent-encoded UTF-8")
}

fn no_such_webhook() -> Problem {
    Problem::new(Kind::NotFound, "No such webhook")
}
