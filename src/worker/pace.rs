//! When a tick may be made. Pure: time is an argument.
//!
//! The recording's picture is made tick by tick, some time behind the wall clock, so that late packets
//! find their place. A slow moment of the machine delays ticks; none is ever left out.

use std::time::Duration;

use crate::media::MediaTime;

/// The time that jitter, NACK and reordering are given at least. Nobody watches live, so it is generous; every
/// worker that dies loses this much more.
const PLAYOUT_DELAY: Duration = Duration::from_millis(900);
/// So many times a second ticks are made in a burst: caches stay warm over a burst, and processors sleep between two.
/// It delays the file by a tenth of a second, which nobody notices.
const BURSTS_PER_SECOND: u64 = 10;
/// A tick that is this old is made with what there is, whatever a decoder still owes.
const PATIENCE: Duration = Duration::from_secs(4);

/// The ticks of one recording: their number, their times, and until when they go on.
#[derive(Debug)]
pub struct Pace {
    frame_rate: u32,
    /// The next tick to be made.
    next: u64,
    end: End,
    haste: Haste,
}

/// When a tick is too old to be waited for.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Haste {
    Usual,
    /// The ticks of a time in which nobody recorded are being made: each is old, and none is late.
    CatchingUp {
        until: MediaTime,
        last_made: MediaTime,
    },
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
        Self { frame_rate, next: 0, end: End::Open, haste: Haste::Usual }
    }

    /// Goes on with `next` at `now`. The ticks up to now are made at once, but none in haste: what has come since is
    /// decoded for them as always. Encoding them at twice the speed of time is the least to be expected.
    pub fn resuming(frame_rate: u32, next: u64, now: MediaTime) -> Self {
        let mut pace = Self { next, ..Self::new(frame_rate) };
        let behind = now.nanos_since(pace.next_tick()).max(0).unsigned_abs();
        let until = now + Duration::from_nanos(behind) + PATIENCE;
        pace.haste = Haste::CatchingUp { until, last_made: now };
        pace
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
        let burst_complete = self.start_of(self.burst_end() - 1) + PLAYOUT_DELAY;
        match self.end {
            End::At(ticks) if self.next >= ticks => Due::Finished,
            _ if age >= PATIENCE.as_nanos() as i64 && self.is_pressed(now) => Due::Overdue,
            End::At(_) => Due::Ready,
            End::Open if now >= burst_complete => Due::Ready,
            End::Open => Due::NotBefore(burst_complete),
        }
    }

    /// How far behind its schedule the next tick is: not at all until it could have been made.
    pub fn delay(&self, now: MediaTime) -> Duration {
        let due = match self.end {
            // Those of the past have none.
            End::Open if matches!(self.haste, Haste::CatchingUp { .. }) => now,
            End::Open => self.start_of(self.burst_end() - 1) + PLAYOUT_DELAY,
            // The last ticks of a recording have no schedule but that they are made.
            End::At(_) => now,
        };
        Duration::from_nanos(now.nanos_since(due).max(0).unsigned_abs())
    }

    /// When the next tick begins.
    pub fn next_tick(&self) -> MediaTime {
        self.start_of(self.next)
    }

    /// The beginning and the end of the last tick of the burst that the next tick belongs to: its picture is
    /// that of its beginning, its sound fills it.
    pub fn last_of_burst(&self) -> (MediaTime, MediaTime) {
        let end = match self.end {
            End::Open => self.burst_end(),
            End::At(ticks) => self.burst_end().min(ticks.max(self.next + 1)),
        };
        (self.start_of(end - 1), self.start_of(end))
    }

    /// Number of the first tick after the burst that the next tick belongs to.
    fn burst_end(&self) -> u64 {
        let burst = (u64::from(self.frame_rate) / BURSTS_PER_SECOND).max(1);
        (self.next / burst + 1) * burst
    }

    /// The next tick was made at `now`.
    pub fn advance(&mut self, now: MediaTime) {
        self.next += 1;
        match &mut self.haste {
            Haste::Usual => {}
            Haste::CatchingUp { last_made, .. } => *last_made = now,
        }
    }

    /// The ticks have come to the present, or cannot wait any longer: from now on old ones are late.
    pub fn caught_up(&mut self) {
        self.haste = Haste::Usual;
    }

    fn is_pressed(&self, now: MediaTime) -> bool {
        match self.haste {
            Haste::Usual => true,
            Haste::CatchingUp { until, last_made } => now >= until || now >= last_made + PATIENCE,
        }
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
    fn a_burst_is_ready_once_the_playout_delay_of_its_last_tick_has_passed() {
        let mut pace = Pace::new(30);
        let ready = MediaTime::from_nanos(2 * 1_000_000_000 / 30) + PLAYOUT_DELAY;
        assert_eq!(pace.due(ms(900)), Due::NotBefore(ready));
        for _ in 0..3 {
            assert_eq!(pace.due(ready), Due::Ready);
            pace.advance(ms(0));
        }
        assert_eq!(pace.due(ready), Due::NotBefore(ready + Duration::from_millis(100)));
        assert_eq!(pace.due(ms(3999)), Due::Ready);
    }

    #[test]
    fn a_burst_is_a_tenth_of_a_second_or_one_tick() {
        for (frame_rate, end) in [(60, ms(100)), (25, ms(80)), (10, ms(100)), (5, ms(200)), (1, ms(1000))] {
            assert_eq!(Pace::new(frame_rate).last_of_burst().1, end, "{frame_rate} a second");
        }
    }

    #[test]
    fn a_burst_is_decoded_up_to_its_last_tick_but_not_beyond_the_end() {
        let mut pace = Pace::new(30);
        assert_eq!(pace.last_of_burst().1, ms(100));
        pace.advance(ms(0));
        assert_eq!(pace.last_of_burst().1, ms(100));
        pace.stop(MediaTime::from_nanos(2 * 1_000_000_000 / 30 + 1));
        assert_eq!(pace.last_of_burst().1, MediaTime::from_nanos(2 * 1_000_000_000 / 30));
    }

    #[test]
    fn a_tick_is_overdue_once_patience_ends() {
        assert_eq!(Pace::new(30).due(ms(4000)), Due::Overdue);
    }

    #[test]
    fn ticks_of_a_time_in_which_nobody_recorded_are_made_at_once_but_not_in_haste() {
        let mut pace = Pace::resuming(30, 300, ms(40_000));
        assert_eq!(pace.made(), 300);
        while pace.due(ms(42_000)) == Due::Ready {
            assert_eq!(pace.delay(ms(42_000)), Duration::ZERO);
            pace.advance(ms(42_000));
        }
        assert_eq!(pace.made(), 1233);
        assert!(matches!(pace.due(ms(42_000)), Due::NotBefore(_)));
        pace.caught_up();
        assert_eq!(pace.due(ms(46_000)), Due::Overdue);
        assert!(pace.delay(ms(46_000)) > Duration::from_secs(3));
    }

    #[test]
    fn catching_up_waits_for_decoders_as_long_as_one_tick_may_and_ends_in_time() {
        let mut pace = Pace::resuming(30, 300, ms(40_000));
        pace.advance(ms(41_000));
        assert_eq!(pace.due(ms(44_999)), Due::Ready);
        assert_eq!(pace.due(ms(45_000)), Due::Overdue);
        // 30 s are missing. At twice the speed of time they are made up for in 30 s; then the usual patience begins.
        pace.advance(ms(73_000));
        assert_eq!(pace.due(ms(73_999)), Due::Ready);
        assert_eq!(pace.due(ms(74_000)), Due::Overdue);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_tick_too_early() {
        let pace = Pace::resuming(30, 300, ms(10_000));
        assert!(matches!(pace.due(ms(10_000)), Due::NotBefore(at) if at > ms(10_900)));
    }

    #[test]
    fn after_stop_the_remaining_ticks_are_made_at_once_and_no_more() {
        let mut pace = Pace::new(30);
        pace.stop(ms(100));
        for _ in 0..3 {
            assert_eq!(pace.due(ms(100)), Due::Ready);
            pace.advance(ms(0));
        }
        assert_eq!(pace.due(ms(100)), Due::Finished);
    }

    #[test]
    fn a_second_stop_changes_nothing() {
        let mut pace = Pace::new(30);
        pace.stop(ms(100));
        pace.stop(ms(10_000));
        for _ in 0..3 {
            pace.advance(ms(0));
        }
        assert_eq!(pace.due(ms(10_000)), Due::Finished);
    }

    #[test]
    fn a_slow_machine_loses_no_tick() {
        let mut pace = Pace::new(30);
        while matches!(pace.due(ms(10_900)), Due::Ready | Due::Overdue) {
            pace.advance(ms(0));
        }
        // All whole bursts of the ten seconds that are older than the playout delay.
        assert_eq!(pace.made(), 300);
    }

    #[test]
    fn a_tick_is_behind_its_schedule_once_its_whole_burst_could_have_been_made() {
        let mut pace = Pace::new(30);
        let ready = MediaTime::from_nanos(2 * 1_000_000_000 / 30) + PLAYOUT_DELAY;
        assert_eq!(pace.delay(ms(0)), Duration::ZERO);
        assert_eq!(pace.delay(ready), Duration::ZERO);
        assert_eq!(pace.delay(ready + Duration::from_millis(250)), Duration::from_millis(250));
        pace.stop(ms(2000));
        assert_eq!(pace.delay(ms(10_000)), Duration::ZERO);
    }

    #[test]
    fn ticks_do_not_drift() {
        let mut pace = Pace::new(30);
        for _ in 0..30 * 3600 {
            pace.advance(ms(0));
        }
        assert_eq!(pace.next_tick(), ms(3_600_000));
    }
}
