//! Removes multipart uploads that nobody continues: their recordings have ended without them.
//!
//! Contract: it touches only uploads under keys that the database has reserved, in the configured stores.

use std::time::Duration;

use super::error::UploadError;
use crate::store::{Store, UploadRow};
use crate::upload::key;
use crate::upload::transfer::Stores;

/// How often it searches. There are rarely any, and a store that cannot be reached is back at some time.
const LOOK_EVERY: Duration = Duration::from_secs(300);

pub struct Orphans {
    pub stores: Stores,
    pub database: Store,
}

impl Orphans {
    /// Searches now, and then every five minutes; never returns.
    pub async fn run(self) {
        loop {
            self.remove_all().await;
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub async fn remove_all(&self) {
        let orphans = match self.database.orphaned_uploads().await {
            Ok(orphans) => orphans,
            Err(error) => return tracing::error!(%error, "orphaned uploads cannot be looked for"),
        };
        for orphan in orphans {
            if let Err(error) = self.remove(&orphan).await {
                tracing::warn!(egress_id = %orphan.egress_id, %error, "parts of an ended upload stay in the store for now");
            }
        }
    }

    async fn remove(&self, orphan: &UploadRow) -> Result<(), UploadError> {
        let Some(storage) = self.stores.configured(orphan.place.store) else { return Ok(()) };
        let key = key::nth_choice(&orphan.key, orphan.place.choice)?;
        let removed = storage.abort_all(&key, None).await?;
        tracing::info!(egress_id = %orphan.egress_id, removed, "no parts of the ended upload are left");
        Ok(self.database.upload_gone(&orphan.egress_id, orphan.place).await?)
    }
}
