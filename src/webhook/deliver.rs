//! Owns the delivery of webhooks: one task that takes what is due from the store, posts it and notes
//! what became of it.
//!
//! Does not own the schedule (`retry`) nor which address is allowed (`target`). Contract: what is noted
//! as delivered was answered with a 2xx; a delivery that is interrupted is made again, with the same id.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, Response, StatusCode, redirect};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::error::TargetRefused;
use super::retry;
use super::signature::signature;
use super::target::{CheckedResolver, TargetPolicy};
use crate::failpoint::FailPoint;
use crate::store::{DeliveryId, DueDelivery, FailedAttempt, Store, StoreError};

const SIGNATURE_HEADER: &str = "X-RTCstack-Webhook-Signature";
const EVENT_HEADER: &str = "X-RTCstack-Webhook-Event";
const DELIVERY_HEADER: &str = "X-RTCstack-Webhook-Delivery";

/// How long one attempt may take, from the resolution of the name to the end of the answer.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);

/// Attempts at a time: enough that a few receivers that hang do not hold up the others.
const MAX_IN_FLIGHT: usize = 32;

/// How much of an answer is read, and thrown away, so that polite receivers see no broken connection.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How long attempts that are under way may still take once the service is to end.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// The wait before the next look after the database failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// The wait when nothing is pending. New deliveries wake the task, so any long time will do.
const NOTHING_PENDING: Duration = Duration::from_secs(24 * 60 * 60);

/// The task that delivers.
pub struct Deliverer {
    store: Store,
    client: Client,
    targets: TargetPolicy,
    in_flight: HashSet<DeliveryId>,
    attempts: JoinSet<Attempt>,
}

/// An attempt that was made.
struct Attempt {
    delivery: DueDelivery,
    result: Result<StatusCode, AttemptError>,
}

/// Why an attempt did not succeed. The messages are kept for inspection.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
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

impl Deliverer {
    /// Fails where the TLS set-up of the host does (no usable certificate store).
    pub fn new(store: Store, targets: TargetPolicy) -> Result<Self, reqwest::Error> {
        let client = client(targets, ATTEMPT_TIMEOUT)?;
        Ok(Self { store, client, targets, in_flight: HashSet::new(), attempts: JoinSet::new() })
    }

    /// Delivers until it is cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        loop {
            let wait = self.start_due(Timestamp::now()).await.unwrap_or_else(|error| {
                log_store_error(&error);
                STORE_RETRY
            });
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(joined) = self.attempts.join_next() => self.note(joined).await,
                () = self.store.deliveries_added() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.finish().await;
    }

    /// Starts what is due and says how long to wait for the next.
    async fn start_due(&mut self, now: Timestamp) -> Result<Duration, StoreError> {
        // What is in flight is still pending in the store, so the store may answer with those first.
        let due = self.store.due_deliveries(now, 2 * MAX_IN_FLIGHT).await?;
        for delivery in due {
            if self.in_flight.len() == MAX_IN_FLIGHT {
                break;
            }
            if self.in_flight.insert(delivery.id.clone()) {
                self.attempts.spawn(attempt(self.client.clone(), self.targets, delivery));
            }
        }
        let next = self.store.next_due(now).await?;
        Ok(next.map_or(NOTHING_PENDING, |at| wait_until(at, now)))
    }

    async fn finish(mut self) {
        if tokio::time::timeout(SHUTDOWN_GRACE, self.drain()).await.is_err() {
            tracing::info!("webhook deliveries were interrupted, they go on at the next start");
        }
    }

    /// Waits for all attempts that are under way.
    async fn drain(&mut self) {
        while let Some(joined) = self.attempts.join_next().await {
            self.note(joined).await;
        }
    }

    async fn note(&mut self, joined: Result<Attempt, tokio::task::JoinError>) {
        match joined {
            Ok(Attempt { delivery, result }) => {
                if let Err(error) = self.note_result(&delivery, result).await {
                    log_store_error(&error);
                    // The delivery is still due in the store: do not make it again at full speed.
                    tokio::time::sleep(STORE_RETRY).await;
                }
                self.in_flight.remove(&delivery.id);
            }
            // It stays in flight, and so at rest until the next start: it would panic again.
            Err(error) => tracing::error!(%error, "webhook attempt panicked"),
        }
    }

    async fn note_result(
        &self,
        delivery: &DueDelivery,
        result: Result<StatusCode, AttemptError>,
    ) -> Result<(), StoreError> {
        let (id, event) = (&delivery.id, &delivery.event);
        match result {
            Ok(status) => {
                FailPoint::WebhookSent.reached();
                tracing::info!(delivery = %id, event, status = status.as_u16(), "webhook delivered");
                self.store.delivery_succeeded(id, status.as_u16()).await
            }
            Err(error) => {
                let failed = failed_attempt(delivery.attempts + 1, &error, Timestamp::now());
                match failed.retry_at {
                    Some(retry_at) => {
                        tracing::warn!(delivery = %id, event, %error, %retry_at, "webhook attempt failed");
                    }
                    None => tracing::error!(delivery = %id, event, %error, "webhook given up"),
                }
                self.store.delivery_failed(id, failed).await
            }
        }
    }
}

