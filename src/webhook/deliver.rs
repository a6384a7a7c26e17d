//! Owns the delivery of webhooks: one task that takes due deliveries from the store, posts them and writes
//! down the result of each attempt.
//!
//! Does not own the schedule (`retry`) nor the HTTP call (`sender`). Contract: only a delivery that got a 2xx
//! is marked as delivered. A delivery that is interrupted is made again, with the same id.

use std::collections::HashMap;
use std::error::Error;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use reqwest::StatusCode;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::retry;
use super::sender::{AttemptError, Message, Sender};
use super::target::TargetPolicy;
use crate::failpoint::FailPoint;
use crate::ids::WebhookId;
use crate::store::{DeliveryId, DueDelivery, FailedAttempt, Store, StoreError, Timing};

/// How many attempts to one webhook run at a time. Each webhook has this many of its own, so a receiver that
/// hangs delays no other. The number of webhooks bounds the total.
const IN_FLIGHT_PER_WEBHOOK: usize = 4;

/// How long deliveries are kept for inspection after they ended.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// How many of them are kept for each webhook.
const KEPT_PER_WEBHOOK: u32 = 1000;
/// How often older ones are deleted.
const FORGET_EVERY: Duration = Duration::from_secs(60 * 60);

/// How long attempts that are under way may still take after cancellation.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// How long to wait after the database failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// How long to wait when nothing is pending. New deliveries wake the task, so any long time will do.
const NOTHING_PENDING: Duration = Duration::from_secs(24 * 60 * 60);

/// The task that delivers.
pub struct Deliverer {
    store: Store,
    sender: Sender,
    in_flight: HashMap<DeliveryId, WebhookId>,
    attempts: JoinSet<Attempt>,
}

/// The result of an attempt.
struct Attempt {
    delivery: DueDelivery,
    timing: Timing,
    result: Result<StatusCode, AttemptError>,
}

impl Deliverer {
    /// Fails if TLS cannot be set up on this host (no usable certificate store).
    pub fn new(store: Store, targets: TargetPolicy) -> Result<Self, reqwest::Error> {
        let sender = Sender::new(targets)?;
        Ok(Self { store, sender, in_flight: HashMap::new(), attempts: JoinSet::new() })
    }

    /// Delivers until it is cancelled.
    pub async fn run(mut self, cancel: CancellationToken) {
        let mut forget = tokio::time::interval(FORGET_EVERY);
        loop {
            let wait = self.start_due(Timestamp::now()).await.unwrap_or_else(|error| {
                log_store_error(&error);
                STORE_RETRY
            });
            tokio::select! {
                () = cancel.cancelled() => break,
                Some(joined) = self.attempts.join_next() => self.note(joined).await,
                () = self.store.deliveries_added() => {}
                _ = forget.tick() => self.forget(Timestamp::now()).await,
                () = tokio::time::sleep(wait) => {}
            }
        }
        self.finish().await;
    }

    /// Starts the due deliveries, and returns how long to wait for the next one.
    async fn start_due(&mut self, now: Timestamp) -> Result<Duration, StoreError> {
        // Deliveries in flight are still pending in the store, which may return them first.
        let due = self.store.due_deliveries(now, 2 * IN_FLIGHT_PER_WEBHOOK).await?;
        for delivery in due {
            let is_new = !self.in_flight.contains_key(&delivery.id);
            if is_new && self.in_flight_to(&delivery.webhook) < IN_FLIGHT_PER_WEBHOOK {
                self.in_flight.insert(delivery.id.clone(), delivery.webhook.clone());
                self.attempts.spawn(attempt(self.sender.clone(), delivery));
            }
        }
        let next = self.store.next_due(now).await?;
        Ok(next.map_or(NOTHING_PENDING, |at| wait_until(at, now)))
    }

    fn in_flight_to(&self, webhook: &WebhookId) -> usize {
        self.in_flight.values().filter(|other| *other == webhook).count()
    }

    async fn forget(&self, now: Timestamp) {
        // Shortly after a machine was started, its clock may be close to its epoch.
        let before = now.checked_sub(KEPT_FOR).unwrap_or(Timestamp::MIN);
        match self.store.forget_deliveries(before, KEPT_PER_WEBHOOK).await {
            Ok(0) => {}
            Ok(number) => tracing::info!(number, "old webhook deliveries forgotten"),
            Err(error) => log_store_error(&error),
        }
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
            Ok(Attempt { delivery, timing, result }) => {
                if let Err(error) = self.note_result(&delivery, timing, result).await {
                    log_store_error(&error);
                    // The delivery is still due in the store: do not make it again at full speed.
                    tokio::time::sleep(STORE_RETRY).await;
                }
                self.in_flight.remove(&delivery.id);
            }
            // The delivery stays in flight, so it is not tried again until the next start: it would panic
            // again.
            Err(error) => tracing::error!(%error, "webhook attempt panicked"),
        }
    }

    async fn note_result(
        &self,
        delivery: &DueDelivery,
        timing: Timing,
        result: Result<StatusCode, AttemptError>,
    ) -> Result<(), StoreError> {
        let DueDelivery { id, webhook, event, .. } = delivery;
        match result {
            Ok(status) => {
                FailPoint::WebhookSent.reached();
                let status = status.as_u16();
                tracing::info!(%webhook, delivery = %id, event, status, "webhook delivered");
                self.store.delivery_succeeded(delivery, timing, status).await
            }
            Err(error) => {
                let failed = failed_attempt(delivery.failures + 1, &error, Timestamp::now());
                match failed.retry_at {
                    Some(retry_at) => {
                        tracing::warn!(%webhook, delivery = %id, event, %error, %retry_at, "webhook attempt failed");
                    }
                    None => tracing::error!(%webhook, delivery = %id, event, %error, "webhook given up"),
                }
                self.store.delivery_failed(delivery, timing, failed).await
            }
        }
    }
}

async fn attempt(sender: Sender, delivery: DueDelivery) -> Attempt {
    let message = Message {
        id: &delivery.id,
        url: &delivery.url,
        secret: &delivery.secret,
        event: &delivery.event,
        body: &delivery.body,
    };
    let (at, begun) = (Timestamp::now(), Instant::now());
    let result = sender.send(message).await;
    Attempt { delivery, timing: Timing { at, took: begun.elapsed() }, result }
}

fn failed_attempt(failed_attempts: u32, error: &AttemptError, now: Timestamp) -> FailedAttempt {
    let status = error.status().map(|status| status.as_u16());
    FailedAttempt { status, reason: error.for_users(), retry_at: retry::next_attempt(failed_attempts, now) }
}

/// Returns at least a millisecond, which is the store's precision, so that the next delivery is due when we
/// look again.
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
