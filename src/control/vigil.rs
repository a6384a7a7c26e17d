//! When a worker counts as frozen. Pure: time is an argument.
//!
//! Progress is what the file gains, ticks or bytes. A worker makes ticks whether LiveKit is within reach or not, so that
//! there is no excuse for none; only until it has joined the room it has nothing to show, and more time.

use std::time::Duration;

use tokio::time::Instant;

/// A deadline that is noticed so late was not the worker's fault: this process, or the whole machine, stood still.
const STOOD_STILL: Duration = Duration::from_secs(2);

/// How long a worker may make no progress.
#[derive(Debug, Clone)]
pub struct Patience {
    /// From its start to being in the room: LiveKit may be slow to answer.
    pub join: Duration,
    /// In the room.
    pub progress: Duration,
}

/// The watch over one worker.
#[derive(Debug)]
pub struct Vigil {
    patience: Patience,
    joined: bool,
    since: Instant,
    ticks: u64,
    final_bytes: u64,
}

/// What a deadline that has passed means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lateness {
    Frozen,
    /// Nobody could have heard anything: the worker has its time once more.
    Unknown,
}

impl Vigil {
    pub fn begin(patience: Patience, now: Instant) -> Self {
        Self { patience, joined: false, since: now, ticks: 0, final_bytes: 0 }
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
        self.since + if self.joined { self.patience.progress } else { self.patience.join }
    }

    pub fn judge(&mut self, now: Instant) -> Lateness {
        if now.saturating_duration_since(self.deadline()) < STOOD_STILL {
            return Lateness::Frozen;
        }
        self.since = now;
        Lateness::Unknown
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            // The worker gives a connection up sooner and says so.
            join: Duration::from_secs(30),
            // Far longer than a loaded machine ever stalls, far shorter than anybody wants to lose.
            progress: Duration::from_secs(10),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vigil() -> (Vigil, Instant) {
        let now = Instant::now();
        (Vigil::begin(Patience::default(), now), now)
    }

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_worker_has_more_time_until_it_has_joined() {
        let (mut vigil, start) = vigil();
        assert_eq!(vigil.deadline(), start + s(30));
        vigil.joined(start + s(5));
        assert_eq!(vigil.deadline(), start + s(15));
    }

    #[test]
    fn ticks_and_bytes_are_progress_and_words_are_not() {
        let (mut vigil, start) = vigil();
        vigil.joined(start);
        vigil.progress(30, 0, start + s(1));
        vigil.progress(30, 500, start + s(2));
        vigil.progress(30, 500, start + s(9));
        assert_eq!(vigil.deadline(), start + s(12));
        assert_eq!(vigil.judge(start + s(12)), Lateness::Frozen);
    }

    #[test]
    fn a_worker_is_not_blamed_for_a_machine_that_stood_still() {
        let (mut vigil, start) = vigil();
        vigil.joined(start);
        assert_eq!(vigil.judge(start + s(3600)), Lateness::Unknown);
        assert_eq!(vigil.deadline(), start + s(3610));
        assert_eq!(vigil.judge(start + s(3610)), Lateness::Frozen);
    }
}
