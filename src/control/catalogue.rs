//! Returns recordings, finished ones included, and the URLs of their files.
//!
//! Changes nothing. Contract: it returns a URL only for a file that is complete in its store.

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
    /// The quality report so far; `None` before the first one.
    pub quality: Option<QualityReport>,
    /// The upload status; `None` once the recording has ended.
    pub upload: Option<UploadStatus>,
}

/// A page of recordings, without their quality reports: these can be a hundred times as large as the rest.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub recordings: Vec<ListedRecording>,
    /// Where the next page begins; `None` on the last page.
    pub next: Option<Position>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct ListedRecording {
    pub row: RecordingRow,
    /// The upload status; `None` once the recording has ended.
    pub upload: Option<UploadStatus>,
}

/// A URL at which anybody can read a file for some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileUrl {
    pub url: String,
    pub expires_at: Timestamp,
}

impl Handle {
    /// Returns a recording, finished or not; `None` if there is none with this id.
    pub async fn recording(&self, id: &EgressId) -> Result<Option<RecordingState>, ControlError> {
        let Some(row) = self.store.recording(id).await? else { return Ok(None) };
        let quality = self.store.report(id).await?;
        let upload = self.shared.uploads.of(id);
        Ok(Some(RecordingState { row, quality, upload }))
    }

    /// Returns a page of recordings, newest first.
    pub async fn recordings(&self, query: RecordingQuery) -> Result<Listing, ControlError> {
        let RecordingPage { rows, next } = self.store.recordings(query).await?;
        let uploads = &self.shared.uploads;
        let listed = |row: RecordingRow| ListedRecording { upload: uploads.of(&row.egress_id), row };
        Ok(Listing { recordings: rows.into_iter().map(listed).collect(), next })
    }

    /// Returns a URL of the finished file of a recording. Makes no request to a store.
    pub async fn file_url(&self, id: &EgressId, terms: UrlTerms) -> Result<FileUrl, ControlError> {
        let row = self.store.recording(id).await?.ok_or(ControlError::NoSuchRecording)?;
        if row.ended_at.is_none() {
            return Err(ControlError::NotFinished);
        }
        let saved = row.saved.ok_or(ControlError::NoFile)?;
        let storage = self.storage_of(saved.store)?;
        let key: ObjectKey = saved.key.parse()?;
        // A signature is valid for whole seconds from a whole second on. So the expiry is never stated too
        // late.
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
