//! A simulated path with a queue before it, in simulated time.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const PACKET: usize = 1000;
/// The delay of the path without its queue.
const DELAY: Duration = Duration::from_millis(40);

/// A server that sends evenly over a path of a certain width, and the estimates that it got.
struct Link {
    start: Instant,
    bandwidth: Bandwidth,
    /// Counted from the start.
    now: Duration,
    /// When the path has carried everything that was sent.
    busy_until: Duration,
    /// How long the queue may become.
    queue_limit: Duration,
    reported: Vec<(Duration, u64)>,
    sequence: u16,
}

impl Link {
    fn new() -> Self {
        Self {
            start: Instant::now() + Duration::from_secs(100),
            bandwidth: Bandwidth::default(),
            now: Duration::ZERO,
            busy_until: Duration::ZERO,
            queue_limit: Duration::from_millis(400),
            reported: Vec::new(),
            // The sequence numbers wrap around soon.
            sequence: u16::MAX - 100,
        }
    }

    fn carry(&mut self, seconds: u64, sent_bps: u64, path_bps: u64) {
        self.carry_jittered(seconds, sent_bps, path_bps, |_| Some(Duration::ZERO));
    }

    /// `later` returns an additional delay for each packet, or `None` if the packet is lost.
    fn carry_jittered(
        &mut self,
        seconds: u64,
        sent_bps: u64,
        path_bps: u64,
        later: impl Fn(u64) -> Option<Duration>,
    ) {
        let packet_bits = PACKET as u64 * 8;
        let until = self.now + Duration::from_secs(seconds);
        let mut arrivals: Vec<(Duration, Duration, u16)> = Vec::new();
        for n in 0..seconds * sent_bps / packet_bits {
            let sent = self.now + Duration::from_micros(n * packet_bits * 1_000_000 / sent_bps);
            self.sequence = self.sequence.wrapping_add(1);
            let begin = self.busy_until.max(sent);
            if begin - sent > self.queue_limit {
                continue;
            }
            self.busy_until = begin + Duration::from_micros(packet_bits * 1_000_000 / path_bps);
            if let Some(later) = later(n) {
                arrivals.push((self.busy_until + DELAY + later, sent, self.sequence));
            }
        }
        arrivals.sort();
        for (arrival, sent, sequence) in arrivals.into_iter().filter(|(arrival, ..)| *arrival < until) {
            self.report_until(arrival);
            self.bandwidth.received(packet(sequence, self.start + sent), self.start + arrival);
        }
        self.report_until(until);
        self.now = until;
    }

    fn report_until(&mut self, at: Duration) {
        while let Some(due) = self.bandwidth.due().filter(|due| *due <= self.start + at) {
            let estimate = self.bandwidth.report(due);
            self.reported.extend(estimate.map(|bps| (due - self.start, bps)));
        }
    }

    fn last_reported(&self) -> u64 {
        self.reported.last().expect("something was reported").1
    }
}

fn packet(sequence: u16, sent: Instant) -> Packet {
    Packet { ssrc: 7, sequence, bytes: PACKET, sent }
}

#[test]
fn of_a_path_that_is_wide_enough_nothing_is_reported() {
    let mut link = Link::new();
    link.carry(60, 2_000_000, 3_000_000);
    assert_eq!(link.reported, []);
}

#[test]
fn jitter_and_loss_without_a_queue_are_no_congestion() {
    let mut random = StdRng::seed_from_u64(15);
    let bad: Vec<Option<Duration>> = (0..600 * 63)
        .map(|_| (!random.random_bool(0.15)).then(|| Duration::from_millis(random.random_range(0..100))))
        .collect();
    let mut link = Link::new();
    link.carry_jittered(600, 500_000, 10_000_000, |n| bad[n as usize]);
    assert_eq!(link.reported, []);
}

#[test]
fn a_queue_is_reported_as_values_that_fall_below_what_the_path_carries() {
    let mut link = Link::new();
    link.carry(10, 500_000, 1_000_000);
    link.carry(6, 2_000_000, 1_000_000);
    let (first, rest) = link.reported.split_first().expect("something was reported");
    assert!(first.0 < Duration::from_millis(11_800), "{first:?}");
    assert_eq!(first.1, 100_000_000);
    assert!(rest.len() >= 12 && rest.iter().all(|(_, bps)| (500_000..870_000).contains(bps)), "{rest:?}");
    assert!(rest.windows(2).all(|pair| pair[1].1 < pair[0].1), "{rest:?}");
}

