//! Finds the recordings that an earlier service left unfinished.
//!
//! Neither uploads nor records: an unfinished recording becomes an ordinary one, which is resumed or stored.
//! Contract: nothing is read from a spool that a worker is still writing.

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

/// How often it tries to get the lock.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How an unfinished recording continues.
#[derive(Debug, PartialEq)]
pub enum Recovery {
    /// It took in media. It is resumed if its room still exists.
    Resume,
    /// Its spool is stored, and it ends with this status.
    Finish(EndStatus),
}

/// Returns the recordings that have not ended. First notes in the database which of them take in no more
/// media.
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

/// Returns one recording, if it has not ended. It is not resumed.
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

/// Returns the end status that was noted, if this version can read it.
fn noted(row: &RecordingRow) -> Option<EndStatus> {
    let end_status = serde_json::from_str(row.end_status.as_deref()?);
    let unknown =
        |error| tracing::warn!(%error, egress_id = %row.egress_id, "noted in words of another version");
    end_status.map_err(unknown).ok()
}

/// Deletes the spools of recordings that ended just before their service died.
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

/// Returns whether everything in the spool is in the store. A damaged spool may contain more.
fn is_needless(row: &RecordingRow) -> bool {
    let damaged = noted(row) == Some(EndStatus::Failed(Failure::SpoolDamaged));
    row.ended_at.is_some() && row.saved.is_some() && !damaged
}

/// A worker still writes the spool.
#[derive(Debug, thiserror::Error)]
#[error("a worker does not let go of its spool")]
pub struct StillWritten;

/// Waits until no worker writes the spool. A worker outlives its service for as long as it takes to finish
/// the spool. The kernel releases its lock when it exits for any reason.
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
        // There is no file, or the upload will report why it cannot be read.
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
