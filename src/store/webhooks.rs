//! Owns the `webhooks` and `webhook_events` tables. Does not know which event names exist, nor what
//! makes a good address: `webhook` does.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, params};
use secrecy::{ExposeSecret, SecretString};

use super::columns::{Millis, parsed};
use super::{Store, StoreError};
use crate::ids::WebhookId;

/// A registered webhook.
#[derive(Debug, Clone)]
pub struct WebhookRow {
    pub id: WebhookId,
    pub url: String,
    pub secret: SecretString,
    /// Exact event names, or `*` for all, in the order given. Without duplicates.
    pub events: Vec<String>,
    pub created_at: Timestamp,
}

/// What of a webhook becomes different; `None` stays as it is.
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

    /// All webhooks, oldest first.
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

    /// Changes a webhook; answers with what it is then, or `None` if there is none. What is still to be delivered goes
    /// to where it is then.
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

    /// Removes a webhook and its deliveries. Answers whether there was one.
    pub async fn delete_webhook(&self, id: &WebhookId) -> Result<bool, StoreError> {
        let id = id.clone();
        self.changes_one("delete_webhook", move |tx| {
            tx.execute("DELETE FROM webhooks WHERE id = ?1", [id.as_str()])
        })
        .await
    }
}

fn insert(tx: &Transaction<'_>, webhook: &WebhookRow) -> rusqlite::Result<()> {
    tx.execute(
        "INSERT INTO webhooks (id, url, secret, created_at) VALUES (?1, ?2, ?3, ?4)",
        params![
            webhook.id.as_str(),
            webhook.url,
            webhook.secret.expose_secret(),
            Millis(webhook.created_at),
        ],
    )?;
    add_events(tx, &webhook.id, &webhook.events)
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
    })
}
