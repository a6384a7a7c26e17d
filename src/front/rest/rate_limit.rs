//! Owns how many requests an API key may make. Pure but for the lock: the time is an argument.
//!
//! Contract: in any period as long as the window, at most `max` requests are let in. For that, the times of
//! the last `max` requests are kept, and no others.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::auth::KeyIndex;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window; 0 lets none in.
    pub max: usize,
    pub window: Duration,
}

impl Default for RateLimit {
    fn default() -> Self {
        Self { max: 100, window: Duration::from_secs(60) }
    }
}

/// The rate limiter of all API keys.
pub struct RateLimiter {
    limit: RateLimit,
    /// One for each key.
    admitted: Mutex<Vec<VecDeque<Instant>>>,
}

impl RateLimiter {
    pub fn new(limit: RateLimit, keys: usize) -> Self {
        Self { limit, admitted: Mutex::new(vec![VecDeque::new(); keys]) }
    }

    /// Lets a request in, or returns how long to wait.
    pub fn admit(&self, key: KeyIndex, now: Instant) -> Result<(), Duration> {
        let mut admitted = self.admitted.lock().unwrap_or_else(PoisonError::into_inner);
        match admitted.get_mut(key.0) {
            Some(admitted) => admit(admitted, self.limit, now),
            None => Err(self.limit.window),
        }
    }
}

fn admit(admitted: &mut VecDeque<Instant>, limit: RateLimit, now: Instant) -> Result<(), Duration> {
    let age = |at: Instant| now.saturating_duration_since(at);
    while admitted.front().is_some_and(|at| age(*at) >= limit.window) {
        admitted.pop_front();
    }
    if admitted.len() < limit.max {
        admitted.push_back(now);
        return Ok(());
    }
    let oldest = admitted.front().map_or(Duration::ZERO, |at| age(*at));
    Err(limit.window - oldest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: RateLimit = RateLimit { max: 2, window: Duration::from_secs(60) };

    #[test]
    fn no_stretch_as_long_as_the_window_has_more_than_the_limit() {
        let start = Instant::now();
        let limiter = RateLimiter::new(LIMIT, 1);
        let admit = |s| limiter.admit(KeyIndex(0), start + Duration::from_secs(s));

        assert_eq!(admit(0), Ok(()));
        assert_eq!(admit(50), Ok(()));
        assert_eq!(admit(59), Err(Duration::from_secs(1)));
        assert_eq!(admit(60), Ok(()));
        assert_eq!(admit(61), Err(Duration::from_secs(49)));
        assert_eq!(admit(110), Ok(()));
    }

    #[test]
    fn a_refused_request_does_not_count() {
        let start = Instant::now();
        let limiter = RateLimiter::new(LIMIT, 1);
        for s in [0, 0, 10, 20, 30] {
            let _ = limiter.admit(KeyIndex(0), start + Duration::from_secs(s));
        }
        assert_eq!(limiter.admit(KeyIndex(0), start + LIMIT.window), Ok(()));
    }

    #[test]
    fn each_key_has_its_own_limit() {
        let now = Instant::now();
        let limiter = RateLimiter::new(RateLimit { max: 1, ..LIMIT }, 2);
        assert_eq!(limiter.admit(KeyIndex(0), now), Ok(()));
        assert!(limiter.admit(KeyIndex(0), now).is_err());
        assert_eq!(limiter.admit(KeyIndex(1), now), Ok(()));
    }
}
