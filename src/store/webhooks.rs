//! Owns the `webhooks` and `webhook_events` tables. Knows neither which events exist nor which URLs are
//! allowed: `webhook` does.
//!
//! Contract: only [`Store::set_static_webhooks`] changes webhooks of the configuration.

use std::str::FromStr;

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use super::columns::{Count, Millis, parsed};
use super::{Store, StoreError};
use crate::ids::WebhookId;

/// A registered webhook.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub url: String,
    pub secret: SecretString,
    /// Event names, or `*` for all, in the given order, without duplicates.
    pub events: Vec<String>,
    pub created_at: Timestamp,
    pub source: WebhookSource,
}

/// Where a webhook comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WebhookSource {
    /// A call registered it.
    Api,
    /// The configuration names it.
    Config,
}

/// A webhook that was deleted, as the configuration does not name it any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForgottenWebhook {
    pub id: WebhookId,
    /// How many pending deliveries were deleted with it.
    pub pending: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no source of a webhook")]
pub struct UnknownSource(String);

/// A change of a webhook. Fields that are `None` do not change.
#[derive(Debug, Clone, Default)]
pub struct WebhookUpdate {
    pub url: Option<String>,
    pub secret: Option<SecretString>,
    /// As in [`WebhookRow`].
    pub events: Option<Vec<String>>,
}

impl Store {
    pub async fn insert_webhook(&self, webhook: WebhookRow) -> Result<(), StoreError> {
        self.write("insert_webhook", move |tx| insert(tx, &webhook)).await
    }

    /// Returns all webhooks, oldest first.
    pub async fn webhooks(&self) -> Result<Vec<WebhookRow>, StoreError> {
        self.read("webhooks", |tx| {
            let mut query = tx.prepare("SELECT * FROM webhooks ORDER BY created_at, rowid")?;
            query.query_map([], |row| webhook_row(tx, row))?.collect()
        })
        .await
    }

    pub async fn webhook(&self, id: &WebhookId) -> Result<Option<WebhookRow>, StoreError> {
        let id = id.clone();
        self.read("webhook", move |tx| find(tx, &id)).await
    }

    /// Changes a webhook. Returns the changed one, or `None` if there is none. Pending deliveries go to its
    /// new URL.
    pub async fn update_webhook(
        &self,
        id: &WebhookId,
        update: WebhookUpdate,
    ) -> Result<Option<WebhookRow>, StoreError> {
        let id = id.clone();
        self.write("update_webhook", move |tx| {
            change(tx, &id, &update)?;
            find(tx, &id)
        })
        .await
    }

    /// Replaces the webhooks of the configuration by these. Those that exist are changed, but keep their time
    /// of creation. Those that are not among these are deleted with their deliveries.
    pub async fn set_static_webhooks(
        &self,
        webhooks: Vec<WebhookRow>,
    ) -> Result<Vec<ForgottenWebhook>, StoreError> {
        self.write("set_static_webhooks", move |tx| {
            let mut forgotten = static_webhooks(tx)?;
            forgotten.retain(|old| webhooks.iter().all(|webhook| webhook.id != old.id));
            for old in &forgotten {
                tx.execute("DELETE FROM webhooks WHERE id = ?1", [old.id.as_str()])?;
            }
            webhooks.iter().try_for_each(|webhook| set(tx, webhook))?;
            Ok(forgotten)
        })
        .await
    }

    /// Deletes a webhook and its deliveries. Returns whether there was one.
    pub async fn delete_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.changes_one("delete_webhook", move |tx| {
            tx.execute("DELETE FROM webhooks WHERE id = ?1", [id.as_str()])
        })
        .await
    }
}

impl WebhookSource {
    fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Config => "config",
        }
    }
}

impl FromStr for WebhookSource {
    type Err = UnknownSource;

    fn from_str(word: &str) -> Result<Self, UnknownSource> {
        let found = [Self::Api, Self::Config].into_iter().find(|source| source.as_str() == word);
        found.ok_or_else(|| UnknownSource(word.to_owned()))
    }
}

fn insert(tx: &Transaction<'_>, webhook: &WebhookRow) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO webhooks (id, url, secret, created_at, source) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![
            webhook.id.as_str(),
            webhook.url,
            webhook.secret.expose_secret(),
            Millis(webhook.created_at),
            webhook.source.as_str(),
        ],
    )?;
    add_events(tx, &webhook.id, &webhook.events)
}

fn set(tx: &Transaction<'_>, webhook: &WebhookRow) -> rusqlite::Result<()> {
    if find(tx, &webhook.id)?.is_none() {
        return insert(tx, webhook);
    }
    let WebhookRow { id, url, secret, events, .. } = webhook.clone();
    change(tx, &id, &WebhookUpdate { url: Some(url), secret: Some(secret), events: Some(events) })
}

/// Returns the webhooks that the configuration has named so far.
fn static_webhooks(tx: &Transaction<'_>) -> rusqlite::Result<Vec<ForgottenWebhook>> {
    let mut query = tx.prepare(
        "SELECT id, (SELECT COUNT(*) FROM deliveries WHERE webhook_id = webhooks.id AND state = 'pending') AS pending
         FROM webhooks WHERE source = 'config' ORDER BY rowid",
    )?;
    let rows = query.query_map([], |row| {
        let Count(pending) = row.get("pending")?;
        Ok(ForgottenWebhook { id: parsed(row, "id")?, pending })
    })?;
    rows.collect()
}

fn change(tx: &Transaction<'_>, id: &WebhookId, update: &WebhookUpdate) -> rusqlite::Result<()> {
    let WebhookUpdate { url, secret, events } = update;
    let changed = tx.execute(
        "UPDATE webhooks SET url = coalesce(?2, url), secret = coalesce(?3, secret) WHERE id = ?1",
        params![id.as_str(), url, secret.as_ref().map(ExposeSecret::expose_secret)],
    )?;
    if let (1, Some(events)) = (changed, events) {
        tx.execute("DELETE FROM webhook_events WHERE webhook_id = ?1", [id.as_str()])?;
        add_events(tx, id, events)?;
    }
    Ok(())
}

fn find(tx: &Transaction<'_>, id: &WebhookId) -> rusqlite::Result<Option<WebhookRow>> {
    let mut query = tx.prepare("SELECT * FROM webhooks WHERE id = ?1")?;
    let mut rows = query.query_map([id.as_str()], |row| webhook_row(tx, row))?;
    rows.next().transpose()
}

fn add_events(tx: &Transaction<'_>, id: &WebhookId, events: &[String]) -> rusqlite::Result<()> {
    let mut add =
        tx.prepare("INSERT INTO webhook_events (webhook_id, event, position) VALUES (?1, ?2, ?3)")?;
    for (position, event) in (0_i64..).zip(events) {
        add.execute(params![id.as_str(), event, position])?;
    }
    Ok(())
}

fn webhook_row(tx: &Transaction<'_>, row: &Row<'_>) -> rusqlite::Result<WebhookRow> {
    let id: WebhookId = parsed(row, "id")?;
    let mut events =
        tx.prepare_cached("SELECT event FROM webhook_events WHERE webhook_id = ?1 ORDER BY position")?;
    let events = events.query_map([id.as_str()], |row| row.get(0))?.collect::<Result<_, _>>()?;
    let Millis(created_at) = row.get("created_at")?;
    Ok(WebhookRow {
        id,
        url: row.get("url")?,
        secret: row.get::<_, String>("secret")?.into(),
        events,
        created_at,
        source: parsed(row, "source")?,
    })
}
