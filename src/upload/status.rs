//! The upload status of every recording that is being uploaded, for those who show it.
//!
//! Does not upload. Contract: a recording is listed from the beginning of its upload to its end, and a status
//! contains no secret, no path and no address.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::ids::EgressId;
use crate::store::Destination;

/// The upload status of one recording.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UploadStatus {
    /// Bytes that the store has acknowledged.
    pub stored_bytes: u64,
    /// Media bytes that are final in the spool and not in the store. The first few MiB always count, as they
    /// are uploaded last.
    pub waiting_bytes: u64,
    /// Since when the oldest part without an acknowledgement of the store has been ready to be sent.
    pub since: Option<Timestamp>,
    /// What keeps the upload from going on, if anything.
    pub trouble: Option<Trouble>,
    /// The store in use.
    pub store: Destination,
}

/// What keeps an upload from going on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// A sentence for operators and users, without a full stop.
    pub reason: String,
    /// The time of the first fault since the last success.
    pub since: Timestamp,
    /// The number of faults since then.
    pub attempts: u32,
}

/// The running uploads. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Uploads(Arc<Mutex<HashMap<EgressId, watch::Receiver<UploadStatus>>>>);

/// Publishes the status of one upload. The upload is listed until this is dropped.
#[derive(Debug)]
pub struct StatusTeller {
    egress_id: EgressId,
    uploads: Uploads,
    status: watch::Sender<UploadStatus>,
}

impl Uploads {
    pub fn add(&self, egress_id: EgressId) -> StatusTeller {
        let (status, watched) = watch::channel(UploadStatus::default());
        self.locked(|map| map.insert(egress_id.clone(), watched));
        StatusTeller { egress_id, uploads: self.clone(), status }
    }

    pub fn of(&self, egress_id: &EgressId) -> Option<UploadStatus> {
        self.locked(|map| map.get(egress_id).map(|status| status.borrow().clone()))
    }

    pub fn all(&self) -> Vec<(EgressId, UploadStatus)> {
        self.locked(|map| map.iter().map(|(id, status)| (id.clone(), status.borrow().clone())).collect())
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<EgressId, watch::Receiver<UploadStatus>>) -> T) -> T {
        // The lock is usable after a panic: no panic happens in the middle of a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StatusTeller {
    pub fn tell(&self, status: UploadStatus) {
        self.status.send_if_modified(|told| {
            let is_news = *told != status;
            *told = status;
            is_news
        });
    }
}

impl Drop for StatusTeller {
    fn drop(&mut self) {
        self.uploads.locked(|map| {
            // A later upload of the same recording may have replaced this one.
            if map.get(&self.egress_id).is_some_and(|watched| watched.same_channel(&self.status.subscribe()))
            {
                map.remove(&self.egress_id);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upload_is_listed_with_its_last_status_until_it_is_over() {
        let uploads = Uploads::default();
        let id = EgressId::random();
        let teller = uploads.add(id.clone());
        assert_eq!(uploads.of(&id), Some(UploadStatus::default()));
        let later = UploadStatus { stored_bytes: 7, ..UploadStatus::default() };
        teller.tell(later.clone());
        assert_eq!(uploads.all(), [(id.clone(), later)]);
        drop(teller);
        assert_eq!(uploads.of(&id), None);
    }

    #[test]
    fn an_upload_that_was_followed_by_another_does_not_take_it_off_the_list() {
        let uploads = Uploads::default();
        let id = EgressId::random();
        let (first, _second) = (uploads.add(id.clone()), uploads.add(id.clone()));
        drop(first);
        assert!(uploads.of(&id).is_some());
    }
}
