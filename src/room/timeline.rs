//! Puts every track's RTP time stamps onto the recording's one timeline. Pure: arrival times and
//! sender reports come in as arguments.
//!
//! The SFU forwards each publisher's own NTP clock in the sender reports (RFC 3550, section 6.4.1),
//! so the tracks of one publisher are aligned with one another exactly, and each publisher is aligned
//! with the recorder by its fastest packets: the minimum of (arrival - NTP) over a sliding window is
//! the clock offset plus the least network delay. Until a track's first report has come (3 to 9 s),
//! it is placed by its own fastest arrivals.
//!
//! Contract: for one track, a later RTP time never gets an earlier place, corrections are slewed so
//! slowly that they are not seen or heard, and only an error beyond [`STEP_NANOS`] is stepped.

use std::collections::{HashMap, VecDeque};

use crate::ids::TrackSid;
use crate::media::MediaTime;

/// A correction moves a track by at most 1 % of its own time: 10 ms a second.
const SLEW_DIVISOR: i64 = 100;
/// An error beyond this is a clock that was set, not one that drifts.
const STEP_NANOS: i64 = 250_000_000;
/// How long the fastest packet counts. Long enough to contain one that met no queue, short enough to
/// follow a clock that runs 200 ppm off (2 ms in this time).
const WINDOW_SECONDS: i64 = 10;
/// libwebrtc stamps audio reports when it sends them, up to 40 ms late, never early: the minimum of
/// this many is the truth.
const REPORTS_KEPT: usize = 10;
/// Reports whose (NTP - RTP) lie further apart than this speak of different clocks.
const REPORT_JUMP_NANOS: i64 = 1_000_000_000;

/// The clock part of an RTCP sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport {
    /// The publisher's wall clock, in nanoseconds since 1970.
    pub ntp_nanos: i64,
    /// The RTP time stamp of the same moment.
    pub rtp: u32,
}

/// All clocks of a room.
#[derive(Default)]
pub struct Timeline {
    publishers: HashMap<String, SlidingMinimum>,
    tracks: HashMap<TrackSid, Track>,
}

struct Track {
    publisher: String,
    clock: TrackClock,
}

impl Timeline {
    /// A track of `publisher` (its participant identity) with an RTP clock of `rate` Hz.
    pub fn add(&mut self, sid: TrackSid, publisher: String, rate: u32) {
        self.publishers.entry(publisher.clone()).or_default();
        let clock = TrackClock::new(rate);
        self.tracks.insert(sid, Track { publisher, clock });
    }

    pub fn remove(&mut self, sid: &TrackSid) {
        let Some(gone) = self.tracks.remove(sid) else { return };
        if !self.tracks.values().any(|t| t.publisher == gone.publisher) {
            self.publishers.remove(&gone.publisher);
        }
    }

    pub fn sender_report(&mut self, sid: &TrackSid, report: SenderReport) {
        if let Some(track) = self.tracks.get_mut(sid) {
            track.clock.sender_report(report);
        }
    }

    /// The place of a frame whose (unwrapped) RTP time is `rtp` and whose first packet came at
    /// `arrival`. `None` for an unknown track.
    pub fn place(&mut self, sid: &TrackSid, rtp: u64, arrival: MediaTime) -> Option<MediaTime> {
        let track = self.tracks.get_mut(sid)?;
        let publisher = self.publishers.entry(track.publisher.clone()).or_default();
        Some(track.clock.place(publisher, rtp, arrival))
    }
}

struct TrackClock {
    rate: u32,
    last_rtp: Option<u64>,
    /// arrival - RTP
    arrivals: SlidingMinimum,
    /// NTP - RTP, newest last
    reports: VecDeque<i64>,
    /// What the last frame was given: its RTP time and what was added to it.
    placed: Option<Placed>,
}

#[derive(Clone, Copy)]
struct Placed {
    rtp_nanos: i64,
    offset: i64,
}

impl TrackClock {
    fn new(rate: u32) -> Self {
        Self {
            rate,
            last_rtp: None,
            arrivals: SlidingMinimum::default(),
            reports: VecDeque::with_capacity(REPORTS_KEPT),
            placed: None,
        }
    }

