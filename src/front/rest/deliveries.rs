//! Owns the calls that show the deliveries of a webhook, and that send one again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};

use super::query::{Bounds, Query};
use super::recording::millis;
use super::{cursor, path, query};
use crate::front::http::problem::Problem;
use crate::front::rest::openapi::schemas;
use crate::ids::EgressId;
use crate::store::{AttemptRow, DeliveryPage, DeliveryQuery, DeliveryRow, DeliveryState, DeliveryStatus};
use crate::webhook::Registry;

/// Deliveries on a page.
const LIMIT: Bounds = Bounds { least: 1, most: 100, default: 20 };

/// What `list` takes out of its query.
struct ListQuery;

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryList {
    deliveries: Vec<DeliveryEntry>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct DeliveryAnswer {
    #[serde(flatten)]
    entry: DeliveryEntry,
    /// The exact text that is sent and signed.
    body: String,
}

/// A delivery without its body.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeliveryEntry {
    #[schema(schema_with = schemas::delivery_id)]
    id: String,
    event: String,
    #[schema(schema_with = schemas::egress_id)]
    egress_id: EgressId,
    #[schema(schema_with = schemas::delivery_status)]
    status: &'static str,
    #[schema(schema_with = schemas::time)]
    created_at: String,
    /// While it is pending.
    #[schema(required, schema_with = schemas::time_or_null)]
    next_attempt_at: Option<String>,
    /// Once it is not.
    #[schema(required, schema_with = schemas::time_or_null)]
    finished_at: Option<String>,
    attempts: Vec<AttemptAnswer>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct AttemptAnswer {
    #[schema(schema_with = schemas::time)]
    at: String,
    duration_ms: u64,
    /// What the receiver answered, if it did.
    #[schema(required)]
    status_code: Option<u16>,
    /// Why it did not succeed; null if it did.
    #[schema(required)]
    reason: Option<String>,
}

/// Lists a webhook's deliveries, newest first.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/deliveries",
    operation_id = "listDeliveries",
    tag = "webhooks",
    params(path::Webhook, ListQuery),
    responses(
        (status = 200, description = "A page of them.", body = DeliveryList),
        (status = 400, description = "A key of the query is unknown or wrong; or the body did not arrive as a whole."),
        (status = 404, description = "There is no such webhook."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn list(
    State(registry): State<Registry>,
    path::Webhook(webhook): path::Webhook,
    mut query: Query,
) -> Result<Json<DeliveryList>, Problem> {
    let wanted = DeliveryQuery {
        webhook,
        status: query.take("status").map(|word| status(&word)).transpose()?,
        limit: query.take_number("limit", LIMIT)?,
        before: match query.take("cursor") {
            Some(text) => Some(cursor::read_number(&text).ok_or_else(cursor::refusal)?),
            None => None,
        },
    };
    query.end()?;
    let DeliveryPage { rows, next } = registry.deliveries(wanted).await?;
    Ok(Json(DeliveryList {
        deliveries: rows.into_iter().map(|row| DeliveryAnswer::from(row).entry).collect(),
        next_cursor: next.map(cursor::write_number),
    }))
}

/// Shows a delivery with its body and every attempt that was made.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}/deliveries/{deliveryId}",
    operation_id = "showDelivery",
    tag = "webhooks",
    params(path::Delivery),
    responses(
        (status = 200, description = "The delivery.", body = DeliveryAnswer),
        (status = 404, description = "There is no such webhook, or it has no such delivery."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn show(
    State(registry): State<Registry>,
    path::Delivery { webhook, id }: path::Delivery,
) -> Result<Json<DeliveryAnswer>, Problem> {
    Ok(Json(registry.delivery(&webhook, &id).await?.into()))
}

/// Sends a delivery again, after the answer.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/deliveries/{deliveryId}/resend",
    operation_id = "resendDelivery",
    tag = "webhooks",
    params(path::Delivery),
    responses(
        (status = 202, description = "It will be sent; the delivery as it is until then.", body = DeliveryAnswer),
        (status = 404, description = "There is no such webhook, or it has no such delivery."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn resend(
    State(registry): State<Registry>,
    path::Delivery { webhook, id }: path::Delivery,
) -> Result<(StatusCode, Json<DeliveryAnswer>), Problem> {
    let row = registry.resend(&webhook, &id, Timestamp::now()).await?;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
}

impl IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = schemas::text().description(Some("The `nextCursor` of the answer before."));
        vec![
            query::parameter("status", schemas::delivery_status()),
            query::parameter("limit", LIMIT.described()),
            query::parameter("cursor", cursor),
        ]
    }
}

fn status(word: &str) -> Result<DeliveryStatus, Problem> {
    word.parse().map_err(|_| {
        let words = DeliveryStatus::ALL.map(DeliveryStatus::as_str).join(", ");
        Problem::bad_request(format!("status must be one of {words}"))
    })
}

impl From<DeliveryRow> for DeliveryAnswer {
    fn from(row: DeliveryRow) -> Self {
        let DeliveryRow { number: _, id, egress_id, event, body, created_at, state, attempts } = row;
        let (next_attempt_at, finished_at) = match state {
            DeliveryState::Pending { next_attempt_at } => (Some(next_attempt_at), None),
            DeliveryState::Delivered { at } | DeliveryState::Failed { at } => (None, Some(at)),
        };
        let entry = DeliveryEntry {
            id: id.to_string(),
            event,
            egress_id,
            status: state.status().as_str(),
            created_at: millis(created_at),
            next_attempt_at: next_attempt_at.map(millis),
            finished_at: finished_at.map(millis),
            attempts: attempts.into_iter().map(AttemptAnswer::from).collect(),
        };
        Self { entry, body }
    }
}

impl From<AttemptRow> for AttemptAnswer {
    fn from(attempt: AttemptRow) -> Self {
        let AttemptRow { at, took, status, reason } = attempt;
        Self {
            at: millis(at),
            duration_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            status_code: status,
            reason,
        }
    }
}
