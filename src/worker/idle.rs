//! How long the room has been empty. Pure: time is an argument.
//!
//! Contract: time in which LiveKit is out of reach does not count, since nobody knows then who is in the room.

use std::time::Duration;

use crate::media::MediaTime;

#[derive(Debug)]
pub struct Idle {
    /// Since when nobody has been in the room, as far as that is known; later by the time that does not count.
    alone_since: Option<MediaTime>,
    out_of_reach_since: Option<MediaTime>,
}

impl Idle {
    /// Nobody is known to be there when a room is joined.
    pub fn since(joined: MediaTime) -> Self {
        Self { alone_since: Some(joined), out_of_reach_since: None }
    }

    /// So many are in the room, hidden ones left out.
    pub fn participants(&mut self, number: usize, now: MediaTime) {
        self.alone_since = match number {
            0 => Some(self.alone_since.unwrap_or(now)),
            _ => None,
        };
    }

    pub fn interrupted(&mut self, now: MediaTime) {
        self.out_of_reach_since.get_or_insert(now);
    }

    pub fn restored(&mut self, now: MediaTime) {
        let Some(since) = self.out_of_reach_since.take() else { return };
        // Who found the room empty in the meantime has not waited before.
        self.alone_since = self.alone_since.map(|alone| now - alone_before(alone, since));
    }

    /// Whether nobody has been there for so long.
    pub fn is_over(&self, now: MediaTime, timeout: Duration) -> bool {
        match (self.alone_since, self.out_of_reach_since) {
            (Some(alone), None) => now >= alone + timeout,
            (None, _) | (_, Some(_)) => false,
        }
    }
}

fn alone_before(alone: MediaTime, interrupted: MediaTime) -> Duration {
    Duration::from_nanos(interrupted.nanos_since(alone).max(0).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn at(seconds: i64) -> MediaTime {
        MediaTime::from_millis(seconds * 1000)
    }

    #[test]
    fn a_room_that_nobody_enters_is_idle_after_the_timeout() {
        let idle = Idle::since(MediaTime::ZERO);
        assert!(!idle.is_over(at(59), TIMEOUT));
        assert!(idle.is_over(at(60), TIMEOUT));
    }

    #[test]
    fn a_room_that_is_joined_late_is_not_idle_for_what_was_before() {
        let idle = Idle::since(at(1000));
        assert!(!idle.is_over(at(1059), TIMEOUT));
        assert!(idle.is_over(at(1060), TIMEOUT));
    }

    #[test]
    fn the_time_begins_when_the_last_one_leaves_and_not_anew_while_nobody_comes() {
        let mut idle = Idle::since(MediaTime::ZERO);
        idle.participants(2, at(10));
        assert!(!idle.is_over(at(1000), TIMEOUT));
        idle.participants(0, at(1000));
        idle.participants(0, at(1030));
        assert!(!idle.is_over(at(1059), TIMEOUT));
        assert!(idle.is_over(at(1060), TIMEOUT));
    }

    #[test]
    fn an_interruption_does_not_count() {
        let mut idle = Idle::since(MediaTime::ZERO);
        idle.participants(0, at(0));
        idle.interrupted(at(40));
        assert!(!idle.is_over(at(1000), TIMEOUT));
        idle.restored(at(1000));
        assert!(!idle.is_over(at(1019), TIMEOUT));
        assert!(idle.is_over(at(1020), TIMEOUT));
    }

    #[test]
    fn a_room_found_empty_after_an_interruption_is_given_the_whole_time() {
        let mut idle = Idle::since(MediaTime::ZERO);
        idle.participants(3, at(0));
        idle.interrupted(at(40));
        idle.participants(0, at(45));
        idle.restored(at(100));
        assert!(!idle.is_over(at(159), TIMEOUT));
        assert!(idle.is_over(at(160), TIMEOUT));
    }
}
