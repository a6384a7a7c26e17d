//! Owns the webhooks that the configuration sets: at each start they become what it says, and those that it does not name
//! any more go.

use jiff::Timestamp;
use secrecy::SecretString;

use super::error::WebhookError;
use super::event::EventFilter;
use super::registry::{Registry, words};
use crate::ids::WebhookId;
use crate::store::{WebhookRow, WebhookSource};

/// A webhook of the configuration, without faults.
#[derive(Debug, Clone)]
pub struct StaticWebhook {
    pub id: WebhookId,
    pub url: String,
    pub secret: SecretString,
    /// Without duplicates.
    pub events: Vec<EventFilter>,
}

impl Registry {
    /// What is still to be delivered goes to where its webhook is now. What was still to be delivered to one that is named
    /// no more is forgotten with it, as by a removal.
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