fn client(targets: TargetPolicy, timeout: Duration) -> Result<Client, reqwest::Error> {
    Client::builder()
        .user_agent(concat!("egressd/", env!("CARGO_PKG_VERSION")))
        .timeout(timeout)
        .redirect(redirect::Policy::none())
        // A proxy would resolve the name itself, past the check.
        .no_proxy()
        .dns_resolver(CheckedResolver(targets))
        .build()
}

async fn attempt(client: Client, targets: TargetPolicy, delivery: DueDelivery) -> Attempt {
    let result = post(&client, targets, &delivery).await;
    Attempt { delivery, result }
}

async fn post(
    client: &Client,
    targets: TargetPolicy,
    delivery: &DueDelivery,
) -> Result<StatusCode, AttemptError> {
    let url: Url = delivery.url.parse()?;
    targets.check_literal(&url)?;
    let request = client
        .post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(SIGNATURE_HEADER, signature(&delivery.secret, delivery.body.as_bytes()))
        .header(EVENT_HEADER, &delivery.event)
        .header(DELIVERY_HEADER, delivery.id.as_str())
        .body(delivery.body.clone());
    let response = request.send().await.map_err(send_error)?;
    let status = response.status();
    discard(response).await;
    if status.is_success() { Ok(status) } else { Err(AttemptError::Status(status)) }
}

/// Reads the answer's body as far as it is sensible. The status has been given: what comes after it
/// changes nothing.
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

/// Our own resolver's refusal, wherever the HTTP client has wrapped it.
fn find_refusal(error: &reqwest::Error) -> Option<TargetRefused> {
    causes(error).find_map(|cause| cause.downcast_ref().cloned())
}

fn innermost(error: &reqwest::Error) -> String {
    causes(error).last().map_or_else(|| error.to_string(), ToString::to_string)
}

/// The error itself and what it was caused by, outermost first.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

fn failed_attempt(failed_attempts: u32, error: &AttemptError, now: Timestamp) -> FailedAttempt {
    let status = match error {
        AttemptError::Status(status) => Some(status.as_u16()),
        AttemptError::Timeout
        | AttemptError::Refused(_)
        | AttemptError::Url(_)
        | AttemptError::Transport(_) => None,
    };
    FailedAttempt { status, error: error.to_string(), retry_at: retry::next_attempt(failed_attempts, now) }
}

/// At least a millisecond, the store's precision, so that what is due next is due when we look again.
fn wait_until(at: Timestamp, now: Timestamp) -> Duration {
    let wait = Duration::try_from(at.duration_since(now)).unwrap_or_default();
    wait.max(Duration::from_millis(1))
}

fn log_store_error(error: &StoreError) {
    let cause = error.source().map(ToString::to_string);
    tracing::error!(%error, cause, "webhook deliveries cannot be read or noted");
}

#[cfg(test)]
mod tests;
