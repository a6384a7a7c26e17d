//! How much video the way from the server carries: an estimate from when packets were sent and when they came, told as
//! REMB (draft-alvestrand-rmcat-remb-03). For servers that do not reckon that themselves from transport-wide feedback.
//! Pure: time is an argument.
//!
//! A way that is too narrow has a queue before it, in which every packet waits. So congestion is a least delay, over a
//! whole second, above the least one that was seen lately; jitter, lost packets and a moment in which this process was
//! not run do not look like that. Until the first queue nothing is told: LiveKit takes nothing for a way without limits,
//! and with each estimate that it gets it also judges by packets that were asked for twice, which is no congestion on a
//! way that merely loses (its `pkg/sfu/bwe/remotebwe`).

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How often an estimate is made, and told where there is one. LiveKit wants three of them within the half second of a
/// probe, and twelve falling ones before it believes in congestion.
const INTERVAL: Duration = Duration::from_millis(200);
/// A second: the largest keyframes take that long on a way that is just wide enough.
const WINDOW_SLOTS: usize = 5;
/// Clocks that differ by 200 ppm drift 6 ms apart in it.
const BASE_AGE: Duration = Duration::from_secs(30);
/// What waits longer than this waits in a queue.
const QUEUE_MICROS: i64 = 100_000;
/// What LiveKit assumes of a way of which it was told nothing.
const UNLIMITED_BPS: f64 = 100e6;
/// A way that carries less has no use for video.
const LEAST_BPS: f64 = 50e3;
/// Of what came while the queue stood, so that it can drain.
const DECREASE: f64 = 0.85;
/// For each interval in which the queue still stands: LiveKit looks for values that fall.
const FURTHER_DECREASE: f64 = 0.99;
const INCREASE_PER_INTERVAL: f64 = 1.016;
/// What nobody has tried is not promised.
const INCREASE_BOUND: f64 = 1.5;
/// Without a queue for so long, the way is taken for one without limits again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// Send times are told modulo this (the extension "abs-send-time" has 6 bits of seconds).
const SEND_TIME_MODULUS_MICROS: i64 = 64_000_000;

#[derive(Default)]
pub struct Bandwidth {
    clock: Clock,
    /// The newest is being filled.
    slots: VecDeque<Slot>,
    limit: Limit,
}

/// What came in an interval.
struct Slot {
    began: Instant,
    least_delay: Option<i64>,
    bytes: u64,
}

#[derive(Default)]
enum Limit {
    #[default]
    None,
    Of {
        bps: f64,
        queue_seen: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Queue {
    /// Nothing came that would tell.
    Unknown,
    Empty,
    Standing,
}

impl Bandwidth {
    /// Packets take another way from now on, with another delay.
    pub fn path_changed(&mut self) {
        self.slots.clear();
    }

    /// A packet of video of so many bytes came; `sent` is the server's time of sending it, in any clock.
    pub fn received(&mut self, bytes: usize, sent: Instant, now: Instant) {
        let delay = self.clock.delay(sent, now);
        if self.slots.is_empty() {
            self.slots.push_back(Slot::new(now));
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.bytes += bytes as u64;
            slot.least_delay = Some(slot.least_delay.map_or(delay, |least| least.min(delay)));
        }
    }

    /// When [`Bandwidth::report`] is to be called next.
    pub fn due(&self) -> Option<Instant> {
        self.slots.back().map(|slot| slot.began + INTERVAL)
    }

    /// The estimate that is to be told now, in bits a second, if any is.
    pub fn report(&mut self, now: Instant) -> Option<u64> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let bps = self.estimate(now);
        self.slots.push_back(Slot::new(now));
        while self.slots.front().is_some_and(|slot| slot.began + BASE_AGE < now) {
            self.slots.pop_front();
        }
        bps.map(|bps| bps as u64)
    }

    fn estimate(&mut self, now: Instant) -> Option<f64> {
        let (queue, came) = (self.queue(), self.came_bps(now));
        match (&mut self.limit, queue) {
            (Limit::None, Queue::Unknown | Queue::Empty) => None,
            (Limit::None, Queue::Standing) => {
                // Told once: a value that the next ones fall from.
                self.limit = Limit::Of { bps: UNLIMITED_BPS, queue_seen: now };
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, Queue::Unknown) => Some(*bps),
            (Limit::Of { bps, queue_seen }, Queue::Standing) => {
                *queue_seen = now;
                *bps = (*bps * FURTHER_DECREASE).min(came * DECREASE).max(LEAST_BPS);
                Some(*bps)
            }
            (Limit::Of { queue_seen, .. }, Queue::Empty) if now >= *queue_seen + FORGOTTEN_AFTER => {
                self.limit = Limit::None;
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, Queue::Empty) => {
                let tried = came * INCREASE_BOUND;
                *bps = bps.max((*bps * INCREASE_PER_INTERVAL).min(tried)).min(UNLIMITED_BPS);
                Some(*bps)
            }
        }
    }

    fn queue(&self) -> Queue {
        let least = |slots: &mut dyn Iterator<Item = &Slot>| slots.filter_map(|s| s.least_delay).min();
        let base = least(&mut self.slots.iter());
        let lately = least(&mut self.slots.iter().rev().take(WINDOW_SLOTS));
        match (lately, base) {
            (Some(lately), Some(base)) if lately - base >= QUEUE_MICROS => Queue::Standing,
            (Some(_), Some(_)) => Queue::Empty,
            (None, _) | (_, None) => Queue::Unknown,
        }
    }

    /// Within the window.
    fn came_bps(&self, now: Instant) -> f64 {
        let window = self.slots.iter().rev().take(WINDOW_SLOTS);
        let (bytes, began) = window.fold((0, now), |(bytes, _), slot| (bytes + slot.bytes, slot.began));
        let seconds = now.saturating_duration_since(began).as_secs_f64().max(INTERVAL.as_secs_f64());
        bytes as f64 * 8.0 / seconds
    }
}

impl Slot {
    fn new(began: Instant) -> Self {
        Self { began, least_delay: None, bytes: 0 }
    }
}

/// Makes delays of send times that say nothing of how many rounds their clock has gone. Only their differences mean
/// anything.
#[derive(Default)]
struct Clock {
    last: Option<i64>,
}

impl Clock {
    fn delay(&mut self, sent: Instant, now: Instant) -> i64 {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX / 2);
        let apart = match now.checked_duration_since(sent) {
            Some(later) => micros(later),
            None => -micros(sent - now),
        };
        let last = self.last.unwrap_or(apart);
        let half = SEND_TIME_MODULUS_MICROS / 2;
        let step = (apart - last + half).rem_euclid(SEND_TIME_MODULUS_MICROS) - half;
        *self.last.insert(last + step)
    }
}

#[cfg(test)]
mod tests;
