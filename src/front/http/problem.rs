//! Owns the error bodies (`application/problem+json`, RFC 9457) and the one table that turns our errors into
//! them.
//!
//! Contract: a detail is written here, or by an error whose messages are fit to be shown. Everything else
//! that is known about a failure goes to the log.

use std::error::Error;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use crate::control::ControlError;
use crate::front::rest::AuthError;
use crate::front::rest::NotLivekit;
use crate::front::rest::ReplayError;
use crate::front::rest::openapi::schemas;
use crate::webhook::WebhookError;

/// When a caller who got no picture should ask again: the worker is busy, or a successor is being started.
const PICTURE_SOON: Duration = Duration::from_secs(2);

/// The kinds of problem. Each has one type, title and status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    BadRequest,
    /// The contract has no type for this.
    MethodNotAllowed,
    /// The contract has no type for this either.
    TooSlow,
    /// Nor for this.
    TargetTooLong,
    Unauthorized,
    Forbidden,
    NotFound,
    /// The recording, webhook or service is not in a state in which this can be done.
    Conflict,
    PayloadTooLarge,
    RateLimited,
    Unavailable,
    Internal,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::BadRequest,
        Self::MethodNotAllowed,
        Self::TooSlow,
        Self::TargetTooLong,
        Self::Unauthorized,
        Self::Forbidden,
        Self::NotFound,
        Self::Conflict,
        Self::PayloadTooLarge,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    fn r#type(self) -> String {
        let (slug, _) = self.entry();
        format!("https://rtcstack.dev/errors/{slug}")
    }

    /// Returns the last part of the type, and the status.
    fn entry(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad-request", StatusCode::BAD_REQUEST),
            Self::MethodNotAllowed => ("bad-request", StatusCode::METHOD_NOT_ALLOWED),
            Self::TargetTooLong => ("bad-request", StatusCode::URI_TOO_LONG),
            Self::TooSlow => ("bad-request", StatusCode::REQUEST_TIMEOUT),
            Self::Unauthorized => ("unauthorized", StatusCode::UNAUTHORIZED),
            Self::Forbidden => ("forbidden", StatusCode::FORBIDDEN),
            Self::NotFound => ("not-found", StatusCode::NOT_FOUND),
            Self::Conflict => ("conflict", StatusCode::CONFLICT),
            Self::PayloadTooLarge => ("payload-too-large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::RateLimited => ("rate-limited", StatusCode::TOO_MANY_REQUESTS),
            Self::Unavailable => ("unavailable", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }
}

pub const CONTENT_TYPE_OF_PROBLEMS: &str = "application/problem+json";

/// What is written of a problem.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct Body {
    #[schema(schema_with = types)]
    r#type: String,
    title: &'static str,
    #[schema(schema_with = statuses)]
    status: u16,
    /// What is wrong, in a sentence.
    detail: String,
}

/// An error that is returned to the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub kind: Kind,
    pub detail: String,
    /// Sent as `Retry-After`, in whole seconds, rounded up.
    pub retry_after: Option<Duration>,
}

impl Problem {
    pub fn new(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), retry_after: None }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(Kind::BadRequest, detail)
    }

    pub fn no_such_recording() -> Self {
        Self::new(Kind::NotFound, "No such recording")
    }

    pub fn no_such_delivery() -> Self {
        Self::new(Kind::NotFound, "No such delivery of this webhook")
    }

    /// The service itself failed. The cause is logged and not shown to the caller.
    pub fn internal(error: &dyn Error) -> Self {
        tracing::error!(error = chain(error), "request failed");
        Self::new(Kind::Internal, "The request could not be carried out; the service's log says why")
    }

    /// The cause is logged and not shown to the caller.
    fn livekit_unreachable(cause: &dyn Error) -> Self {
        tracing::warn!(error = chain(cause), "LiveKit could not be asked for a room");
        Self::new(Kind::Unavailable, "LiveKit cannot be reached")
    }

    pub fn retry_after(self, wait: Duration) -> Self {
        Self { retry_after: Some(wait), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (_, status) = self.kind.entry();
        let body = Body {
            r#type: self.kind.r#type(),
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail: self.detail,
        };
        let body = serde_json::to_string(&body).expect("strings and a number are always valid JSON");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE_OF_PROBLEMS));
        if let Some(wait) = self.retry_after {
            headers.insert(RETRY_AFTER, whole_seconds(wait).into());
        }
        (status, headers, body).into_response()
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let kind = match error {
            AuthError::KeyMissing
            | AuthError::KeyWrong
            | AuthError::TimestampMissing
            | AuthError::SignatureMissing => Kind::Unauthorized,
            AuthError::TimestampNotANumber | AuthError::TimestampTooFarOff | AuthError::SignatureWrong => {
                Kind::Forbidden
            }
        };
        Self::new(kind, error.to_string())
    }
}

impl From<NotLivekit> for Problem {
    fn from(error: NotLivekit) -> Self {
        match error {
            NotLivekit::TokenMissing | NotLivekit::TokenWrong | NotLivekit::BodyWrong => {
                Self::new(Kind::Unauthorized, error.to_string())
            }
        }
    }
}

impl From<ReplayError> for Problem {
    fn from(error: ReplayError) -> Self {
        match error {
            ReplayError::Used | ReplayError::FromBefore => Self::new(Kind::Forbidden, error.to_string()),
            ReplayError::Full { wait } => Self::new(Kind::RateLimited, error.to_string()).retry_after(wait),
        }
    }
}

