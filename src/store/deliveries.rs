//! Owns the outbox: the pending deliveries, and how an attempt changes them.
//!
//! Owns neither the pauses between attempts nor the attempts: `webhook` does. Contract: for each recording
//! and webhook, only the earliest pending delivery is due. So a receiver gets the events in their order.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use secrecy::SecretString;

use super::columns::{Count, Millis, parsed};
use super::delivery::DeliveryId;
use super::{Store, StoreError};
use crate::ids::{EgressId, WebhookId};

/// How many attempts of a delivery are kept.
const ATTEMPTS_KEPT: u32 = 20;

/// An event for every webhook that subscribes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    pub name: &'static str,
    /// The exact text that is signed and sent.
    pub body: String,
}

/// A delivery that is due.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    pub id: DeliveryId,
    pub webhook: WebhookId,
    pub url: String,
    pub secret: SecretString,
    pub event: String,
    pub body: String,
    /// How many attempts have failed since the delivery was made due.
    pub failures: u32,
    /// How often a user has requested it again.
    pub resent: u32,
}

/// When an attempt began, and how long it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    pub at: Timestamp,
    pub took: Duration,
}

/// The result of a failed attempt.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    /// The HTTP status of the response, if there was one.
    pub status: Option<u16>,
    /// The reason, for users.
    pub reason: String,
    /// `None` after the last attempt: the delivery is marked as failed, and kept.
    pub retry_at: Option<Timestamp>,
}

