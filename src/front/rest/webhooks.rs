//! Owns the calls that register, show, change, try and remove webhooks (contract, part 4).

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder};

use super::bodies::{WebhookBody, WebhookChangeBody};
use super::json::{object, unknown_key};
use super::path;
use super::recording::millis;
use crate::front::http::problem::Problem;
use crate::front::rest::openapi::schemas;
use crate::ids::WebhookId;
use crate::store::WebhookSource;
use crate::webhook::event::UnknownEvent;
use crate::webhook::{EventFilter, NewWebhook, Registered, Registry, Trial, Webhook, WebhookChange};

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WebhookAnswer {
    #[schema(schema_with = schemas::webhook_id)]
    id: WebhookId,
    #[schema(schema_with = schemas::url)]
    url: String,
    #[schema(schema_with = events)]
    events: Vec<&'static str>,
    #[schema(schema_with = schemas::time)]
    created_at: String,
    /// Only where it is true: the configuration sets it, and calls cannot change it.
    #[schema(required = false)]
    #[serde(rename = "static", skip_serializing_if = "std::ops::Not::not")]
    is_static: bool,
    /// Only in the answer to a registration that gave none.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub struct WebhookList {
    webhooks: Vec<WebhookAnswer>,
}

/// What became of a `test` event.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TrialAnswer {
    delivered: bool,
    /// What the receiver answered, if it did.
    #[schema(required)]
    status_code: Option<u16>,
    /// Only where it was not delivered.
    #[schema(value_type = String, required = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Registers a webhook. Without a secret one is made, which is in this answer only.
