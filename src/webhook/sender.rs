//! Owns one HTTP call of a webhook: the body, the headers, and which answer counts as success.
//!
//! Does not retry (`deliver` does) nor decide which addresses are allowed (`target` does). Contract: a call
//! ends within [`ATTEMPT_TIMEOUT`], follows no redirect, and reads no more of an answer than it must.

use std::error::Error;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, redirect};
use secrecy::SecretString;
use url::Url;

use super::error::{TARGET_REFUSED, TargetRefused};
use super::signature::signature;
use super::target::{CheckedResolver, TargetPolicy};
use crate::store::DeliveryId;

const SIGNATURE_HEADER: &str = "X-RTCstack-Webhook-Signature";
const EVENT_HEADER: &str = "X-RTCstack-Webhook-Event";
pub(super) const DELIVERY_HEADER: &str = "X-RTCstack-Webhook-Delivery";

/// How long one attempt may take, from resolving the name to the end of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// How many bytes of an answer's body are read and thrown away, so that well-behaved receivers see no broken
/// connection. The HTTP client bounds the head: a hundred headers, 400 KiB.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// Posts messages.
#[derive(Clone)]
pub struct Sender {
    client: Client,
    targets: TargetPolicy,
}

/// A call's content.
pub struct Message<'a> {
    pub id: &'a DeliveryId,
    pub url: &'a str,
    pub secret: &'a SecretString,
    pub event: &'a str,
    /// The exact bytes that are sent and signed.
    pub body: &'a str,
}

/// Why an attempt failed. The messages are kept for inspection.
#[derive(Debug, thiserror::Error)]
pub enum AttemptError {
    #[error("the receiver answered {0}")]
    Status(StatusCode),
    #[error("the receiver did not answer within {} s", ATTEMPT_TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Refused(#[from] TargetRefused),
    #[error("the stored url is not one")]
    Url(#[from] url::ParseError),
    #[error("the receiver could not be reached: {}", innermost(.0))]
    Transport(#[from] reqwest::Error),
}

impl Sender {
    /// Fails if TLS cannot be set up on this host (no usable certificate store).
    pub fn new(targets: TargetPolicy) -> Result<Self, reqwest::Error> {
        Self::with_timeout(targets, ATTEMPT_TIMEOUT)
    }

    pub(super) fn with_timeout(targets: TargetPolicy, timeout: Duration) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .user_agent(concat!("egressd/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            .redirect(redirect::Policy::none())
            // A proxy would resolve the name itself and so bypass the check.
            .no_proxy()
            // Each call opens a new connection, to an address that was checked for this call.
            .pool_max_idle_per_host(0)
            .dns_resolver(CheckedResolver(targets))
            .build()?;
        Ok(Self { client, targets })
    }

    /// Posts once. `Ok` is a 2xx.
    pub async fn send(&self, message: Message<'_>) -> Result<StatusCode, AttemptError> {
        let Message { id, url, secret, event, body } = message;
        let url: Url = url.parse()?;
        self.targets.check_literal(&url)?;
        let request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .header(SIGNATURE_HEADER, signature(secret, body.as_bytes()))
            .header(EVENT_HEADER, event)
            .header(DELIVERY_HEADER, id.as_str())
            .body(body.to_owned());
        let response = request.send().await.map_err(send_error)?;
        let status = response.status();
        discard(response).await;
        if status.is_success() { Ok(status) } else { Err(AttemptError::Status(status)) }
    }
}

impl AttemptError {
    /// Returns the receiver's status, if it answered.
    pub fn status(&self) -> Option<StatusCode> {
        match self {
            Self::Status(status) => Some(*status),
            Self::Timeout | Self::Refused(_) | Self::Url(_) | Self::Transport(_) => None,
        }
    }

    /// Returns a reason that may be shown to callers: it contains no internal address.
    pub fn for_users(&self) -> String {
        match self {
            Self::Refused(_) => TARGET_REFUSED.to_owned(),
            Self::Status(_) | Self::Timeout | Self::Url(_) | Self::Transport(_) => self.to_string(),
        }
    }
}

/// Reads the answer's body up to the limit. The status is known already: nothing that follows changes the
/// result.
async fn discard(mut response: Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > MAX_ANSWER_BYTES {
            return;
        }
    }
}

fn send_error(error: reqwest::Error) -> AttemptError {
    if error.is_timeout() {
        return AttemptError::Timeout;
    }
    match find_refusal(&error) {
        Some(refused) => AttemptError::Refused(refused),
        // The URL may hold a token of the receiver's.
        None => AttemptError::Transport(error.without_url()),
    }
}

/// Finds our own resolver's refusal among the errors in which the HTTP client has wrapped it.
fn find_refusal(error: &reqwest::Error) -> Option<TargetRefused> {
    causes(error).find_map(|cause| cause.downcast_ref().cloned())
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// Returns the error and its causes, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

#[cfg(test)]
mod tests;
