//! When a tick may be made. Pure: time is an argument.
//!
//! The recording's picture is made tick by tick, some time behind the wall clock, so that late packets
//! find their place. A slow moment of the machine delays ticks; none is ever left out.

use std::time::Duration;

use crate::media::MediaTime;

/// The time that jitter, NACK and reordering are given. Nobody watches live, so it is generous; every
/// worker that dies loses this much more.
pub const PLAYOUT_DELAY: Duration = Duration::from_secs(1);
/// A tick that is this old is made with what there is, whatever a decoder still owes.
const PATIENCE: Duration = Duration::from_secs(4);

/// The ticks of one recording: their number, their times, and until when they go on.
#[derive(Debug)]
pub struct Pace {
    frame_rate: u32,
    /// The next tick to be made.
    next: u64,
    end: End,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Open,
    /// This many ticks in all.
    At(u64),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Too early: what a participant sends may still be on its way.
    NotBefore(MediaTime),
    /// Make it as soon as the decoders have caught up.
    Ready,
    /// Make it at once.
    Overdue,
    /// All ticks are made.
    Finished,
}

impl Pace {
    pub fn new(frame_rate: u32) -> Self {
        Self { frame_rate, next: 0, end: End::Open }
    }

    /// Number of ticks made so far.
    pub fn made(&self) -> u64 {
        self.next
    }

    /// The recording takes in nothing later than `now`: the ticks up to it are made without waiting.
    pub fn stop(&mut self, now: MediaTime) {
        if self.end == End::Open {
            let so_far = self.ticks_before(now);
            self.end = End::At(so_far.max(self.next));
        }
    }

    pub fn due(&self, now: MediaTime) -> Due {
        let age = now.nanos_since(self.start_of(self.next));
        match self.end {
            End::At(ticks) if self.next >= ticks => Due::Finished,
            _ if age >= PATIENCE.as_nanos() as i64 => Due::Overdue,
            End::At(_) => Due::Ready,
            End::Open if age >= PLAYOUT_DELAY.as_nanos() as i64 => Due::Ready,
            End::Open => Due::NotBefore(self.start_of(self.next) + PLAYOUT_DELAY),
        }
    }

    /// When the next tick begins and when it ends: its picture is that of its beginning, its sound
    /// fills it.
    pub fn next_tick(&self) -> (MediaTime, MediaTime) {
        (self.start_of(self.next), self.start_of(self.next + 1))
    }

    pub fn advance(&mut self) {
        self.next += 1;
    }

    fn start_of(&self, tick: u64) -> MediaTime {
        let nanos = u128::from(tick) * 1_000_000_000 / u128::from(self.frame_rate);
        MediaTime::from_nanos(i64::try_from(nanos).unwrap_or(i64::MAX))
    }

    fn ticks_before(&self, time: MediaTime) -> u64 {
        let nanos = u128::try_from(time.nanos()).unwrap_or(0);
        u64::try_from(nanos * u128::from(self.frame_rate) / 1_000_000_000).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> MediaTime {
        MediaTime::from_millis(millis)
    }

    #[test]
    fn a_tick_is_ready_once_the_playout_delay_has_passed() {
        let pace = Pace::new(30);
        assert_eq!(pace.due(ms(999)), Due::NotBefore(ms(1000)));
        assert_eq!(pace.due(ms(1000)), Due::Ready);
        assert_eq!(pace.due(ms(3999)), Due::Ready);
    }

    #[test]
    fn a_tick_is_overdue_once_patience_ends() {
        assert_eq!(Pace::new(30).due(ms(4000)), Due::Overdue);
    }

    #[test]
    fn after_stop_the_remaining_ticks_are_made_at_once_and_no_more() {
        let mut pace = Pace::new(30);
        pace.stop(ms(100));
        for _ in 0..3 {
            assert_eq!(pace.due(ms(100)), Due::Ready);
            pace.advance();
        }
        assert_eq!(pace.due(ms(100)), Due::Finished);
    }

    #[test]
    fn a_second_stop_changes_nothing() {
        let mut pace = Pace::new(30);
        pace.stop(ms(100));
        pace.stop(ms(10_000));
        for _ in 0..3 {
            pace.advance();
        }
        assert_eq!(pace.due(ms(10_000)), Due::Finished);
    }

    #[test]
    fn a_slow_machine_loses_no_tick() {
        let mut pace = Pace::new(30);
        let mut made = 0;
        while pace.due(ms(11_000)) != Due::NotBefore(pace.next_tick().0 + PLAYOUT_DELAY) {
            pace.advance();
            made += 1;
        }
        assert_eq!(made, 301);
    }

    #[test]
    fn ticks_do_not_drift() {
        let mut pace = Pace::new(30);
        for _ in 0..30 * 3600 {
            pace.advance();
        }
        assert_eq!(pace.next_tick().0, ms(3_600_000));
    }
}
