//! Owns which signatures were used, where none may be used twice. Pure but for the lock: the time is an
//! argument.
//!
//! Contract: only verified signatures are remembered, each for as long as its timestamp is accepted. So only
//! the holder of a key's secret can fill that key's memory, and nobody fills another key's. A key whose
//! memory is full waits until its oldest signature expires; nothing is forgotten early.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::auth::{MAX_SKEW_S, Verified};

/// How many signatures of one key are remembered: a hundred a second while they count. They take about 4 MiB.
const MOST: usize = 65_536;

/// Each signature has the second of its timestamp in front, so that the oldest come first.
type Signatures = BTreeSet<(i64, [u8; 32])>;

/// The signatures that were used.
pub struct Replays {
    /// The service's start, in Unix seconds. What was used before is not known.
    since: i64,
    most: usize,
    /// The signatures of each key.
    used: Mutex<Vec<Signatures>>,
}

/// Why a signature is refused though it is right. The messages may be shown to the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReplayError {
    #[error("X-RTCstack-Signature was used before")]
    Used,
    #[error("X-RTCstack-Timestamp is from before the service's start")]
    FromBefore,
    #[error("Too many requests with this API key for their signatures to be remembered")]
    Full { wait: Duration },
}

impl Replays {
    pub fn new(keys: usize, now: Timestamp) -> Self {
        Self::with_room_for(MOST, keys, now)
    }

    fn with_room_for(most: usize, keys: usize, now: Timestamp) -> Self {
        Self { since: now.as_second(), most, used: Mutex::new(vec![Signatures::new(); keys]) }
    }

    /// Remembers a signature, unless it was used before.
    pub fn note(&self, verified: &Verified, now: Timestamp) -> Result<(), ReplayError> {
        let Verified { key, timestamp, signature } = *verified;
        if timestamp < self.since {
            return Err(ReplayError::FromBefore);
        }
        let oldest_that_counts = now.as_second().saturating_sub_unsigned(MAX_SKEW_S);
        let mut used = self.used();
        // The keys are the ones that signatures are verified with, so the index is valid.
        let Some(used) = used.get_mut(key.0) else { return Ok(()) };
        while used.first().is_some_and(|(second, _)| *second < oldest_that_counts) {
            used.pop_first();
        }
        match used.first() {
            _ if used.contains(&(timestamp, signature)) => return Err(ReplayError::Used),
            Some((oldest, _)) if used.len() >= self.most => {
                let seconds = oldest.saturating_sub(oldest_that_counts).unsigned_abs() + 1;
                return Err(ReplayError::Full { wait: Duration::from_secs(seconds) });
            }
            Some(_) | None => {}
        }
        used.insert((timestamp, signature));
        Ok(())
    }

    /// Forgets a signature whose request was not served, so that the same request may be sent again.
    pub fn forget(&self, verified: &Verified) {
        let Verified { key, timestamp, signature } = *verified;
        if let Some(used) = self.used().get_mut(key.0) {
            used.remove(&(timestamp, signature));
        }
    }

    fn used(&self) -> MutexGuard<'_, Vec<Signatures>> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::front::rest::auth::KeyIndex;

    const START: i64 = 1_713_693_600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    fn signed(key: usize, second: i64, mark: u8) -> Verified {
        Verified { key: KeyIndex(key), timestamp: START + second, signature: [mark; 32] }
    }

    #[test]
    fn a_signature_is_good_once_for_as_long_as_its_timestamp_counts() {
        let replays = Replays::new(1, at(0));
        assert_eq!(replays.note(&signed(0, 10, 1), at(0)), Ok(()));
        for now in [0, 10, 310] {
            assert_eq!(replays.note(&signed(0, 10, 1), at(now)), Err(ReplayError::Used), "{now}");
        }
        assert_eq!(replays.note(&signed(0, 10, 2), at(310)), Ok(()));
        // From now on the timestamp itself is refused.
        assert_eq!(replays.note(&signed(0, 400, 3), at(311)), Ok(()));
        assert_eq!(replays.used()[0].len(), 1);
    }

    #[test]
    fn what_was_used_before_the_start_cannot_be_used_again() {
        let replays = Replays::new(1, at(0));
        assert_eq!(replays.note(&signed(0, -1, 1), at(0)), Err(ReplayError::FromBefore));
    }

    #[test]
    fn a_request_that_was_not_served_may_come_again() {
        let replays = Replays::new(1, at(0));
        assert_eq!(replays.note(&signed(0, 0, 1), at(0)), Ok(()));
        replays.forget(&signed(0, 0, 1));
        assert_eq!(replays.note(&signed(0, 0, 1), at(0)), Ok(()));
    }

    #[test]
    fn a_key_whose_memory_is_full_waits_and_no_other_does() {
        let replays = Replays::with_room_for(2, 2, at(0));
        assert_eq!(replays.note(&signed(0, 5, 1), at(0)), Ok(()));
        assert_eq!(replays.note(&signed(0, 7, 2), at(0)), Ok(()));
        let wait = Duration::from_secs(306);
        assert_eq!(replays.note(&signed(0, 9, 3), at(0)), Err(ReplayError::Full { wait }));
        // Used signatures are still known, and the other key has its own memory.
        assert_eq!(replays.note(&signed(0, 5, 1), at(0)), Err(ReplayError::Used));
        assert_eq!(replays.note(&signed(1, 9, 3), at(0)), Ok(()));
        assert_eq!(replays.note(&signed(0, 310, 3), at(306)), Ok(()));
    }
}
