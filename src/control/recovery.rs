//! What a service that was killed left unfinished.
//!
//! Does not upload or record by itself: an unfinished recording becomes an ordinary one that goes on, or is being
//! finished. Contract: nothing is read from a spool that a worker is still writing.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::error::ControlError;
use super::failure::{EndStatus, Failure};
use super::shared::Shared;
use super::updates;
use crate::ids::EgressId;
use crate::store::{Phase, RecordingRow};

/// How often the lock is tried.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What is to become of a recording that has not ended.
#[derive(Debug, PartialEq)]
pub enum Recovery {
    /// It took in media: it goes on if its room lives.
    Resume,
    /// What there is of it is stored, and it ends like this.
    Finish(EndStatus),
}

/// The recordings that have not ended. Those that shall not go on are written down as taking in no more media.
pub async fn unfinished(shared: &Shared) -> Result<Vec<(RecordingRow, Recovery)>, ControlError> {
    let mut unfinished = Vec::new();
    for mut row in shared.store.unfinished().await? {
        let recovery_of = recovery_of(&row, shared.resume_within);
        if let Recovery::Finish(_) = recovery_of {
            let update = updates::of(&row, Phase::Uploading, Timestamp::now());
            shared.store.set_phase(&row.egress_id, Phase::Uploading, Some(update)).await?;
            row.phase = Phase::Uploading;
        }
        unfinished.push((row, recovery_of));
    }
    Ok(unfinished)
}

/// One of them, if it has not ended; it shall not go on.
pub async fn unfinished_one(shared: &Shared, id: &EgressId) -> Result<Option<RecordingRow>, ControlError> {
    let Some(row) = shared.store.recording(id).await? else { return Ok(None) };
    let update = updates::of(&row, Phase::Uploading, Timestamp::now());
    let unended = shared.store.set_phase(id, Phase::Uploading, Some(update)).await?;
    Ok(unended.then_some(RecordingRow { phase: Phase::Uploading, ..row }))
}

fn recovery_of(row: &RecordingRow, resume_within: Duration) -> Recovery {
    let restarted = EndStatus::Failed(Failure::ServiceRestarted);
    match row.phase {
        Phase::Starting | Phase::Active if !resume_within.is_zero() => Recovery::Resume,
        Phase::Uploading => Recovery::Finish(noted(row).unwrap_or(restarted)),
        Phase::Starting | Phase::Active | Phase::Stopping | Phase::Complete | Phase::Failed => {
            Recovery::Finish(restarted)
        }
    }
}

/// How it was to end, if that was noted in words that this version knows.
fn noted(row: &RecordingRow) -> Option<EndStatus> {
    let end_status = serde_json::from_str(row.end_status.as_deref()?);
    let unknown =
        |error| tracing::warn!(%error, egress_id = %row.egress_id, "noted in words of another version");
    end_status.map_err(unknown).ok()
}

/// Removes the spools of recordings that ended just before their service died.
pub async fn sweep(shared: &Shared) -> Result<(), ControlError> {
    let fault = |source| ControlError::SpoolFolder { path: shared.spool_dir.clone(), source };
    let mut entries = tokio::fs::read_dir(&shared.spool_dir).await.map_err(fault)?;
    while let Some(entry) = entries.next_entry().await.map_err(fault)? {
        let path = entry.path();
        let id =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<EgressId>().ok());
        let row = match id {
            Some(id) => shared.store.recording(&id).await?,
            None => None,
        };
        if row.as_ref().is_some_and(is_needless) {
            tracing::info!(spool = %path.display(), "the spool of a recording that is stored is removed");
            tokio::fs::remove_file(&path).await.map_err(fault)?;
        }
    }
    Ok(())
}

/// Whether all that the spool holds is in the store. One that was damaged may hold more.
fn is_needless(row: &RecordingRow) -> bool {
    let damaged = noted(row) == Some(EndStatus::Failed(Failure::SpoolDamaged));
    row.ended_at.is_some() && row.saved.is_some() && !damaged
}

/// A worker does not let go of its spool.
#[derive(Debug, thiserror::Error)]
#[error("a worker does not let go of its spool")]
pub struct StillWritten;

/// Waits until no worker holds the spool. A worker outlives its service by the moment that it takes
/// to finish its file; the kernel releases its lock when it is gone, however it went.
pub async fn wait_for_writer(spool: &Path, timeout: Duration) -> Result<(), StillWritten> {
    let wait = async {
        while is_written(spool) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    tokio::time::timeout(timeout, wait).await.map_err(|_elapsed| StillWritten)
}

fn is_written(spool: &Path) -> bool {
    let Ok(file) = File::open(spool) else {
        // Nothing was written, or the upload will say why it cannot be read.
        return false;
    };
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_is_being_written_as_long_as_its_lock_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("spool.mp4");
        assert!(!is_written(&path));
        let writer = File::create(&path).unwrap();
        writer.lock().unwrap();
        assert!(is_written(&path));
        drop(writer);
        assert!(!is_written(&path));
    }
}
