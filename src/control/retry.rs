//! What to do after a fault of an upload. Pure.
//!
//! Contract: while the recording runs nothing is ever given up, as the spool holds all of it and
//! somebody may put the store right; once it has ended, trying again has an end too.

use std::time::Duration;

use super::upload::UploadError;
use crate::storage::StorageError;

/// How patient an upload is.
#[derive(Debug, Clone)]
pub struct RetryPolicy {
    /// The pause after the first fault; each further one doubles it.
    pub first_pause: Duration,
    pub longest_pause: Duration,
    /// Attempts after the recording's end where the fault may go away by itself.
    pub attempts: u32,
    /// Attempts after the recording's end where only somebody's hand can help.
    pub attempts_when_refused: u32,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            first_pause: Duration::from_secs(1),
            // A store that comes back is noticed within half a minute.
            longest_pause: Duration::from_secs(30),
            // About ten minutes: a store's restart or a failover is over by then.
            attempts: 25,
            attempts_when_refused: 3,
        }
    }
}

/// Where the recording stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Recording,
    /// Nothing more is recorded: only the upload is waited for.
    Finishing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The key belongs to somebody else: take the next one.
    NextKey,
    /// What was uploaded in parts is lost: begin anew.
    BeginAnew(Duration),
    TryAgain(Duration),
    GiveUp,
}

impl RetryPolicy {
    /// `faults` is the number of faults in a row, this one included.
    pub fn remedy(&self, error: &UploadError, stage: Stage, faults: u32) -> Remedy {
        if let UploadError::Storage(StorageError::AlreadyExists { .. }) = error {
            return Remedy::NextKey;
        }
        let allowed = if error.is_transient() { self.attempts } else { self.attempts_when_refused };
        if stage == Stage::Finishing && faults >= allowed {
            return Remedy::GiveUp;
        }
        let pause = self.pause(faults);
        match error {
            UploadError::Storage(StorageError::UnknownUpload { .. } | StorageError::MissingPart { .. }) => {
                Remedy::BeginAnew(pause)
            }
            UploadError::Storage(_)
            | UploadError::Key(_)
            | UploadError::Spool(_)
            | UploadError::Index(_)
            | UploadError::Inconsistent { .. }
            | UploadError::WrongSize { .. }
            | UploadError::Abandoned => Remedy::TryAgain(pause),
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

    fn seconds(remedy: Remedy) -> u64 {
        match remedy {
            Remedy::TryAgain(pause) => pause.as_secs(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let policy = RetryPolicy::default();
        let pauses =
            [1, 2, 3, 6, 7, 1000].map(|n| seconds(policy.remedy(&unavailable(), Stage::Recording, n)));
        assert_eq!(pauses, [1, 2, 4, 30, 30, 30]);
    }

    #[test]
    fn nothing_is_given_up_while_recording() {
        let policy = RetryPolicy::default();
        for error in [unavailable(), refused()] {
            assert_eq!(seconds(policy.remedy(&error, Stage::Recording, 10_000)), 30);
        }
    }

    #[test]
    fn after_the_end_a_refusal_is_believed_sooner_than_an_outage() {
        let policy = RetryPolicy::default();
        let remedy = |error: UploadError, faults| policy.remedy(&error, Stage::Finishing, faults);
        assert_eq!(remedy(refused(), 3), Remedy::GiveUp);
        assert!(matches!(remedy(unavailable(), 24), Remedy::TryAgain(_)));
        assert_eq!(remedy(unavailable(), 25), Remedy::GiveUp);
    }

    #[test]
    fn a_spool_that_cannot_be_read_now_is_tried_again() {
        let error = UploadError::Spool(io::Error::from(io::ErrorKind::TimedOut));
        let remedy = RetryPolicy::default().remedy(&error, Stage::Finishing, 1);
        assert!(matches!(remedy, Remedy::TryAgain(_)));
    }

    #[test]
    fn an_upload_that_the_store_forgot_begins_anew() {
        let key: crate::storage::ObjectKey = "room/x.mp4".parse().unwrap();
        let forgotten = UploadError::Storage(StorageError::UnknownUpload { key: key.clone() });
        let remedy = RetryPolicy::default().remedy(&forgotten, Stage::Recording, 1);
        assert!(matches!(remedy, Remedy::BeginAnew(_)));
        let taken = UploadError::Storage(StorageError::AlreadyExists { key });
        let remedy = RetryPolicy::default().remedy(&taken, Stage::Finishing, 1000);
        assert_eq!(remedy, Remedy::NextKey);
    }
}
