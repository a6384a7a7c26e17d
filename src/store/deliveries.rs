//! Owns the `deliveries` table: the outbox of webhook calls still to be made, and what became of them.
//! Does not own the schedule of retries, nor the calls themselves: `webhook` does.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use secrecy::SecretString;

use super::columns::{Count, Millis, parsed};
use super::{Store, StoreError};
use crate::ids::WebhookId;

/// An event to be told to every webhook that asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEvent {
    pub name: &'static str,
    /// The exact bytes that are sent and signed.
    pub body: String,
}

/// `dl_` and 24 hexadecimal digits; the same on every retry of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId(String);

/// A delivery whose time has come.
#[derive(Debug, Clone)]
pub struct DueDelivery {
    pub id: DeliveryId,
    pub url: String,
    pub secret: SecretString,
    pub event: String,
    pub body: String,
    /// Attempts made so far, all of them failed.
    pub attempts: u32,
}

/// What became of one attempt that did not succeed.
#[derive(Debug, Clone)]
pub struct FailedAttempt {
    /// The status that was answered, if one was.
    pub status: Option<u16>,
    pub error: String,
    /// `None`: it was the last one, the delivery is marked failed and kept.
    pub retry_at: Option<Timestamp>,
}

/// A delivery as it stands, for inspection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    pub id: DeliveryId,
    pub event: String,
    pub body: String,
    pub state: DeliveryState,
    pub attempts: u32,
    pub last_status: Option<u16>,
    pub last_error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryState {
    Pending { next_attempt_at: Timestamp },
    Delivered,
    Failed,
}

impl DeliveryId {
    /// Of a call that is made at once and never written down.
    pub fn random() -> Self {
        Self(format!("dl_{}", hex::encode(rand::random::<[u8; 12]>())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Store {
    /// Pending deliveries whose time has come, the longest due first.
    pub async fn due_deliveries(&self, now: Timestamp, limit: usize) -> Result<Vec<DueDelivery>, StoreError> {
        let limit = Count(limit as u64);
        self.read("due_deliveries", move |tx| {
            let mut query = tx.prepare_cached(
                "SELECT deliveries.*, url, secret FROM deliveries
                 JOIN webhooks ON webhooks.id = webhook_id
                 WHERE state = 'pending' AND next_attempt_at <= ?1
                 ORDER BY next_attempt_at, deliveries.rowid LIMIT ?2",
            )?;
            query.query_map(params![Millis(now), limit], due_row)?.collect()
        })
        .await
    }

    /// When the first pending delivery that is not due at `now` becomes due.
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

    /// How many are still to be delivered, due or not.
    pub async fn pending_deliveries(&self) -> Result<usize, StoreError> {
        self.read("pending_deliveries", |tx| {
            let sql = "SELECT count(*) FROM deliveries WHERE state = 'pending'";
            let Count(pending) = tx.query_row(sql, [], |row| row.get(0))?;
            Ok(usize::try_from(pending).unwrap_or(usize::MAX))
        })
        .await
    }

    pub async fn delivery_succeeded(&self, id: &DeliveryId, status: u16) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("delivery_succeeded", move |tx| {
            tx.execute(
                "UPDATE deliveries SET state = 'delivered', attempts = attempts + 1,
                        last_status = ?2, last_error = NULL
                 WHERE id = ?1 AND state = 'pending'",
                params![id.0, status],
            )?;
            Ok(())
        })
        .await
    }

    /// Notes a failed attempt, and when the next one is due if there is to be one.
    pub async fn delivery_failed(&self, id: &DeliveryId, failed: FailedAttempt) -> Result<(), StoreError> {
        let id = id.clone();
        self.write("delivery_failed", move |tx| {
            tx.execute(
                "UPDATE deliveries SET attempts = attempts + 1, last_status = ?2, last_error = ?3,
                        state = iif(?4 IS NULL, 'failed', 'pending'),
                        next_attempt_at = coalesce(?4, next_attempt_at)
                 WHERE id = ?1 AND state = 'pending'",
                params![id.0, failed.status, failed.error, failed.retry_at.map(Millis)],
            )?;
            Ok(())
        })
        .await
    }

    /// All deliveries of a webhook, oldest first, also those that are done.
    pub async fn deliveries(&self, webhook: &WebhookId) -> Result<Vec<DeliveryRow>, StoreError> {
        let webhook = webhook.clone();
        self.read("deliveries", move |tx| {
            let mut query = tx.prepare("SELECT * FROM deliveries WHERE webhook_id = ?1 ORDER BY rowid")?;
            query.query_map([webhook.as_str()], delivery_row)?.collect()
        })
        .await
    }
}

/// One delivery for each webhook that asks for the event, due at once.
pub(super) fn add_deliveries(
    tx: &Transaction<'_>,
    event: &OutboxEvent,
    now: Timestamp,
) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO deliveries (id, webhook_id, event, body, state, next_attempt_at)
         SELECT 'dl_' || lower(hex(randomblob(12))), id, ?1, ?2, 'pending', ?3 FROM webhooks
         WHERE id IN (SELECT webhook_id FROM webhook_events WHERE event IN (?1, '*'))
         ORDER BY rowid",
        params![event.name, event.body, Millis(now)],
    )?;
    Ok(())
}

fn due_row(row: &Row<'_>) -> rusqlite::Result<DueDelivery> {
    Ok(DueDelivery {
        id: DeliveryId(row.get("id")?),
        url: row.get("url")?,
        secret: row.get::<_, String>("secret")?.into(),
        event: row.get("event")?,
        body: row.get("body")?,
        attempts: row.get("attempts")?,
    })
}

fn delivery_row(row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let Millis(next_attempt_at) = row.get("next_attempt_at")?;
    let state = match parsed(row, "state")? {
        StateWord::Pending => DeliveryState::Pending { next_attempt_at },
        StateWord::Delivered => DeliveryState::Delivered,
        StateWord::Failed => DeliveryState::Failed,
    };
    Ok(DeliveryRow {
        id: DeliveryId(row.get("id")?),
        event: row.get("event")?,
        body: row.get("body")?,
        state,
        attempts: row.get("attempts")?,
        last_status: row.get("last_status")?,
        last_error: row.get("last_error")?,
    })
}

/// What the `state` column holds.
enum StateWord {
    Pending,
    Delivered,
    Failed,
}

#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no state of a delivery")]
struct UnknownState(String);

impl FromStr for StateWord {
    type Err = UnknownState;

    fn from_str(word: &str) -> Result<Self, UnknownState> {
        match word {
            "pending" => Ok(Self::Pending),
            "delivered" => Ok(Self::Delivered),
            "failed" => Ok(Self::Failed),
            other => Err(UnknownState(other.to_owned())),
        }
    }
}