impl From<ControlError> for Problem {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::RoomNotFound => Self::new(Kind::NotFound, "No such room in LiveKit"),
            ControlError::IdTaken => {
                Self::new(Kind::Conflict, "This egress id is that of a recording of another room")
            }
            ControlError::NothingToStop | ControlError::NothingToChange => {
                Self::new(Kind::NotFound, "No active recording for this room")
            }
            ControlError::NoWatermark(_) => {
                Self::bad_request("watermark must be left out or false: this service has no picture for it")
            }
            ControlError::Filepath(fault) => Self::bad_request(format!("filepath {fault}")),
            ControlError::NoSuchRecording => Self::no_such_recording(),
            ControlError::NotFinished => {
                Self::new(Kind::Conflict, "The recording is not finished: there is no file to be read yet")
            }
            ControlError::NotActive => {
                Self::new(Kind::Conflict, "The recording takes in no media: there is no picture of it now")
            }
            ControlError::NoPicture => {
                Self::new(Kind::Conflict, "The recording has no picture: it was started with audioOnly")
            }
            ControlError::NoFrame => Self::new(Kind::Conflict, "No frame of the recording has been made yet"),
            ControlError::NoPreview => {
                let detail = "No picture of the recording could be made in time";
                Self::new(Kind::Unavailable, detail).retry_after(PICTURE_SOON)
            }
            ControlError::NoFile => Self::new(Kind::NotFound, "Nothing of this recording could be saved"),
            ControlError::NotInABucket => {
                let detail = "Recordings of this service lie in a local folder: there is no URL of this file";
                Self::new(Kind::NotFound, detail)
            }
            ControlError::StoreGone => {
                let detail =
                    "The file lies in a store that is not configured any more: there is no URL of it";
                Self::new(Kind::NotFound, detail)
            }
            ControlError::Livekit(cause) => Self::livekit_unreachable(&cause),
            ControlError::NoCapacity { shortage, retry_after } => {
                tracing::warn!(?shortage, "a start is refused");
                let detail = format!("No capacity left for another recording: {}", shortage.reason());
                Self::new(Kind::Unavailable, detail).retry_after(retry_after)
            }
            ControlError::ShuttingDown { retry_after } => {
                Self::new(Kind::Unavailable, "The service is shutting down").retry_after(retry_after)
            }
            ControlError::NotWritten { retry_after } => {
                let detail = "This could not be written down by the service, and so has not been done";
                Self::new(Kind::Unavailable, detail).retry_after(retry_after)
            }
            ControlError::Store(_)
            | ControlError::SpoolFolder { .. }
            | ControlError::Key(_)
            | ControlError::Url(_)
            | ControlError::Expiry(_) => Self::internal(&error),
        }
    }
}

impl From<WebhookError> for Problem {
    fn from(error: WebhookError) -> Self {
        match &error {
            WebhookError::InvalidUrl(_)
            | WebhookError::TargetRefused(_)
            | WebhookError::LongUrl { .. }
            | WebhookError::EmptySecret
            | WebhookError::LongSecret { .. }
            | WebhookError::NoEvents => Self::bad_request(error.to_string()),
            WebhookError::TooMany { most } => {
                let detail =
                    format!("There are {most} webhooks already, as many as may be: remove one first");
                Self::new(Kind::Conflict, detail)
            }
            WebhookError::OfConfiguration(_) => {
                let detail =
                    "This webhook is set by the service's configuration: calls cannot change or remove it";
                Self::new(Kind::Conflict, detail)
            }
            WebhookError::NotFound(_) => Self::new(Kind::NotFound, "No such webhook"),
            WebhookError::NoSuchDelivery(_) => Self::no_such_delivery(),
            WebhookError::CorruptFilter { .. } | WebhookError::Store(_) => Self::internal(&error),
        }
    }
}

fn types() -> Object {
    let mut types: Vec<String> = Kind::ALL.into_iter().map(Kind::r#type).collect();
    types.dedup();
    schemas::words(types)
}

fn statuses() -> Object {
    let statuses = Kind::ALL.map(|kind| kind.entry().1.as_u16());
    schemas::whole(400..=599).enum_values(Some(statuses)).build()
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// Returns an error with all its causes, for the log.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::Shortage;

    #[tokio::test]
    async fn a_problem_is_written_as_the_contract_shows_it() {
        let response = Problem::from(ControlError::NothingToStop).into_response();
        assert_eq!(response.status(), 404);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let body = axum::body::to_bytes(response.into_body(), 1000).await.unwrap();
        assert_eq!(
            body,
            r#"{"type":"https://rtcstack.dev/errors/not-found","title":"Not Found","status":404,"detail":"No active recording for this room"}"#
        );
    }

    #[test]
    fn a_wait_is_rounded_up_to_whole_seconds() {
        let retry_after = Duration::from_millis(1001);
        let response =
            Problem::from(ControlError::NoCapacity { shortage: Shortage::Disk, retry_after }).into_response();
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()["retry-after"], "2");
    }

    #[test]
    fn what_could_not_be_written_down_is_to_be_asked_for_again() {
        let retry_after = Duration::from_secs(5);
        let response = Problem::from(ControlError::NotWritten { retry_after }).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (503, &"5".parse().unwrap())
        );
    }

    #[test]
    fn an_internal_failure_shows_nothing_of_its_cause() {
        let source = std::io::Error::other("disk full");
        let path = "/var/lib/egressd/egressd.db".into();
        let problem = Problem::from(ControlError::SpoolFolder { path, source });
        assert_eq!(problem.kind, Kind::Internal);
        assert!(!problem.detail.contains("egressd.db"), "{}", problem.detail);
    }
}