    fn sender_report(&mut self, report: SenderReport) {
        // A report can only be unwrapped beside a frame; one that precedes every frame is followed
        // by another in a few seconds.
        let Some(last) = self.last_rtp else { return };
        let ahead = report.rtp.wrapping_sub(last as u32).cast_signed();
        let Some(rtp) = last.checked_add_signed(i64::from(ahead)) else { return };
        let offset = report.ntp_nanos - self.nanos(rtp);
        if self.reports.back().is_some_and(|b| (b - offset).abs() > REPORT_JUMP_NANOS) {
            self.reports.clear();
        }
        if self.reports.len() == REPORTS_KEPT {
            self.reports.pop_front();
        }
        self.reports.push_back(offset);
    }

    fn place(&mut self, publisher: &mut SlidingMinimum, rtp: u64, arrival: MediaTime) -> MediaTime {
        self.last_rtp = Some(rtp);
        let rtp_nanos = self.nanos(rtp);
        let by_arrival = self.arrivals.update(arrival, arrival.nanos() - rtp_nanos);
        let target = match self.reports.iter().min() {
            None => by_arrival,
            Some(ntp_offset) => {
                let ntp = rtp_nanos + ntp_offset;
                publisher.update(arrival, arrival.nanos() - ntp) + ntp_offset
            }
        };
        let offset = match self.placed {
            None => target,
            Some(placed) => approach(placed, rtp_nanos, target),
        };
        self.placed = Some(Placed { rtp_nanos, offset });
        MediaTime::from_nanos(rtp_nanos + offset)
    }

