//! What the database knows about one recording's upload. With it, the next start continues the upload.

use super::error::UploadError;
use crate::ids::EgressId;
use crate::store::{Location, Store, UploadRow};

#[derive(Clone)]
pub struct Ledger {
    pub store: Store,
    pub egress_id: EgressId,
}

impl Ledger {
    pub async fn in_use(&self) -> Result<Option<UploadRow>, UploadError> {
        Ok(self.store.upload_in_use(&self.egress_id).await?)
    }

    pub async fn intend(&self, place: Location) -> Result<(), UploadError> {
        Ok(self.store.intend_upload(&self.egress_id, place).await?)
    }

    pub async fn begun(&self, place: Location, upload_id: &str) -> Result<(), UploadError> {
        Ok(self.store.upload_begun(&self.egress_id, place, upload_id).await?)
    }

    pub async fn released(&self, place: Location, bytes: u64) -> Result<(), UploadError> {
        Ok(self.store.media_released(&self.egress_id, place, bytes).await?)
    }

    pub async fn gone(&self, place: Location) -> Result<(), UploadError> {
        Ok(self.store.upload_gone(&self.egress_id, place).await?)
    }
}
