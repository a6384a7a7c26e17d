//! Estimates how much video the path from the server carries, from send times and arrival times. The server
//! gets the estimate as REMB (draft-alvestrand-rmcat-remb-03), if it does not estimate itself from
//! transport-wide feedback. Pure: time is an argument.
//!
//! A path that is too narrow has a queue before it, in which every packet waits. So congestion is a least
//! delay over a whole second that exceeds the least delay of the last half minute. Jitter, lost packets and a
//! moment in which this process did not run do not look like that. A path without a queue drops packets at
//! once. There only the share of lost packets shows congestion, and the limit is higher than the loss of any
//! bad path. No estimate is sent before the first congestion. Without an estimate LiveKit assumes a path
//! without limits. With one, LiveKit also counts repeated requests for a packet (its
//! `pkg/sfu/bwe/remotebwe`), and takes a path with mere losses for a congested one.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// How often an estimate is made, and sent if there is one. LiveKit wants three of them within the half
/// second of a probe, and twelve falling ones before it believes in congestion.
const INTERVAL: Duration = Duration::from_millis(200);
/// A second: the largest keyframes take that long on a path that is just wide enough.
const WINDOW_SLOTS: usize = 5;
/// In this time, clocks that differ by 200 ppm drift apart by 6 ms.
const BASE_AGE: Duration = Duration::from_secs(30);
/// A packet that is delayed more than this waits in a queue.
const QUEUE_MICROS: i64 = 100_000;
/// More than a radio link loses in a bad moment. The layers of simulcast differ by more than that.
const CONGESTED_LOSS: f64 = 1.0 / 3.0;
/// Among fewer packets, a third may be lost by chance.
const LOSS_COUNTS_FROM: u64 = 30;
/// LiveKit's assumption for a path without an estimate.
const UNLIMITED_BPS: f64 = 100e6;
/// A path that carries less is useless for video.
const LEAST_BPS: f64 = 50e3;
/// The estimate's share of the bit rate that arrived during congestion; the rest lets the queue drain.
const DECREASE: f64 = 0.85;
/// Applied for each further interval of congestion: LiveKit looks for falling values.
const FURTHER_DECREASE: f64 = 0.99;
const INCREASE_PER_INTERVAL: f64 = 1.016;
/// The estimate exceeds the bit rate that arrived by at most this factor: nobody has tried more.
const INCREASE_BOUND: f64 = 1.5;
/// After so long without congestion, the path counts as one without limits again.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);
/// Send times wrap around after this time (the extension "abs-send-time" has 6 bits of seconds).
const SEND_TIME_MODULUS_MICROS: i64 = 64_000_000;

#[derive(Default)]
pub struct Bandwidth {
    clock: Clock,
    streams: Streams,
    /// The last slot is being filled.
    slots: VecDeque<Slot>,
    limit: Limit,
}

/// A packet of video that arrived.
#[derive(Clone, Copy, Debug)]
pub struct Packet {
    pub ssrc: u32,
    pub sequence: u16,
    /// The length of the whole datagram.
    pub bytes: usize,
    /// By the server's clock.
    pub sent: Instant,
}

/// The packets of one interval.
struct Slot {
    began: Instant,
    least_delay: Option<i64>,
    bytes: u64,
    packets: Packets,
}

#[derive(Clone, Copy, Default)]
struct Packets {
    came: u64,
    /// Counted by the sequence numbers.
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
enum PathState {
    /// No packet came lately.
    Unknown,
    Clear,
    Congested,
}

impl Bandwidth {
    /// Called when packets take another path, which has another delay.
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

    /// Returns when [`Bandwidth::report`] is to be called next.
    pub fn due(&self) -> Option<Instant> {
        self.slots.back().map(|slot| slot.began + INTERVAL)
    }

    /// Returns the estimate to send now, in bits a second, if there is one.
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
        let (path, came) = (self.path_state(), self.came_bps(now));
        match (&mut self.limit, path) {
            (Limit::None, PathState::Unknown | PathState::Clear) => None,
            (Limit::None, PathState::Congested) => {
                // Sent once, so that the next values fall from it.
                self.limit = Limit::Of { bps: UNLIMITED_BPS, congested_at: now };
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, PathState::Unknown) => Some(*bps),
            (Limit::Of { bps, congested_at }, PathState::Congested) => {
                *congested_at = now;
                *bps = (*bps * FURTHER_DECREASE).min(came * DECREASE).max(LEAST_BPS);
                Some(*bps)
            }
            (Limit::Of { congested_at, .. }, PathState::Clear) if now >= *congested_at + FORGOTTEN_AFTER => {
                self.limit = Limit::None;
                Some(UNLIMITED_BPS)
            }
            (Limit::Of { bps, .. }, PathState::Clear) => {
                let tried = came * INCREASE_BOUND;
                *bps = bps.max((*bps * INCREASE_PER_INTERVAL).min(tried)).min(UNLIMITED_BPS);
                Some(*bps)
            }
        }
    }

    /// Returns the newest slots, the newest first.
    fn window(&self) -> impl Iterator<Item = &Slot> {
        self.slots.iter().rev().take(WINDOW_SLOTS)
    }

    fn path_state(&self) -> PathState {
        let base = self.slots.iter().filter_map(|slot| slot.least_delay).min();
        let lately = self.window().filter_map(|slot| slot.least_delay).min();
        match (lately, base) {
            (Some(lately), Some(base)) if lately - base >= QUEUE_MICROS => PathState::Congested,
            (Some(_), Some(_)) if self.drops() => PathState::Congested,
            (Some(_), Some(_)) => PathState::Clear,
            (None, _) | (_, None) => PathState::Unknown,
        }
    }

    /// Returns whether packets are lost continuously. After an outage, or when a queue was full, many are
    /// missing at one moment only.
    fn drops(&self) -> bool {
        let all = self.window().map(|slot| slot.packets).fold(Packets::default(), Packets::and);
        let slots = self.window().filter(|slot| slot.packets.lack_many()).count();
        all.sent >= LOSS_COUNTS_FROM && all.lack_many() && slots > WINDOW_SLOTS / 2
    }

    /// Returns the bit rate that arrived within the window.
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

/// Counts the packets that were sent, by their sequence numbers.
#[derive(Default)]
struct Streams {
    /// The greatest sequence number of each stream.
    greatest: HashMap<u32, u16>,
}

impl Streams {
    /// Returns how many packets of its stream were sent since the greatest number before this one.
    fn sent_since(&mut self, packet: Packet) -> u64 {
        let greatest = self.greatest.entry(packet.ssrc).or_insert(packet.sequence.wrapping_sub(1));
        let later = packet.sequence.wrapping_sub(*greatest);
        // RFC 1982: a packet that seems to be more than half a round ahead was overtaken.
        if later > u16::MAX / 2 {
            return 0;
        }
        *greatest = packet.sequence;
        u64::from(later)
    }
}

/// Computes delays from send times that wrap around. Only differences between the delays have a meaning.
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
