//! Owns the webhooks that the configuration sets. At each start they are set as it says, and those that it no
//! longer names are removed.

use jiff::Timestamp;
use secrecy::SecretString;

use super::error::WebhookError;
use super::event::EventFilter;
use super::registry::{Registry, words};
use crate::ids::WebhookId;
use crate::store::{WebhookRow, WebhookSource};

/// A valid webhook of the configuration.
#[derive(Debug, Clone)]
pub struct StaticWebhook {
    pub id: WebhookId,
    pub url: String,
    pub secret: SecretString,
    /// Without duplicates.
    pub events: Vec<EventFilter>,
}

impl Registry {
    /// Replaces the webhooks that the configuration had set before. Pending deliveries go to the new URL of
    /// their webhook. Removing a webhook also removes its pending deliveries.
    pub async fn adopt(&self, fixed: Vec<StaticWebhook>, now: Timestamp) -> Result<(), WebhookError> {
        let rows = fixed.into_iter().map(|webhook| row(webhook, now)).collect();
        for gone in self.store.set_static_webhooks(rows).await? {
            let (webhook, undelivered) = (gone.id, gone.pending);
            tracing::warn!(%webhook, undelivered, "the configuration names this webhook no more, it is forgotten");
        }
        Ok(())
    }
}

fn row(webhook: StaticWebhook, now: Timestamp) -> WebhookRow {
    let StaticWebhook { id, url, secret, events } = webhook;
    WebhookRow { id, url, secret, events: words(&events), created_at: now, source: WebhookSource::Config }
}