#[test]
fn a_path_that_drops_what_is_too_much_without_a_queue_is_congested_too() {
    let mut link = Link::new();
    link.queue_limit = Duration::from_millis(20);
    link.carry(10, 500_000, 1_000_000);
    assert_eq!(link.reported, []);
    link.carry(6, 2_400_000, 1_000_000);
    let (first, rest) = link.reported.split_first().expect("something was reported");
    assert!(first.0 < Duration::from_millis(11_800), "{first:?}");
    assert!(rest.len() >= 12 && rest.iter().all(|(_, bps)| (500_000..870_000).contains(bps)), "{rest:?}");
}

#[test]
fn packets_that_come_after_later_ones_were_not_lost() {
    let mut streams = Streams::default();
    let now = Instant::now();
    let counted: Vec<u64> =
        [65_534, 1, 65_535, 0, 4, 2].map(|sequence| streams.sent_since(packet(sequence, now))).to_vec();
    assert_eq!(counted, [1, 3, 0, 0, 3, 0]);
}

#[test]
fn once_the_queue_has_drained_the_estimate_never_falls_however_little_is_sent() {
    let mut link = Link::new();
    link.carry(10, 500_000, 1_000_000);
    link.carry(4, 2_000_000, 1_000_000);
    link.carry(2, 100_000, 1_000_000);
    let lowest = link.last_reported();
    link.reported.clear();
    link.carry(20, 100_000, 1_000_000);
    assert!(link.reported.iter().all(|(_, bps)| *bps == lowest), "{:?}", link.reported);
    link.carry(20, 700_000, 1_000_000);
    assert!(link.reported.windows(2).all(|pair| pair[1].1 >= pair[0].1), "{:?}", link.reported);
    assert!((1_000_000..1_100_000).contains(&link.last_reported()), "{}", link.last_reported());
}

#[test]
fn a_path_that_was_wide_enough_for_five_minutes_is_one_without_limits_again() {
    let mut link = Link::new();
    link.carry(10, 500_000, 1_000_000);
    link.carry(4, 2_000_000, 1_000_000);
    link.carry(302, 500_000, 10_000_000);
    assert_eq!(link.last_reported(), 100_000_000);
    link.reported.clear();
    link.carry(60, 500_000, 10_000_000);
    assert_eq!(link.reported, []);
}

#[test]
fn another_path_with_another_delay_is_no_queue() {
    let mut link = Link::new();
    link.carry(10, 500_000, 10_000_000);
    link.bandwidth.path_changed();
    link.carry_jittered(60, 500_000, 10_000_000, |_| Some(Duration::from_millis(300)));
    assert_eq!(link.reported, []);
}

#[test]
fn a_moment_in_which_nothing_was_read_is_no_queue() {
    let mut link = Link::new();
    link.carry(10, 500_000, 10_000_000);
    let stalled = link.start + link.now + Duration::from_secs(3);
    // All packets arrive at once, from three seconds old to fresh.
    for millis in (0..3000).step_by(16) {
        let sent = link.start + link.now + Duration::from_millis(millis);
        link.sequence = link.sequence.wrapping_add(1);
        link.bandwidth.received(packet(link.sequence, sent), stalled);
    }
    link.now += Duration::from_secs(3);
    link.carry(5, 500_000, 10_000_000);
    assert_eq!(link.reported, []);
}

#[test]
fn what_was_sent_during_an_outage_is_no_congestion() {
    let mut link = Link::new();
    for _ in 0..3 {
        link.carry(10, 500_000, 10_000_000);
        link.now += Duration::from_secs(3);
        link.sequence = link.sequence.wrapping_add(200);
    }
    assert_eq!(link.reported, []);
}

#[test]
fn a_server_clock_that_begins_anew_after_64_seconds_is_no_queue() {
    let mut bandwidth = Bandwidth::default();
    let start = Instant::now() + Duration::from_secs(1000);
    for n in 0..200 * 100 {
        let now = start + Duration::from_millis(n * 10);
        // As str0m computes it: the latest time before now that has these six bits of seconds.
        let lag = (12_345_678 + n * 2) % 64_000_000;
        assert_eq!(bandwidth.report(now), None);
        let sequence = (2 * n) as u16;
        bandwidth.received(packet(sequence, now - Duration::from_micros(lag)), now);
        let lag = (lag + 63_999_000) % 64_000_000;
        bandwidth.received(packet(sequence.wrapping_add(1), now - Duration::from_micros(lag)), now);
    }
}
