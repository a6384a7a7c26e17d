//! How much video the way from the server carries: an estimate from when packets were sent and when they came, told as
//! REMB (draft-alvestrand-rmcat-remb-03). For servers that do not reckon that themselves from transport-wide feedback.
//! Pure: time is an argument.
//!
//! A way that is too narrow has a queue before it, in which every packet waits. So congestion is a least delay, over a
//! whole second, above the least one that was seen lately; jitter, lost packets and a moment in which this process was
//! not run do not look like that. Where what is too much is dropped at once, only the share that is lost tells; it must be
//! so large that no way merely loses it. Until the first congestion nothing is told: LiveKit takes nothing for a way without
//! limits, and with each estimate that it gets it also judges by packets that were asked for twice, which is no congestion
//! on a way that merely loses (its `pkg/sfu/bwe/remotebwe`).

use std::collections::{HashMap, VecDeque};
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
/// More than radio loses in a bad moment; the layers of simulcast are further apart.
const CONGESTED_LOSS: f64 = 1.0 / 3.0;
/// Of fewer packets a third may be lost by chance.
const LOSS_COUNTS_FROM: u64 = 30;
/// What LiveKit assumes of a way of which it was told nothing.
const UNLIMITED_BPS: f64 = 100e6;
/// A way that carries less has no use for video.
const LEAST_BPS: f64 = 50e3;
/// Of what came while the way was congested, so that its queue can drain.
const DECREASE: f64 = 0.85;
/// For each interval in which it still is: LiveKit looks for values that fall.
const FURTHER_DECREASE: f64 = 0.99;
const INCREASE_PER_INTERVAL: f64 = 1.016;
/// What nobody has tried is not promised.
const INCREASE_BOUND: f64 = 1.5;
/// Without congestion for so long, the way is taken for one without limits again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// Send times are told modulo this (the extension "abs-send-time" has 6 bits of seconds).
const SEND_TIME_MODULUS_MICROS: i64 = 64_000_000;

#[derive(Default)]
pub struct Bandwidth {
    clock: Clock,
    streams: Streams,
    /// The newest is being filled.
    slots: VecDeque<Slot>,
    limit: Limit,
}

/// A packet of video that came.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub ssrc: u32,
    pub sequence: u16,
    /// All of the datagram's.
    pub bytes: usize,
    /// By the server's clock.
    pub sent: Instant,
}

/// What came in an interval.
struct Slot {
    began: Instant,
    least_delay: Option<i64>,
    bytes: u64,
    packets: Packets,
}

#[derive(Clone, Copy, Default)]
struct Packets {
    came: u64,
    /// As the sequence numbers say.
    sent: u64,
}

#[derive(Default)]
enum Limit {
    #[default]
    None,
    Of {
        bps: f64,
        congested_at: Instant,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Nothing came that would tell.
    Unknown,
    Clear,
    Congested,
}

impl Bandwidth {
    /// Packets take another way from now on, with another delay.
    pub fn path_changed(&mut self) {
        self.slots.clear();
    }

    pub fn received(&mut self, packet: Packet, now: Instant) {
        let delay = self.clock.delay(packet.sent, now);
        let sent = self.streams.sent_since(packet);
        if self.slots.is_empty() {
            self.slots.push_back(Slot::new(now));
        }
        if let Some(slot) = self.slots.back_mut() {
            slot.bytes += packet.bytes as u64;
            slot.packets = slot.packets.and(Packets { came: 1, sent });
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
        let (way, came) = (self.way(), self.came_bps(now));
        match (&mut self.limit, way) {
            (Limit::None, Way::Unknown | Way::Clear) => None,
            (Limit::None, Way::Congested) => {
                // Told once: a value that the next ones fall from.
                self.limit = Limit::Of { bps: UNLIMITED_BPS, congested_at: now };
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, Way::Unknown) => Some(*bps),
            (Limit::Of { bps, congested_at }, Way::Congested) => {
                *congested_at = now;
                *bps = (*bps * FURTHER_DECREASE).min(came * DECREASE).max(LEAST_BPS);
                Some(*bps)
            }
            (Limit::Of { congested_at, .. }, Way::Clear) if now >= *congested_at + FORGOTTEN_AFTER => {
                self.limit = Limit::None;
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, Way::Clear) => {
                let tried = came * INCREASE_BOUND;
                *bps = bps.max((*bps * INCREASE_PER_INTERVAL).min(tried)).min(UNLIMITED_BPS);
                Some(*bps)
            }
        }
    }

    /// The newest first.
    fn window(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().rev().take(WINDOW_SLOTS)
    }

    fn way(&self) -> Way {
        let base = self.slots.iter().filter_map(|slot| slot.least_delay).min();
        let lately = self.window().filter_map(|slot| slot.least_delay).min();
        match (lately, base) {
            (Some(lately), Some(base)) if lately - base >= QUEUE_MICROS => Way::Congested,
            (Some(_), Some(_)) if self.drops() => Way::Congested,
            (Some(_), Some(_)) => Way::Clear,
            (None, _) | (_, None) => Way::Unknown,
        }
    }

    /// All the time, and not once: after an outage, or when a queue was full, much is missing at one moment.
    fn drops(&self) -> bool {
        let all = self.window().map(|slot| slot.packets).fold(Packets::default(), Packets::and);
        let slots = self.window().filter(|slot| slot.packets.lack_many()).count();
        all.sent >= LOSS_COUNTS_FROM && all.lack_many() && slots > WINDOW_SLOTS / 2
    }

    /// Within the window.
    fn came_bps(&self, now: Instant) -> f64 {
        let (bytes, began) =
            self.window().fold((0, now), |(bytes, _), slot| (bytes + slot.bytes, slot.began));
        let seconds = now.saturating_duration_since(began).as_secs_f64().max(INTERVAL.as_secs_f64());
        bytes as f64 * 8.0 / seconds
    }
}

impl Slot {
    fn new(began: Instant) -> Self {
        Self { began, least_delay: None, bytes: 0, packets: Packets::default() }
    }
}

impl Packets {
    fn and(self, others: Self) -> Self {
        Self { came: self.came + others.came, sent: self.sent + others.sent }
    }

    fn lack_many(self) -> bool {
        self.sent.saturating_sub(self.came) as f64 > CONGESTED_LOSS * self.sent as f64
    }
}

/// Counts what was sent by sequence numbers.
#[derive(Default)]
struct Streams {
    /// The greatest number of each stream.
    greatest: HashMap<u32, u16>,
}

impl Streams {
    /// How many packets were sent of its stream since the greatest number before this one.
    fn sent_since(&mut self, packet: Packet) -> u64 {
        let greatest = self.greatest.entry(packet.ssrc).or_insert(packet.sequence.wrapping_sub(1));
        let later = packet.sequence.wrapping_sub(*greatest);
        // RFC 1982: what seems to be half a round later was overtaken.
        if later > u16::MAX / 2 {
            return 0;
        }
        *greatest = packet.sequence;
        u64::from(later)
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
