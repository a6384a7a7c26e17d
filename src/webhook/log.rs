//! Owns how users see deliveries, and how they have one sent again.
//!
//! Does not send anything itself: a delivery that is to be sent again becomes due, and `deliver` sends it.

use jiff::Timestamp;

use super::error::WebhookError;
use super::registry::Registry;
use crate::ids::WebhookId;
use crate::store::{DeliveryId, DeliveryPage, DeliveryQuery, DeliveryRow};

impl Registry {
    /// Returns the deliveries of a webhook, newest first.
    pub async fn deliveries(&self, query: DeliveryQuery) -> Result<DeliveryPage, WebhookError> {
        self.get(&query.webhook).await?;
        Ok(self.store.deliveries(query).await?)
    }

    pub async fn delivery(&self, webhook: &WebhookId, id: &DeliveryId) -> Result<DeliveryRow, WebhookError> {
        self.get(webhook).await?;
        let found = self.store.delivery(webhook, id).await?;
        found.ok_or_else(|| WebhookError::NoSuchDelivery(id.clone()))
    }

    /// Sends a delivery again at once, whatever its state, with the same id and with all its attempts ahead
    /// of it.
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
