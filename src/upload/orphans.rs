//! Uploads in parts that nobody owns any more: their recordings have ended without them.
//!
//! Contract: only uploads under keys that the database reserved, in the stores that are configured, are touched.

use std::time::Duration;

use super::error::UploadError;
use crate::store::{Store, UploadRow};
use crate::upload::key;
use crate::upload::transfer::Stores;

/// How often it is looked for some: rarely are there any, and a store that was away is back some time.
const LOOK_EVERY: Duration = Duration::from_secs(300);

pub struct Orphans {
    pub stores: Stores,
    pub database: Store,
}

impl Orphans {
    /// Looks now, and then again and again; never returns.
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
