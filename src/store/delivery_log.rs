//! Owns the list of deliveries, how one is sent again, and how long they are kept.
//!
//! Contract: a page begins where the last one ended, whatever was added in between. A pending delivery is
//! deleted only with its webhook.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, Transaction, named_params, params};

use super::columns::{Count, Millis, parsed};
use super::delivery::{AttemptRow, DeliveryId, DeliveryRow, DeliveryState, DeliveryStatus};
use super::{Store, StoreError};
use crate::ids::WebhookId;

/// Selects deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryQuery {
    pub webhook: WebhookId,
    /// Only those in this state.
    pub status: Option<DeliveryStatus>,
    /// Only those before this number.
    pub before: Option<u64>,
    /// The most deliveries on the page.
    pub limit: u32,
}

/// A page of deliveries, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryPage {
    pub rows: Vec<DeliveryRow>,
    /// The next page begins before this number; `None` on the last page.
    pub next: Option<u64>,
}

impl Store {
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<DeliveryPage, StoreError> {
        self.read("deliveries", move |tx| page(tx, &query)).await
    }

    pub async fn delivery(
        &self,
        webhook: &WebhookId,
        id: &DeliveryId,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let (webhook, id) = (webhook.clone(), id.clone());
        self.read("delivery", move |tx| find(tx, &webhook, &id)).await
    }

    /// Makes a delivery due at once, whatever its state, with the full number of attempts. `None` if there is
    /// no such delivery.
    pub async fn resend_delivery(
        &self,
        webhook: &WebhookId,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<Option<DeliveryRow>, StoreError> {
        let (webhook, id) = (webhook.clone(), id.clone());
        let row = self
            .write("resend_delivery", move |tx| {
                tx.execute(
                    "UPDATE deliveries SET state = 'pending', resent = resent + 1, failures = 0,
                            next_attempt_at = ?3, finished_at = NULL
                     WHERE id = ?1 AND webhook_id = ?2",
                    params![id.as_str(), webhook.as_str(), Millis(now)],
                )?;
                find(tx, &webhook, &id)
            })
            .await?;
        self.deliveries_added.notify_one();
        Ok(row)
    }

    /// Deletes deliveries that were delivered or given up before this moment, and those beyond the newest
    /// `keep` of each webhook. Returns how many were deleted.
    pub async fn forget_deliveries(&self, before: Timestamp, keep: u32) -> Result<usize, StoreError> {
        self.write("forget_deliveries", move |tx| {
            let old = tx.execute(
                "DELETE FROM deliveries WHERE state <> 'pending' AND finished_at < ?1",
                [Millis(before)],
            )?;
            let surplus = tx.execute(
                "DELETE FROM deliveries WHERE number IN (
                     SELECT number FROM (
                         SELECT number, row_number() OVER (PARTITION BY webhook_id ORDER BY number DESC) AS place
                         FROM deliveries WHERE state <> 'pending')
                     WHERE place > ?1)",
                [keep],
            )?;
            Ok(old + surplus)
        })
        .await
    }
}

#[cfg(test)]
impl Store {
    /// Returns all deliveries of a webhook, oldest first.
    pub async fn all_deliveries(&self, webhook: &WebhookId) -> Vec<DeliveryRow> {
        let query = DeliveryQuery { webhook: webhook.clone(), status: None, before: None, limit: 1000 };
        let mut rows = self.deliveries(query).await.unwrap().rows;
        rows.reverse();
        rows
    }
}

fn page(tx: &Transaction<'_>, query: &DeliveryQuery) -> rusqlite::Result<DeliveryPage> {
    let limit = query.limit as usize;
    let condition = if query.status.is_some() { "AND state = :state" } else { "AND :state IS NULL" };
    let mut select = tx.prepare_cached(&format!(
        "SELECT * FROM deliveries WHERE webhook_id = :webhook {condition} AND number < :before
         ORDER BY number DESC LIMIT :limit"
    ))?;
    let values = named_params! {
        ":webhook": query.webhook.as_str(),
        ":state": query.status.map(DeliveryStatus::as_str),
        // The largest integer of SQLite.
        ":before": Count(query.before.unwrap_or(i64::MAX as u64).min(i64::MAX as u64)),
        // One more than the page has, to know whether there is a next page.
        ":limit": Count(u64::from(query.limit) + 1),
    };
    let mut rows: Vec<DeliveryRow> =
        select.query_map(values, |row| delivery_row(tx, row))?.collect::<Result<_, _>>()?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.number);
    Ok(DeliveryPage { rows, next })
}

fn find(tx: &Transaction<'_>, webhook: &WebhookId, id: &DeliveryId) -> rusqlite::Result<Option<DeliveryRow>> {
    let mut select = tx.prepare_cached("SELECT * FROM deliveries WHERE id = ?1 AND webhook_id = ?2")?;
    select.query_row([id.as_str(), webhook.as_str()], |row| delivery_row(tx, row)).optional()
}

fn delivery_row(tx: &Transaction<'_>, row: &Row<'_>) -> rusqlite::Result<DeliveryRow> {
    let Count(number) = row.get("number")?;
    let Millis(created_at) = row.get("created_at")?;
    let Millis(next_attempt_at) = row.get("next_attempt_at")?;
    let finished = || row.get("finished_at").map(|Millis(at)| at);
    Ok(DeliveryRow {
        number,
        id: parsed(row, "id")?,
        egress_id: parsed(row, "egress_id")?,
        event: row.get("event")?,
        body: row.get("body")?,
        created_at,
        state: match parsed(row, "state")? {
            DeliveryStatus::Pending => DeliveryState::Pending { next_attempt_at },
            DeliveryStatus::Delivered => DeliveryState::Delivered { at: finished()? },
            DeliveryStatus::Failed => DeliveryState::Failed { at: finished()? },
        },
        attempts: attempts(tx, number)?,
    })
}

fn attempts(tx: &Transaction<'_>, delivery: u64) -> rusqlite::Result<Vec<AttemptRow>> {
    let mut select =
        tx.prepare_cached("SELECT * FROM delivery_attempts WHERE delivery = ?1 ORDER BY number")?;
    select.query_map([Count(delivery)], attempt_row)?.collect()
}

fn attempt_row(row: &Row<'_>) -> rusqlite::Result<AttemptRow> {
    let Millis(at) = row.get("at")?;
    let Count(took_ms) = row.get("took_ms")?;
    Ok(AttemptRow {
        at,
        took: std::time::Duration::from_millis(took_ms),
        status: row.get("status")?,
        reason: row.get("reason")?,
    })
}
