//! A made-up way with a queue before it, in made-up time.

use super::*;

const PACKET: usize = 1000;
/// Of the way itself.
const DELAY: Duration = Duration::from_millis(40);

/// A server that sends evenly, over a way of a certain width; what was told, second by second.
struct Way {
    start: Instant,
    bandwidth: Bandwidth,
    /// Since the start.
    now: Duration,
    /// When the way has carried all that was sent.
    busy_until: Duration,
    /// As long as the queue may become.
    queue_limit: Duration,
    told: Vec<(Duration, u64)>,
}

impl Way {
    fn new() -> Self {
        Self {
            start: Instant::now() + Duration::from_secs(100),
            bandwidth: Bandwidth::default(),
            now: Duration::ZERO,
            busy_until: Duration::ZERO,
            queue_limit: Duration::from_millis(400),
            told: Vec::new(),
        }
    }

    fn carry(&mut self, seconds: u64, sent_bps: u64, way_bps: u64) {
        self.carry_jittered(seconds, sent_bps, way_bps, |_| Some(Duration::ZERO));
    }

    /// `later` says for each packet by how much it is later still, or that it is lost.
    fn carry_jittered(
        &mut self,
        seconds: u64,
        sent_bps: u64,
        way_bps: u64,
        later: impl Fn(u64) -> Option<Duration>,
    ) {
        let packet_bits = PACKET as u64 * 8;
        let until = self.now + Duration::from_secs(seconds);
        let mut arrivals: Vec<(Duration, Duration)> = Vec::new();
        for n in 0..seconds * sent_bps / packet_bits {
            let sent = self.now + Duration::from_micros(n * packet_bits * 1_000_000 / sent_bps);
            let begin = self.busy_until.max(sent);
            if begin - sent > self.queue_limit {
                continue;
            }
            self.busy_until = begin + Duration::from_micros(packet_bits * 1_000_000 / way_bps);
            if let Some(later) = later(n) {
                arrivals.push((self.busy_until + DELAY + later, sent));
            }
        }
        arrivals.sort();
        for (arrival, sent) in arrivals.into_iter().filter(|(arrival, _)| *arrival < until) {
            self.report_until(arrival);
            self.bandwidth.received(PACKET, self.start + sent, self.start + arrival);
        }
        self.report_until(until);
        self.now = until;
    }

    fn report_until(&mut self, at: Duration) {
        while let Some(due) = self.bandwidth.due().filter(|due| *due <= self.start + at) {
            let told = self.bandwidth.report(due);
            self.told.extend(told.map(|bps| (due - self.start, bps)));
        }
    }

    fn last_told(&self) -> u64 {
        self.told.last().expect("something was told").1
    }
}

#[test]
fn of_a_way_that_is_wide_enough_nothing_is_told() {
    let mut way = Way::new();
    way.carry(60, 2_000_000, 3_000_000);
    assert_eq!(way.told, []);
}

#[test]
fn jitter_and_loss_without_a_queue_are_no_congestion() {
    let mut way = Way::new();
    let bad = |n: u64| {
        (!n.is_multiple_of(7)).then(|| Duration::from_millis(n.wrapping_mul(2_654_435_761) >> 7 & 127))
    };
    way.carry_jittered(60, 500_000, 10_000_000, bad);
    assert_eq!(way.told, []);
}

#[test]
fn a_queue_is_told_as_values_that_fall_below_what_the_way_carries() {
    let mut way = Way::new();
    way.carry(10, 500_000, 1_000_000);
    way.carry(6, 2_000_000, 1_000_000);
    let (first, rest) = way.told.split_first().expect("something was told");
    assert!(first.0 < Duration::from_millis(11_800), "{first:?}");
    assert_eq!(first.1, 100_000_000);
    assert!(rest.len() >= 12 && rest.iter().all(|(_, bps)| (500_000..870_000).contains(bps)), "{rest:?}");
    assert!(rest.windows(2).all(|pair| pair[1].1 < pair[0].1), "{rest:?}");
}

#[test]
fn once_the_queue_has_drained_the_estimate_never_falls_however_little_is_sent() {
    let mut way = Way::new();
    way.carry(10, 500_000, 1_000_000);
    way.carry(4, 2_000_000, 1_000_000);
    way.carry(2, 100_000, 1_000_000);
    let lowest = way.last_told();
    way.told.clear();
    way.carry(20, 100_000, 1_000_000);
    assert!(way.told.iter().all(|(_, bps)| *bps == lowest), "{:?}", way.told);
    way.carry(20, 700_000, 1_000_000);
    assert!(way.told.windows(2).all(|pair| pair[1].1 >= pair[0].1), "{:?}", way.told);
    assert!((1_000_000..1_100_000).contains(&way.last_told()), "{}", way.last_told());
}

#[test]
fn a_way_that_was_wide_enough_for_five_minutes_is_one_without_limits_again() {
    let mut way = Way::new();
    way.carry(10, 500_000, 1_000_000);
    way.carry(4, 2_000_000, 1_000_000);
    way.carry(302, 500_000, 10_000_000);
    assert_eq!(way.last_told(), 100_000_000);
    way.told.clear();
    way.carry(60, 500_000, 10_000_000);
    assert_eq!(way.told, []);
}

#[test]
fn another_path_with_another_delay_is_no_queue() {
    let mut way = Way::new();
    way.carry(10, 500_000, 10_000_000);
    way.bandwidth.path_changed();
    way.carry_jittered(60, 500_000, 10_000_000, |_| Some(Duration::from_millis(300)));
    assert_eq!(way.told, []);
}

#[test]
fn a_moment_in_which_nothing_was_read_is_no_queue() {
    let mut way = Way::new();
    way.carry(10, 500_000, 10_000_000);
    let stalled = way.start + way.now + Duration::from_secs(3);
    // All at once, from three seconds old to fresh.
    for millis in (0..3000).step_by(16) {
        let sent = way.start + way.now + Duration::from_millis(millis);
        way.bandwidth.received(PACKET, sent, stalled);
    }
    way.now += Duration::from_secs(3);
    way.carry(5, 500_000, 10_000_000);
    assert_eq!(way.told, []);
}

#[test]
fn a_server_clock_that_begins_anew_after_64_seconds_is_no_queue() {
    let mut bandwidth = Bandwidth::default();
    let start = Instant::now() + Duration::from_secs(1000);
    for n in 0..200 * 100 {
        let now = start + Duration::from_millis(n * 10);
        // As str0m reads it: the latest time before now that has these six bits of seconds.
        let lag = (12_345_678 + n * 2) % 64_000_000;
        assert_eq!(bandwidth.report(now), None);
        bandwidth.received(PACKET, now - Duration::from_micros(lag), now);
        let lag = (lag + 63_999_000) % 64_000_000;
        bandwidth.received(PACKET, now - Duration::from_micros(lag), now);
    }
}