    fn nanos(&self, rtp: u64) -> i64 {
        let nanos = u128::from(rtp) * 1_000_000_000 / u128::from(self.rate);
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

fn approach(placed: Placed, rtp_nanos: i64, target: i64) -> i64 {
    let error = target - placed.offset;
    if error.abs() > STEP_NANOS {
        return target;
    }
    let most = (rtp_nanos - placed.rtp_nanos).abs().min(1_000_000_000) / SLEW_DIVISOR;
    placed.offset + error.clamp(-most, most)
}

/// The least value of the last [`WINDOW_SECONDS`], in buckets of one second.
#[derive(Default)]
struct SlidingMinimum {
    buckets: VecDeque<(i64, i64)>,
}

impl SlidingMinimum {
    fn update(&mut self, now: MediaTime, value: i64) -> i64 {
        let second = now.nanos().div_euclid(1_000_000_000);
        match self.buckets.back_mut() {
            Some((s, least)) if *s >= second => *least = value.min(*least),
            Some(_) | None => self.buckets.push_back((second, value)),
        }
        while self.buckets.front().is_some_and(|(s, _)| *s <= second - WINDOW_SECONDS) {
            self.buckets.pop_front();
        }
        self.buckets.iter().map(|(_, least)| *least).min().unwrap_or(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;
    /// A publisher's wall clock at the recording's zero.
    const NTP_ZERO: i64 = 1_700_000_000_000 * MS;

    struct Room {
        timeline: Timeline,
    }

    impl Room {
        fn new(tracks: &[(&str, &str, u32)]) -> Self {
            let mut timeline = Timeline::default();
            for (sid, publisher, rate) in tracks {
                timeline.add(TrackSid((*sid).into()), (*publisher).into(), *rate);
            }
            Self { timeline }
        }

        /// Milliseconds on the timeline of a frame.
        fn place(&mut self, sid: &str, rtp: u64, arrival_ms: i64) -> f64 {
            let at = MediaTime::from_millis(arrival_ms);
            let placed = self.timeline.place(&TrackSid(sid.into()), rtp, at);
            placed.expect("a known track").nanos() as f64 / 1e6
        }

        fn report(&mut self, sid: &str, ntp_ms: i64, rtp: u64) {
            let report = SenderReport { ntp_nanos: NTP_ZERO + ntp_ms * MS, rtp: rtp as u32 };
            self.timeline.sender_report(&TrackSid(sid.into()), report);
        }
    }

    #[test]
    fn before_the_first_report_a_frame_is_placed_by_the_fastest_arrival() {
        let mut room = Room::new(&[("v", "alice", 90_000)]);
        assert_eq!(room.place("v", 9_000_000, 100), 100.0);
        // The second frame was 40 ms late on the way; its place is 33.3 ms after the first all the same.
        let second = room.place("v", 9_003_000, 173);
        assert!((second - 133.333).abs() < 0.01, "{second}");
    }

    #[test]
    fn tracks_of_one_publisher_are_aligned_by_its_own_clock() {
        let mut room = Room::new(&[("v", "alice", 90_000), ("a", "alice", 48_000)]);
        // Video takes 60 ms longer than audio to arrive; both were captured at the same moments.
        let (mut video, mut audio) = (0.0, 0.0);
        for n in 0..1500_u64 {
            let captured = n as i64 * 20;
            audio = room.place("a", 5_000 + n * 960, captured + 10);
            video = room.place("v", 777 + n * 1800, captured + 70);
            if n % 50 == 25 {
                room.report("a", captured, 5_000 + n * 960);
                room.report("v", captured, 777 + n * 1800);
            }
        }
        assert!((video - audio).abs() < 0.1, "video {video}, audio {audio}");
        assert!((audio - (1499.0 * 20.0 + 10.0)).abs() < 0.1, "{audio}");
    }

    #[test]
    fn a_correction_is_slewed_by_at_most_ten_milliseconds_a_second() {
        let mut room = Room::new(&[("v", "alice", 90_000), ("a", "alice", 48_000)]);
        let mut previous = room.place("v", 0, 100);
        room.place("a", 0, 20);
        room.report("v", 0, 0);
        room.report("a", 0, 0);
        room.place("a", 0, 20);
        for n in 1..=300_u64 {
            let place = room.place("v", n * 3000, 100 + n as i64 * 100 / 3);
            let step = place - previous;
            assert!((step - 33.333).abs() <= 0.334, "frame {n}: {step}");
            previous = place;
        }
    }

    #[test]
    fn a_clock_that_was_set_is_followed_at_once() {
        let mut room = Room::new(&[("v", "alice", 90_000)]);
        room.place("v", 0, 10);
        // The publisher's encoder restarted: RTP time jumped on by an hour, wall time did not.
        let after = room.place("v", 3600 * 90_000, 43);
        // The old minimum is 10 - 0, the new arrival is an hour lower: the minimum follows at once.
        assert_eq!(after, 43.0);
    }

    #[test]
    fn a_late_report_does_not_move_the_track() {
        let mut room = Room::new(&[("a", "alice", 48_000)]);
        let mut last = 0.0;
        for n in 0..1000_u64 {
            last = room.place("a", n * 960, n as i64 * 20 + 5);
            if n % 100 == 50 {
                // Stamped up to 40 ms after the sample that it names.
                let late = [0, 40, 13, 27, 0, 40, 33, 8, 0, 21][(n / 100) as usize];
                room.report("a", n as i64 * 20 + late, n * 960);
            }
        }
        assert!((last - (999.0 * 20.0 + 5.0)).abs() < 1.0, "{last}");
    }

    #[test]
    fn a_clock_that_drifts_is_followed() {
        // 200 ppm fast: after 300 s its RTP clock is 60 ms ahead of the wall.
        let mut room = Room::new(&[("a", "alice", 48_000)]);
        let mut error = 0.0;
        for n in 0..15_000_u64 {
            let wall_ms = n as f64 * 20.0 / 1.000_2;
            let place = room.place("a", n * 960, wall_ms as i64);
            if n % 150 == 149 {
                room.report("a", (n * 20) as i64, n * 960);
            }
            error = place - wall_ms;
        }
        assert!(error.abs() < 4.0, "{error} ms after 300 s");
    }

    #[test]
    fn the_rtp_time_of_a_report_may_have_wrapped() {
        let start = u64::from(u32::MAX) - 48_000;
        let mut room = Room::new(&[("a", "alice", 48_000), ("b", "alice", 48_000)]);
        for n in 0..200_u64 {
            room.place("a", start + n * 960, n as i64 * 20 + 5);
            room.place("b", n * 960, n as i64 * 20 + 30);
        }
        room.report("a", 4_000, start + 192_000);
        room.report("b", 4_000, 192_000);
        let (mut a, mut b) = (0.0, 0.0);
        for n in 200..600_u64 {
            a = room.place("a", start + n * 960, n as i64 * 20 + 5);
            b = room.place("b", n * 960, n as i64 * 20 + 30);
        }
        assert!((a - b).abs() < 0.1, "{a} {b}");
    }

    #[test]
    fn an_unknown_track_has_no_place() {
        let mut timeline = Timeline::default();
        assert!(timeline.place(&TrackSid("TR_x".into()), 0, MediaTime::ZERO).is_none());
    }
}
