//! What a service that was killed left unfinished.
//!
//! Does not upload by itself: an unfinished recording becomes an ordinary one in the state of being
//! finished. Contract: nothing is read from a spool that a worker is still writing.

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::Duration;

use super::error::ControlError;
use super::shared::Shared;
use crate::ids::EgressId;
use crate::store::{Phase, RecordingRow};

/// How often the lock is tried.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The recordings that have not ended, written down as taking in no more media.
pub async fn unfinished(shared: &Shared) -> Result<Vec<RecordingRow>, ControlError> {
    let mut rows = shared.store.unfinished().await?;
    for row in &mut rows {
        shared.store.set_phase(&row.egress_id, Phase::Uploading).await?;
        row.phase = Phase::Uploading;
    }
    Ok(rows)
}

/// One of them, if it has not ended.
pub async fn unfinished_one(shared: &Shared, id: &EgressId) -> Result<Option<RecordingRow>, ControlError> {
    let unended = shared.store.set_phase(id, Phase::Uploading).await?;
    let row = shared.store.recording(id).await?;
    Ok(row.filter(|_| unended))
}

/// Waits until no worker holds the spool. A worker outlives its service by the moment that it takes
/// to finish its file; the kernel releases its lock when it is gone, however it went.
pub async fn wait_for_writer(spool: &Path, patience: Duration) {
    let wait = async {
        while is_written(spool) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    if tokio::time::timeout(patience, wait).await.is_err() {
        tracing::warn!(spool = %spool.display(), "a worker does not let go of its spool, it is read as it is");
    }
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