impl Store {
    /// Returns due deliveries, at most `per_webhook` for each webhook. Those that have been due for longest
    /// come first. A delivery waits until no earlier one of its recording to the same webhook is pending.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        per_webhook: usize,
    ) -> Result<Vec<DueDelivery>, StoreError> {
        let per_webhook = Count(per_webhook as u64);
        self.read("due_deliveries", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT due.*, url, secret FROM (
                     SELECT *, row_number() OVER (PARTITION BY webhook_id ORDER BY next_attempt_at, number) AS place
                     FROM deliveries AS later
                     WHERE state = 'pending' AND next_attempt_at <= ?1 AND NOT EXISTS (
                         SELECT 1 FROM deliveries AS earlier
                         WHERE earlier.state = 'pending' AND earlier.webhook_id = later.webhook_id
                           AND earlier.egress_id = later.egress_id AND earlier.number < later.number)
                 ) AS due JOIN webhooks ON webhooks.id = webhook_id
                 WHERE place <= ?2 ORDER BY next_attempt_at, number",
            )?;
            query.query_map(params![Millis(now), per_webhook], due_row)?.collect()
        })
        .await
    }

    /// Returns when the next delivery that is not due at `now` becomes due.
    pub async fn next_due(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        self.read("next_due", move |tx| {
            let next: Option<Millis> = tx.query_row(
                "SELECT min(next_attempt_at) FROM deliveries
                 WHERE state = 'pending' AND next_attempt_at > ?1",
                [Millis(now)],
                |row| row.get(0),
            )?;
            Ok(next.map(|Millis(time)| time))
        })
        .await
    }

    /// Returns the number of pending deliveries, due or not.
    pub async fn pending_deliveries(&self) -> Result<usize, StoreError> {
        self.read("pending_deliveries", |tx| {
            let sql = "SELECT count(*) FROM deliveries WHERE state = 'pending'";
            let Count(pending) = tx.query_row(sql, [], |row| row.get(0))?;
            Ok(usize::try_from(pending).unwrap_or(usize::MAX))
        })
        .await
    }

    /// Notes an attempt whose response was a 2xx.
    pub async fn delivery_succeeded(
        &self,
        due: &DueDelivery,
        timing: Timing,
        status: u16,
    ) -> Result<(), StoreError> {
        let id = due.id.clone();
        self.write("delivery_succeeded", move |tx| {
            add_attempt(tx, &id, timing, (Some(status), None))?;
            tx.execute(
                "UPDATE deliveries SET state = 'delivered', finished_at = ?2 WHERE id = ?1 AND state = 'pending'",
                params![id.as_str(), Millis(end_of(timing))],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes a failed attempt, and when the next one is due, if any. If a user has requested the delivery
    /// again meanwhile, it stays due at once.
    pub async fn delivery_failed(
        &self,
        due: &DueDelivery,
        timing: Timing,
        failed: FailedAttempt,
    ) -> Result<(), StoreError> {
        let (id, resent) = (due.id.clone(), due.resent);
        self.write("delivery_failed", move |tx| {
            let FailedAttempt { status, reason, retry_at } = failed;
            add_attempt(tx, &id, timing, (status, Some(&reason)))?;
            tx.execute(
                "UPDATE deliveries SET failures = failures + 1,
                        state = iif(?3 IS NULL, 'failed', 'pending'),
                        next_attempt_at = coalesce(?3, next_attempt_at),
                        finished_at = iif(?3 IS NULL, ?4, NULL)
                 WHERE id = ?1 AND state = 'pending' AND resent = ?2",
                params![id.as_str(), resent, retry_at.map(Millis), Millis(end_of(timing))],
            )?;
            Ok(())
        })
        .await
    }
}

/// Adds one delivery for each webhook that subscribes to the event. It is due at once.
pub(super) fn add_deliveries(
    tx: &Transaction<'_>,
    about: &EgressId,
    event: &OutboxEvent,
    now: Timestamp,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO deliveries (id, webhook_id, egress_id, event, body, created_at, state, next_attempt_at)
         SELECT 'dl_' || lower(hex(randomblob(12))), id, ?1, ?2, ?3, ?4, 'pending', ?4 FROM webhooks
         WHERE id IN (SELECT webhook_id FROM webhook_events WHERE event IN (?2, '*'))
         ORDER BY rowid",
        params![about.as_str(), event.name, event.body, Millis(now)],
    )?;
    Ok(())
}

/// Does nothing if the delivery was deleted with its webhook.
fn add_attempt(
    tx: &Transaction<'_>,
    id: &DeliveryId,
    timing: Timing,
    (status, reason): (Option<u16>, Option<&str>),
) -> rusqlite::Result<()> {
    let took_ms = Count(u64::try_from(timing.took.as_millis()).unwrap_or(u64::MAX));
    tx.execute(
        "INSERT INTO delivery_attempts (delivery, number, at, took_ms, status, reason)
         SELECT number, 1 + coalesce((SELECT max(number) FROM delivery_attempts WHERE delivery = deliveries.number), 0),
                ?2, ?3, ?4, ?5
         FROM deliveries WHERE id = ?1",
        params![id.as_str(), Millis(timing.at), took_ms, status, reason],
    )?;
    tx.execute(
        "DELETE FROM delivery_attempts
         WHERE delivery = (SELECT number FROM deliveries WHERE id = ?1)
           AND number <= (SELECT max(latest.number) - ?2 FROM delivery_attempts AS latest
                          WHERE latest.delivery = delivery_attempts.delivery)",
        params![id.as_str(), ATTEMPTS_KEPT],
    )?;
    Ok(())
}

/// Returns the end of the attempt; its beginning, if the end is out of range.
fn end_of(timing: Timing) -> Timestamp {
    timing.at.checked_add(timing.took).unwrap_or(timing.at)
}

fn due_row(row: &Row<'_>) -> rusqlite::Result<DueDelivery> {
    Ok(DueDelivery {
        id: parsed(row, "id")?,
        webhook: parsed(row, "webhook_id")?,
        url: row.get("url")?,
        secret: row.get::<_, String>("secret")?.into(),
        event: row.get("event")?,
        body: row.get("body")?,
        failures: row.get("failures")?,
        resent: row.get("resent")?,
    })
}

#[cfg(test)]
mod tests;
