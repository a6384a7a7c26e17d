//! Counts faults in a row, and says until when to wait before the next attempt.
//!
//! Contract: several failures at the same time count as one fault.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::error::UploadError;
use crate::upload::retry::{Remedy, RetryPolicy};
use crate::upload::status::Trouble;

pub struct Backoff {
    policy: RetryPolicy,
    row: Option<Row>,
}

/// The faults since the last success.
struct Row {
    first: Instant,
    next_try: Instant,
    trouble: Trouble,
}

impl Backoff {
    pub fn new(policy: RetryPolicy) -> Self {
        Self { policy, row: None }
    }

    pub fn succeeded(&mut self) {
        if let Some(row) = self.row.take() {
            tracing::info!(faults = row.trouble.attempts, "the upload goes on");
        }
    }

    /// Notes a fault at this time; returns what to do about it.
    pub fn failed(&mut self, error: &UploadError, now: Instant) -> Remedy {
        let so_far = self.row.as_ref().map_or(0, |row| row.trouble.attempts);
        // A request that was under way when another failed says nothing new.
        let faults = if self.is_waiting(now) { so_far.max(1) } else { so_far + 1 };
        let remedy = self.policy.remedy(error, faults);
        let pause = remedy.pause();
        let reason = error.reason();
        if faults > so_far {
            let cause = std::error::Error::source(error).map(ToString::to_string);
            tracing::warn!(%error, cause, ?remedy, faults, "upload fault");
        }
        let row = self.row.get_or_insert_with(|| Row {
            first: now,
            next_try: now,
            trouble: Trouble { reason: String::new(), since: Timestamp::now(), attempts: 0 },
        });
        row.next_try = row.next_try.max(now + pause);
        row.trouble.reason = reason;
        row.trouble.attempts = faults;
        remedy
    }

    pub fn is_waiting(&self, now: Instant) -> bool {
        self.row.as_ref().is_some_and(|row| row.next_try > now)
    }

    /// Waits until the next attempt is due. Without a fault, returns at once.
    pub async fn wait(&self) {
        if let Some(row) = &self.row {
            tokio::time::sleep_until(row.next_try).await;
        }
    }

    /// Makes the next attempt due at once, as the recording has ended.
    pub fn hurry(&mut self) {
        if let Some(row) = &mut self.row {
            row.next_try = row.first;
        }
    }

    /// Returns for how long nothing has succeeded.
    pub fn away(&self, now: Instant) -> Duration {
        self.row.as_ref().map_or(Duration::ZERO, |row| now.saturating_duration_since(row.first))
    }

    /// Forgets all faults, as another store is used from now on.
    pub fn forget(&mut self) {
        self.row = None;
    }

    pub fn trouble(&self) -> Option<Trouble> {
        self.row.as_ref().map(|row| row.trouble.clone())
    }
}

impl Remedy {
    fn pause(self) -> Duration {
        match self {
            Self::PlainKey(pause) | Self::BeginAnew(pause) | Self::Prepare(pause) | Self::TryAgain(pause) => {
                pause
            }
            Self::NextKey | Self::GiveUp => Duration::ZERO,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault() -> UploadError {
        UploadError::Spool(std::io::ErrorKind::TimedOut.into())
    }

    fn backoff() -> Backoff {
        let (first_pause, longest_pause) = (Duration::from_secs(1), Duration::from_secs(30));
        Backoff::new(RetryPolicy { first_pause, longest_pause })
    }

    #[test]
    fn four_parts_that_fail_together_are_one_fault() {
        let (mut backoff, now) = (backoff(), Instant::now());
        for _ in 0..4 {
            backoff.failed(&fault(), now);
        }
        assert_eq!(backoff.trouble().unwrap().attempts, 1);
        let later = now + Duration::from_secs(1);
        assert!(backoff.is_waiting(now) && !backoff.is_waiting(later));
        backoff.failed(&fault(), later);
        assert_eq!(backoff.trouble().unwrap().attempts, 2);
        assert!(backoff.is_waiting(later + Duration::from_millis(1999)));
    }

    #[test]
    fn a_success_ends_the_trouble() {
        let (mut backoff, now) = (backoff(), Instant::now());
        backoff.failed(&fault(), now);
        assert_eq!(backoff.away(now + Duration::from_secs(7)), Duration::from_secs(7));
        backoff.succeeded();
        assert_eq!(backoff.trouble(), None);
        assert_eq!(backoff.away(now), Duration::ZERO);
    }

    #[test]
    fn the_end_of_a_recording_is_worth_a_try_at_once() {
        let (mut backoff, now) = (backoff(), Instant::now());
        backoff.failed(&fault(), now);
        backoff.hurry();
        assert!(!backoff.is_waiting(now));
        assert!(backoff.trouble().is_some());
    }
}