#[utoipa::path(
    post,
    path = "/v1/webhooks",
    operation_id = "registerWebhook",
    tag = "webhooks",
    request_body = WebhookBody,
    responses(
        (status = 201, description = "It is registered.", body = WebhookAnswer),
        (status = 400, description = "The body is not as described or did not arrive as a whole, or the url leads where none may."),
        (status = 409, description = "There are as many webhooks as may be."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn register(
    State(registry): State<Registry>,
    body: Bytes,
) -> Result<(StatusCode, Json<WebhookAnswer>), Problem> {
    let new = parse(&body)?;
    let Registered { webhook, made_secret } = registry.register(new, Timestamp::now()).await?;
    let secret = made_secret.map(|secret| secret.expose_secret().to_owned());
    let answer = WebhookAnswer { secret, ..webhook.into() };
    Ok((StatusCode::CREATED, Json(answer)))
}

/// Lists webhooks.
#[utoipa::path(
    get,
    path = "/v1/webhooks",
    operation_id = "listWebhooks",
    tag = "webhooks",
    responses(
        (status = 200, description = "All of them.", body = WebhookList),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn list(State(registry): State<Registry>) -> Result<Json<WebhookList>, Problem> {
    let webhooks = registry.list().await?;
    let webhooks = webhooks.into_iter().map(WebhookAnswer::from).collect();
    Ok(Json(WebhookList { webhooks }))
}

/// Shows a webhook.
#[utoipa::path(
    get,
    path = "/v1/webhooks/{id}",
    operation_id = "showWebhook",
    tag = "webhooks",
    params(path::Webhook),
    responses(
        (status = 200, description = "The webhook.", body = WebhookAnswer),
        (status = 404, description = "There is no such webhook."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn show(
    State(registry): State<Registry>,
    path::Webhook(id): path::Webhook,
) -> Result<Json<WebhookAnswer>, Problem> {
    Ok(Json(registry.get(&id).await?.into()))
}

/// Sets all of a webhook, but for the secret where the body has none: nobody can read it back, and another one would
/// have to reach the receiver first.
#[utoipa::path(
    put,
    path = "/v1/webhooks/{id}",
    operation_id = "replaceWebhook",
    tag = "webhooks",
    params(path::Webhook),
    request_body = WebhookBody,
    responses(
        (status = 200, description = "The webhook as it is now.", body = WebhookAnswer),
        (status = 400, description = "The body is not as described or did not arrive as a whole, or the url leads where none may."),
        (status = 409, description = "The webhook is set by the service's configuration."),
        (status = 404, description = "There is no such webhook."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn replace(
    State(registry): State<Registry>,
    path::Webhook(id): path::Webhook,
    body: Bytes,
) -> Result<Json<WebhookAnswer>, Problem> {
    let NewWebhook { url, secret, events } = parse(&body)?;
    let change = WebhookChange { url: Some(url), secret, events: Some(events) };
    Ok(Json(registry.change(&id, change).await?.into()))
}

/// Changes of a webhook what the body has.
#[utoipa::path(
    patch,
    path = "/v1/webhooks/{id}",
    operation_id = "changeWebhook",
    tag = "webhooks",
    params(path::Webhook),
    request_body = WebhookChangeBody,
    responses(
        (status = 200, description = "The webhook as it is now.", body = WebhookAnswer),
        (status = 400, description = "The body is not as described or did not arrive as a whole, or the url leads where none may."),
        (status = 409, description = "The webhook is set by the service's configuration."),
        (status = 404, description = "There is no such webhook."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn change(
    State(registry): State<Registry>,
    path::Webhook(id): path::Webhook,
    body: Bytes,
) -> Result<Json<WebhookAnswer>, Problem> {
    let change = fields(&body)?;
    if let WebhookChange { url: None, secret: None, events: None } = change {
        return Err(Problem::bad_request("There is nothing to change: url, secret and events are missing"));
    }
    Ok(Json(registry.change(&id, change).await?.into()))
}

/// Sends a `test` event now.
#[utoipa::path(
    post,
    path = "/v1/webhooks/{id}/test",
    operation_id = "testWebhook",
    tag = "webhooks",
    params(path::Webhook),
    responses(
        (status = 200, description = "What became of it.", body = TrialAnswer),
        (status = 404, description = "There is no such webhook."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn try_out(
    State(registry): State<Registry>,
    path::Webhook(id): path::Webhook,
) -> Result<Json<TrialAnswer>, Problem> {
    Ok(Json(registry.try_out(&id, Timestamp::now()).await?.into()))
}

/// Removes a webhook, with what was still to be delivered to it.
#[utoipa::path(
    delete,
    path = "/v1/webhooks/{id}",
    operation_id = "removeWebhook",
    tag = "webhooks",
    params(path::Webhook),
    responses(
        (status = 204, description = "It is gone."),
        (status = 404, description = "There is no such webhook."),
        (status = 409, description = "The webhook is set by the service's configuration."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn remove(
    State(registry): State<Registry>,
    path::Webhook(id): path::Webhook,
) -> Result<StatusCode, Problem> {
    registry.remove(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl From<Webhook> for WebhookAnswer {
    fn from(webhook: Webhook) -> Self {
        let Webhook { id, url, events, created_at, source } = webhook;
        Self {
            id,
            url,
            events: events.into_iter().map(EventFilter::as_str).collect(),
            created_at: millis(created_at),
            is_static: source == WebhookSource::Config,
            secret: None,
        }
    }
}

impl From<Trial> for TrialAnswer {
    fn from(trial: Trial) -> Self {
        match trial {
            Trial::Delivered { status } => Self { delivered: true, status_code: Some(status), reason: None },
            Trial::Failed { status, reason } => {
                Self { delivered: false, status_code: status, reason: Some(reason) }
            }
        }
    }
}

pub(super) fn parse(body: &[u8]) -> Result<NewWebhook, Problem> {
    let WebhookChange { url, secret, events } = fields(body)?;
    Ok(NewWebhook {
        url: url.ok_or_else(|| Problem::bad_request("url is missing"))?,
        secret,
        events: events.ok_or_else(|| Problem::bad_request("events is missing"))?,
    })
}

fn fields(body: &[u8]) -> Result<WebhookChange, Problem> {
    let (mut url, mut secret, mut events) = (None, None, None);
    for (key, value) in object(body)? {
        match key.as_str() {
            "url" => url = Some(string("url", value)?),
            "secret" => secret = Some(SecretString::from(string("secret", value)?)),
            "events" => events = Some(filters(value)?),
            unknown => return Err(unknown_key(unknown)),
        }
    }
    Ok(WebhookChange { url, secret, events })
}

fn string(key: &str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Problem::bad_request(format!("{key} must be a string"))),
    }
}

fn filters(value: Value) -> Result<Vec<EventFilter>, Problem> {
    let Value::Array(words) = value else {
        return Err(Problem::bad_request("events must be an array of strings"));
    };
    words.into_iter().map(filter).collect()
}

fn filter(word: Value) -> Result<EventFilter, Problem> {
    let word = string("each of events", word)?;
    word.parse().map_err(|error: UnknownEvent| Problem::bad_request(format!("events: {error}")))
}

fn events() -> Array {
    ArrayBuilder::new().items(schemas::event()).build()
}
