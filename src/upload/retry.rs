//! Decides what to do after a fault of an upload. Pure.
//!
//! Contract: an upload is not given up as long as its spool can be read, as an operator may repair the store
//! at any time. It ends only with a fault that no store can repair.

use std::time::Duration;

use super::error::UploadError;
use crate::storage::StorageError;

/// After so many failed attempts in a row, a spool counts as unreadable. They take about four minutes with
/// the default pauses.
const SPOOL_ATTEMPTS: u32 = 12;

/// The pauses between the attempts of an upload.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// The pause after the first fault. Each further fault doubles it.
    pub first_pause: Duration,
    pub longest_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            // With this, a store that is back is noticed within half a minute.
            longest_pause: Duration::from_secs(30),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The key belongs to another object: use the next key.
    NextKey,
    /// The store does not accept such a key: use the one that any store accepts.
    PlainKey(Duration),
    /// The multipart upload is lost: begin another.
    BeginAnew(Duration),
    /// The store lacks something that it had when the service started, such as the bucket: create it, then
    /// try again.
    Prepare(Duration),
    TryAgain(Duration),
    GiveUp,
}

impl RetryPolicy {
    /// Returns the remedy for a fault. `faults` is the number of faults in a row, including this one.
    pub fn remedy(&self, error: &UploadError, faults: u32) -> Remedy {
        let pause = self.pause(faults);
        match error {
            UploadError::Storage(StorageError::AlreadyExists { .. }) => Remedy::NextKey,
            UploadError::Storage(StorageError::KeyRefused { .. }) => Remedy::PlainKey(pause),
            UploadError::Storage(StorageError::UnknownUpload { .. }) => Remedy::BeginAnew(pause),
            UploadError::Storage(StorageError::BucketGone { .. }) => Remedy::Prepare(pause),
            // An object is never overwritten, even if egressd has made it.
            UploadError::NotAsSent { found: Some(_), .. } => Remedy::NextKey,
            UploadError::Spool(_) if faults >= SPOOL_ATTEMPTS => Remedy::GiveUp,
            UploadError::Storage(_)
            | UploadError::Database(_)
            | UploadError::Spool(_)
            | UploadError::NotAsSent { found: None, .. } => Remedy::TryAgain(pause),
            UploadError::Key(_)
            | UploadError::Index(_)
            | UploadError::Inconsistent { .. }
            | UploadError::Forgotten { .. }
            | UploadError::Abandoned => Remedy::GiveUp,
        }
    }

    fn pause(&self, faults: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(faults.saturating_sub(1));
        self.first_pause.saturating_mul(doubled).min(self.longest_pause)
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::storage::Action;

    fn unavailable() -> UploadError {
        UploadError::Storage(StorageError::Unavailable {
            action: Action::Reach { place: "store".into() },
            source: "connection refused".into(),
        })
    }

    fn refused() -> UploadError {
        UploadError::Storage(StorageError::Denied {
            action: Action::Reach { place: "store".into() },
            code: "AccessDenied".into(),
            message: String::new(),
        })
    }

    fn remedy(error: UploadError, faults: u32) -> Remedy {
        RetryPolicy::default().remedy(&error, faults)
    }

    fn seconds(remedy: Remedy) -> u64 {
        match remedy {
            Remedy::TryAgain(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let pauses = [1, 2, 3, 6, 7, 1000].map(|n| seconds(remedy(unavailable(), n)));
        assert_eq!(pauses, [1, 2, 4, 30, 30, 30]);
    }

    #[test]
    fn neither_an_outage_nor_a_refusal_is_ever_believed_to_be_the_last_word() {
        for error in [unavailable(), refused()] {
            assert_eq!(seconds(remedy(error, 1_000_000)), 30);
        }
    }

    #[test]
    fn a_spool_that_cannot_be_read_is_tried_again_for_a_while() {
        let unreadable = || UploadError::Spool(io::Error::from(io::ErrorKind::TimedOut));
        assert_eq!(seconds(remedy(unreadable(), SPOOL_ATTEMPTS - 1)), 30);
        assert_eq!(remedy(unreadable(), SPOOL_ATTEMPTS), Remedy::GiveUp);
    }

    #[test]
    fn an_upload_that_the_store_forgot_begins_anew_and_a_taken_key_is_left() {
        let key: crate::storage::ObjectKey = "room/x.mp4".parse().unwrap();
        let forgotten = UploadError::Storage(StorageError::UnknownUpload { key: key.clone() });
        assert!(matches!(remedy(forgotten, 1), Remedy::BeginAnew(_)));
        let taken = UploadError::Storage(StorageError::AlreadyExists { key });
        assert_eq!(remedy(taken, 1000), Remedy::NextKey);
    }

    #[test]
    fn a_bucket_that_went_is_made_again() {
        let gone = StorageError::BucketGone { action: Action::Reach { place: "store".into() } };
        assert!(matches!(remedy(UploadError::Storage(gone), 3), Remedy::Prepare(_)));
    }

    #[test]
    fn what_the_store_lost_and_the_spool_has_no_more_is_given_up() {
        assert_eq!(remedy(UploadError::Forgotten { released: 1 }, 1), Remedy::GiveUp);
    }
}
