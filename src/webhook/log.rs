//! Owns what is told of deliveries, and that one is sent again on demand.
//!
//! Does not send anything itself: what is to be sent again becomes due, and `deliver` sees it.

use jiff::Timestamp;

use super::error::WebhookError;
use super::registry::Registry;
use crate::ids::WebhookId;
use crate::store::{DeliveryId, DeliveryPage, DeliveryQuery, DeliveryRow};

impl Registry {
    /// The deliveries of a webhook, newest first.
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<DeliveryPage, WebhookError> {
        self.get(&query.webhook).await?;
        Ok(self.store.deliveries(query).await?)
    }

    pub async fn delivery(&self, webhook: &WebhookId, id: &DeliveryId) -> Result<DeliveryRow, WebhookError> {
        self.get(webhook).await?;
        let found = self.store.delivery(webhook, id).await?;
        found.ok_or_else(|| WebhookError::NoSuchDelivery(id.clone()))
    }

    /// Sends a delivery again, with the same id, whatever became of it: at once, and with all its attempts before it.
    pub async fn resend(
        &self,
        webhook: &WebhookId,
        id: &DeliveryId,
        now: Timestamp,
    ) -> Result<DeliveryRow, WebhookError> {
        self.get(webhook).await?;
        let found = self.store.resend_delivery(webhook, id, now).await?;
        let row = found.ok_or_else(|| WebhookError::NoSuchDelivery(id.clone()))?;
        tracing::info!(%webhook, delivery = %id, event = row.event, "webhook delivery is sent again");
        Ok(row)
    }
}
