//! What is known of recordings, past ones included, and where their files can be read.
//!
//! Only looks: nothing is changed here. Contract: a URL is given only for a file that is whole in its store.

use std::sync::Arc;

use jiff::Timestamp;

use super::error::ControlError;
use super::handle::Handle;
use crate::ids::EgressId;
use crate::report::QualityReport;
use crate::storage::{ObjectKey, Storage, UrlTerms};
use crate::store::{Destination, Position, RecordingPage, RecordingQuery, RecordingRow};
use crate::upload::UploadStatus;

/// All that is known about a recording.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordingState {
    pub row: RecordingRow,
    /// What it has been like so far; `None` until there is something to tell.
    pub quality: Option<QualityReport>,
    /// How far its upload is; `None` once it has ended.
    pub upload: Option<UploadStatus>,
}

/// Some of the recordings, without their quality reports, which can be a hundred times as large as the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub recordings: Vec<ListedRecording>,
    /// Where the next page begins; `None`: this is the last one.
    pub next: Option<Position>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListedRecording {
    pub row: RecordingRow,
    /// How far its upload is; `None` once it has ended.
    pub upload: Option<UploadStatus>,
}

/// Where anybody can read a file for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUrl {
    pub url: String,
    pub expires_at: Timestamp,
}

impl Handle {
    /// A recording of this service, past ones included.
    pub async fn recording(&self, id: &EgressId) -> Result<Option<RecordingState>, ControlError> {
        let Some(row) = self.store.recording(id).await? else { return Ok(None) };
        let quality = self.store.report(id).await?;
        let upload = self.shared.uploads.of(id);
        Ok(Some(RecordingState { row, quality, upload }))
    }

    /// The recordings that are asked for, newest first.
    pub async fn recordings(&self, query: RecordingQuery) -> Result<Listing, ControlError> {
        let RecordingPage { rows, next } = self.store.recordings(query).await?;
        let uploads = &self.shared.uploads;
        let listed = |row: RecordingRow| ListedRecording { upload: uploads.of(&row.egress_id), row };
        Ok(Listing { recordings: rows.into_iter().map(listed).collect(), next })
    }

    /// Where the finished file of a recording can be read. No store is asked.
    pub async fn file_url(&self, id: &EgressId, terms: UrlTerms) -> Result<FileUrl, ControlError> {
        let row = self.store.recording(id).await?.ok_or(ControlError::NoSuchRecording)?;
        if row.ended_at.is_none() {
            return Err(ControlError::NotFinished);
        }
        let saved = row.saved.ok_or(ControlError::NoFile)?;
        let storage = self.storage_of(saved.store)?;
        let key: ObjectKey = saved.key.parse()?;
        // Signatures count whole seconds from theirs; so what is told is never later than what holds.
        let now = Timestamp::from_second(Timestamp::now().as_second()).map_err(ControlError::Expiry)?;
        let url = storage.presigned_get(&key, terms).await?;
        let expires_at = now.checked_add(terms.valid_for).map_err(ControlError::Expiry)?;
        Ok(FileUrl { url: url.ok_or(ControlError::NotInABucket)?, expires_at })
    }

    fn storage_of(&self, slot: Destination) -> Result<Arc<dyn Storage>, ControlError> {
        let stores = &self.shared.stores;
        match (slot, &stores.fallback) {
            (Destination::Primary, _) => Ok(Arc::clone(&stores.primary)),
            (Destination::Fallback, Some(fallback)) => Ok(Arc::clone(&fallback.storage)),
            (Destination::Fallback, None) => Err(ControlError::StoreGone),
        }
    }
}
