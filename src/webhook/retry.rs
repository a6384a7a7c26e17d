//! Owns when a failed delivery is tried again. Pure.

use std::time::Duration;

use jiff::Timestamp;

/// The waits between attempts (contract, part 4): four attempts in all.
const WAITS: [Duration; 3] = [Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(5 * 60)];

/// Returns when to try again after `failed_attempts` failures, the last one at `now`. `None`: give up.
pub fn next_attempt(failed_attempts: u32, now: Timestamp) -> Option<Timestamp> {
    let index = usize::try_from(failed_attempts.checked_sub(1)?).ok()?;
    Some(now + *WAITS.get(index)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_is_tried_again_after_5_s_30_s_and_5_min_and_then_given_up() {
        let now: Timestamp = "2024-04-21T10:00:00Z".parse().unwrap();
        let waits: Vec<_> = (1..=5)
            .map(|failed| next_attempt(failed, now).map(|at| at.duration_since(now).as_secs()))
            .collect();
        assert_eq!(waits, [Some(5), Some(30), Some(300), None, None]);
    }
}
