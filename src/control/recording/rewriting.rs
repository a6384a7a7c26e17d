//! Decides when to try again to write what could not be written to the database. Pure: time is an argument.

use std::time::Duration;

use tokio::time::Instant;

/// The first and the longest pause. Each pause is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Rewriting {
    /// Everything is written.
    #[default]
    Idle,
    Due {
        at: Instant,
        pause: Duration,
    },
}

impl Rewriting {
    pub fn at(self) -> Option<Instant> {
        match self {
            Self::Idle => None,
            Self::Due { at, .. } => Some(at),
        }
    }

    /// Notes that an attempt has failed now.
    pub fn failed(&mut self, now: Instant) {
        let (first, longest) = PAUSES;
        let pause = match self {
            Self::Idle => first,
            Self::Due { pause, .. } => (*pause * 2).min(longest),
        };
        *self = Self::Due { at: now + pause, pause };
    }

    pub fn succeeded(&mut self) {
        *self = Self::Idle;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_grows_until_something_is_written() {
        let (now, mut rewriting) = (Instant::now(), Rewriting::default());
        assert_eq!(rewriting.at(), None);
        let mut pause = || {
            rewriting.failed(now);
            rewriting.at().unwrap() - now
        };
        assert_eq!([pause(), pause(), pause()].map(|pause| pause.as_millis()), [500, 1000, 2000]);
        let longest = (0..20).map(|_| pause()).max();
        assert_eq!(longest, Some(Duration::from_secs(30)));
        rewriting.succeeded();
        assert_eq!(rewriting.at(), None);
    }
}
