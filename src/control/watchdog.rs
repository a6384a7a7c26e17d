//! Decides when a worker counts as frozen. Pure: time is an argument.
//!
//! A worker makes progress when its file gains ticks or bytes. It makes ticks even if LiveKit cannot be
//! reached. Only until it has joined the room there are none, and it has more time.

use std::time::Duration;

use tokio::time::Instant;

/// A deadline that is noticed this late says nothing about the worker: this process or the whole machine
/// stood still.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// How long a worker may make no progress.
#[derive(Debug, Clone)]
pub struct WorkerTimeouts {
    /// From its start to being in the room. LiveKit may be slow.
    pub join: Duration,
    /// In the room.
    pub progress: Duration,
}

/// The watch over one worker.
#[derive(Debug)]
pub struct Watchdog {
    timeouts: WorkerTimeouts,
    joined: bool,
    since: Instant,
    ticks: u64,
    final_bytes: u64,
}

/// The meaning of a deadline that has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    Frozen,
    /// This process could not have noticed any progress. The worker gets its time again.
    Unknown,
}

impl Watchdog {
    pub fn begin(timeouts: WorkerTimeouts, now: Instant) -> Self {
        Self { timeouts, joined: false, since: now, ticks: 0, final_bytes: 0 }
    }

    pub fn joined(&mut self, now: Instant) {
        self.joined = true;
        self.since = now;
    }

    pub fn progress(&mut self, ticks: u64, final_bytes: u64, now: Instant) {
        if ticks > self.ticks || final_bytes > self.final_bytes {
            (self.ticks, self.final_bytes) = (ticks, final_bytes);
            self.since = now;
        }
    }

    pub fn deadline(&self) -> Instant {
        self.since + if self.joined { self.timeouts.progress } else { self.timeouts.join }
    }

    pub fn judge(&mut self, now: Instant) -> Lateness {
        if now.saturating_duration_since(self.deadline()) < STOOD_STILL {
            return Lateness::Frozen;
        }
        self.since = now;
        Lateness::Unknown
    }
}

impl Default for WorkerTimeouts {
    fn default() -> Self {
        Self {
            // The worker gives up joining before this, and reports it.
            join: Duration::from_secs(30),
            // Far longer than a loaded machine ever stalls. Short enough to lose little of the recording.
            progress: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watchdog() -> (Watchdog, Instant) {
        let now = Instant::now();
        (Watchdog::begin(WorkerTimeouts::default(), now), now)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_worker_has_more_time_until_it_has_joined() {
        let (mut watchdog, start) = watchdog();
        assert_eq!(watchdog.deadline(), start + s(30));
        watchdog.joined(start + s(5));
        assert_eq!(watchdog.deadline(), start + s(15));
    }

    #[test]
    fn ticks_and_bytes_are_progress_and_words_are_not() {
        let (mut watchdog, start) = watchdog();
        watchdog.joined(start);
        watchdog.progress(30, 0, start + s(1));
        watchdog.progress(30, 500, start + s(2));
        watchdog.progress(30, 500, start + s(9));
        assert_eq!(watchdog.deadline(), start + s(12));
        assert_eq!(watchdog.judge(start + s(12)), Lateness::Frozen);
    }

    #[test]
    fn a_worker_is_not_blamed_for_a_machine_that_stood_still() {
        let (mut watchdog, start) = watchdog();
        watchdog.joined(start);
        assert_eq!(watchdog.judge(start + s(3600)), Lateness::Unknown);
        assert_eq!(watchdog.deadline(), start + s(3610));
        assert_eq!(watchdog.judge(start + s(3610)), Lateness::Frozen);
    }
}
