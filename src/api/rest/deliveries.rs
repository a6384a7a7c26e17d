//! Owns the calls that show what became of a webhook's deliveries, and that send one again.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use serde::Serialize;

use super::query::{Bounds, Query};
use super::recording::millis;
use super::{cursor, path};
use crate::api::problem::Problem;
use crate::ids::EgressId;
use crate::store::{AttemptRow, DeliveryPage, DeliveryQuery, DeliveryRow, DeliveryState, DeliveryStatus};
use crate::webhook::Registry;

/// Deliveries on a page.
const LIMIT: Bounds = Bounds { least: 1, most: 100, default: 20 };

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryList {
    deliveries: Vec<DeliveryEntry>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub struct DeliveryAnswer {
    #[serde(flatten)]
    entry: DeliveryEntry,
    /// The exact text that is sent and signed.
    body: String,
}

/// A delivery without its body.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeliveryEntry {
    id: String,
    event: String,
    egress_id: EgressId,
    status: &'static str,
    created_at: String,
    /// While it is pending.
    next_attempt_at: Option<String>,
    /// Once it is not.
    finished_at: Option<String>,
    attempts: Vec<AttemptAnswer>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AttemptAnswer {
    at: String,
    duration_ms: u64,
    /// What the receiver answered, if it did.
    status_code: Option<u16>,
    /// Why it did not succeed; null if it did.
    reason: Option<String>,
}

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

pub async fn show(
    State(registry): State<Registry>,
    path::Delivery { webhook, id }: path::Delivery,
) -> Result<Json<DeliveryAnswer>, Problem> {
    Ok(Json(registry.delivery(&webhook, &id).await?.into()))
}

/// It is sent after the answer.
pub async fn resend(
    State(registry): State<Registry>,
    path::Delivery { webhook, id }: path::Delivery,
) -> Result<(StatusCode, Json<DeliveryAnswer>), Problem> {
    let row = registry.resend(&webhook, &id, Timestamp::now()).await?;
    Ok((StatusCode::ACCEPTED, Json(row.into())))
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
