//! The specification of the timeline, with simulated publishers.

use super::*;

const MS: i64 = 1_000_000;
/// A publisher's wall clock at the recording's zero.
const NTP_ZERO: i64 = 1_700_000_000_000 * MS;

struct Room {
    timeline: Timeline,
}

impl Room {
    /// A name `v...` is video, any other is sound.
    fn new(tracks: &[(&str, &str)]) -> Self {
        let mut room = Self { timeline: Timeline::default() };
        for (sid, publisher) in tracks {
            room.add(sid, publisher);
        }
        room
    }

    fn add(&mut self, sid: &str, publisher: &str) {
        let kind = if sid.starts_with('v') { TrackKind::Video } else { TrackKind::Audio };
        self.timeline.add(TrackSid(sid.into()), publisher.into(), kind);
    }

    /// Returns the place of a frame in milliseconds.
    fn place(&mut self, sid: &str, rtp: u64, arrival_ms: f64) -> f64 {
        let at = MediaTime::from_nanos((arrival_ms * 1e6) as i64);
        let placed = self.timeline.place(&TrackSid(sid.into()), rtp, at);
        placed.expect("a known track").nanos() as f64 / 1e6
    }

    fn report(&mut self, sid: &str, ntp_ms: f64, rtp: u64) {
        let ntp_nanos = NTP_ZERO + (ntp_ms * 1e6) as i64;
        self.timeline.sender_report(&TrackSid(sid.into()), SenderReport { ntp_nanos, rtp: rtp as u32 });
    }

    fn figures(&self, sid: &str) -> ClockFigures {
        self.timeline.figures(&TrackSid(sid.into())).expect("a known track")
    }
}

/// A participant who sends 50 packets of sound and 30 pictures a second, and reports every 3 s.
struct Sender {
    audio: &'static str,
    video: &'static str,
    /// When the participant began, in ms of the recording.
    from: f64,
    /// Milliseconds from capture to arrival.
    audio_delay: f64,
    video_delay: f64,
    /// The most that jitter adds to these delays.
    jitter: f64,
    /// The error of the participant's wall clock in ms, before and after `set_at`.
    wall: [f64; 2],
    set_at: f64,
    reports_from: f64,
}

const ALICE: Sender = Sender {
    audio: "a",
    video: "v",
    from: 0.0,
    audio_delay: 20.0,
    video_delay: 60.0,
    jitter: 0.0,
    wall: [0.0; 2],
    set_at: f64::MAX,
    reports_from: 0.0,
};

/// The places of the sound and the picture of one moment, less that moment.
type Error = (f64, f64);

impl Sender {
    /// Sends for `seconds`; returns an error for each 100 ms, when three pictures and five packets meet.
    fn send(&self, room: &mut Room, seconds: f64) -> Vec<Error> {
        let mut random = 1_u32;
        let mut late = || {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(random >> 8) / f64::from(1 << 24) * self.jitter
        };
        let (mut errors, mut report_due) = (Vec::new(), self.reports_from);
        let first = (self.from / 100.0) as u64;
        for n in first..first + (seconds * 10.0) as u64 {
            let begin = n as f64 * 100.0;
            let (mut sound, mut picture) = (0.0, 0.0);
            for k in 0..5 {
                let captured = begin + k as f64 * 20.0;
                let place =
                    room.place(self.audio, 5_000 + (n * 5 + k) * 960, captured + self.audio_delay + late());
                sound = if k == 0 { place - captured } else { sound };
            }
            for k in 0..3 {
                let captured = begin + k as f64 * 100.0 / 3.0;
                let place =
                    room.place(self.video, 777 + (n * 3 + k) * 3000, captured + self.video_delay + late());
                picture = if k == 0 { place - captured } else { picture };
            }
            errors.push((sound, picture));
            if begin >= report_due {
                let wall = if begin < self.set_at { self.wall[0] } else { self.wall[1] };
                room.report(self.audio, begin + wall, 5_000 + n * 5 * 960);
                room.report(self.video, begin + wall, 777 + n * 3 * 3000);
                report_due += 3000.0;
            }
        }
        errors
    }
}

fn near(value: f64, expected: f64, tolerance: f64) -> bool {
    (value - expected).abs() <= tolerance
}

#[test]
fn before_the_first_report_a_frame_is_placed_by_the_fastest_arrival() {
    let mut room = Room::new(&[("v", "alice")]);
    assert_eq!(room.place("v", 9_000_000, 100.0), 100.0);
    // The second frame was delayed by 40 ms; its place is 33.3 ms after the first all the same.
    let second = room.place("v", 9_003_000, 173.0);
    assert!(near(second, 133.333, 0.01), "{second}");
}

#[test]
fn a_jittery_network_misplaces_only_the_first_packets_of_a_track() {
    let mut room = Room::new(&[("a", "alice"), ("v", "alice")]);
    let errors = Sender { jitter: 100.0, reports_from: 1e9, ..ALICE }.send(&mut room, 10.0);
    for (n, (sound, picture)) in errors.iter().enumerate().skip(5) {
        assert!(near(*sound, 20.0, 10.0) && near(*picture, 60.0, 10.0), "{n}: {sound} {picture}");
    }
    assert_eq!(room.figures("a").steps, 0, "nothing of that counts as a correction");
}

#[test]
fn tracks_of_one_publisher_are_aligned_by_its_own_clock() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    // Video takes 40 ms longer than audio to arrive; both were captured at the same moments.
    let errors = Sender { reports_from: 1000.0, ..ALICE }.send(&mut room, 30.0);
    let (sound, picture) = errors[20];
    assert!(near(sound, 20.0, 0.1) && near(picture, 20.0, 0.1), "{sound} {picture}");
    let (sound, picture) = errors[299];
    assert!(near(sound, 20.0, 0.1) && near(picture, 20.0, 0.1), "{sound} {picture}");
    // The picture was moved once, the sound never.
    let ClockFigures { correction_nanos, steps } = room.figures("v");
    assert!(near(correction_nanos as f64 / 1e6, -40.0, 0.01) && steps == 1, "{correction_nanos} {steps}");
    assert_eq!(room.figures("a"), ClockFigures::default());
}

#[test]
fn a_report_that_precedes_every_frame_counts() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    room.report("v", 0.0, 777);
    room.report("a", 0.0, 5_000);
    let errors = Sender { reports_from: 1e9, ..ALICE }.send(&mut room, 2.0);
    assert!(errors[1..].iter().all(|(sound, picture)| near(*sound, *picture, 0.1)), "{errors:?}");
}

#[test]
fn sound_is_slewed_by_at_most_five_milliseconds_a_second() {
    // Here the pictures arrive first.
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    let sender = Sender { audio_delay: 90.0, video_delay: 30.0, reports_from: 1000.0, ..ALICE };
    let errors = sender.send(&mut room, 30.0);
    for pair in errors.windows(2) {
        let moved = pair[1].0 - pair[0].0;
        assert!(moved.abs() <= 0.55, "{moved} ms in 100 ms");
    }
    assert!(near(errors[299].0, 30.0, 0.1), "{:?}", errors[299]);
    assert_eq!(room.figures("a").steps, 0);
}

#[test]
fn a_wall_clock_may_be_wrong_by_minutes_and_be_set_while_it_runs() {
    for wall in [[-400_000.0, 90.0], [0.0, -3_600_000.0], [0.0, 300.0], [500.0, 0.0]] {
        let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
        let errors = Sender { wall, set_at: 14_000.0, ..ALICE }.send(&mut room, 40.0);
        for (n, (sound, picture)) in errors.iter().enumerate().skip(20) {
            assert!(near(*sound, 20.0, 0.5) && near(*picture, 20.0, 1.0), "{wall:?} {n}: {sound} {picture}");
        }
    }
}

#[test]
fn a_report_that_a_busy_machine_stamped_far_too_late_moves_nothing() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    ALICE.send(&mut room, 20.0);
    for n in 1_000..2_000_u64 {
        let captured = n as f64 * 20.0;
        // The SFU repeats the last report until the next one comes.
        if n % 150 == 0 {
            let late = if n < 1_500 { 170.0 } else { 0.0 };
            room.report("a", captured + late, 5_000 + n * 960);
            room.report("v", captured, 777 + n * 1800);
        }
        let (sound, picture) = (
            room.place("a", 5_000 + n * 960, captured + 20.0) - captured,
            room.place("v", 777 + n * 1800, captured + 60.0) - captured,
        );
        assert!(near(sound, 20.0, 0.5) && near(picture, 20.0, 1.0), "{n}: {sound} {picture}");
    }
}

#[test]
fn a_first_report_that_was_stamped_far_too_late_is_forgotten_with_the_next() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    let (mut sound, mut picture) = (0.0, 0.0);
    for n in 0..1_000_u64 {
        let captured = n as f64 * 20.0;
        sound = room.place("a", 5_000 + n * 960, captured + 20.0) - captured;
        picture = room.place("v", 777 + n * 1800, captured + 60.0) - captured;
        if n % 150 == 50 {
            let late = if n < 150 { 200.0 } else { 0.0 };
            room.report("a", captured + late, 5_000 + n * 960);
            room.report("v", captured, 777 + n * 1800);
        }
    }
    assert!(near(sound, 20.0, 1.0) && near(picture, 20.0, 1.0), "{sound} {picture}");
}

#[test]
fn while_only_one_track_has_told_that_the_clock_was_set_the_others_stay() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    ALICE.send(&mut room, 10.0);
    room.report("a", 10_000.0 + 777_000.0, 5_000 + 500 * 960);
    for n in 500..650_u64 {
        let captured = n as f64 * 20.0;
        let place = room.place("a", 5_000 + n * 960, captured + 20.0);
        assert!(near(place, captured + 20.0, 0.1), "{place}");
        let place = room.place("v", 777 + n * 1800, captured + 60.0);
        assert!(near(place, captured + 20.0, 0.1), "{place}");
    }
}

#[test]
fn a_publisher_that_comes_again_is_right_before_its_first_report() {
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    ALICE.send(&mut room, 10.0);
    room.timeline.remove(&TrackSid("v".into()));
    room.timeline.remove(&TrackSid("a".into()));
    room.add("v2", "alice");
    room.add("a2", "alice");
    let again = Sender { audio: "a2", video: "v2", from: 15_000.0, reports_from: 19_000.0, ..ALICE };
    let errors = again.send(&mut room, 10.0);
    for (sound, picture) in errors {
        assert!(near(sound, 20.0, 0.1) && near(picture, 20.0, 0.1), "{sound} {picture}");
    }
}

#[test]
fn a_track_whose_publisher_becomes_known_later_keeps_its_clock() {
    let mut room = Room::new(&[("v", "v"), ("a", "alice")]);
    ALICE.send(&mut room, 5.0);
    room.add("v", "alice");
    let errors = Sender { from: 5_000.0, ..ALICE }.send(&mut room, 1.0);
    assert!(errors[1..].iter().all(|(sound, picture)| near(*sound, *picture, 0.1)), "{errors:?}");
}

#[test]
fn a_track_that_is_muted_does_not_hold_the_others_back() {
    // The wall clock runs 200 ppm slow: the muted track's last comparison becomes wrong by 120 ms.
    let mut room = Room::new(&[("v", "alice"), ("a", "alice")]);
    let (mut last, mut captured) = (0.0, 0.0);
    for n in 0..30_000_u64 {
        let wall_ms = n as f64 * 20.0 * 1.000_2;
        if n < 500 {
            room.place("a", n * 960, wall_ms + 20.0);
        }
        last = room.place("v", n * 1800, wall_ms + 25.0);
        captured = wall_ms;
        if n % 150 == 10 {
            room.report("a", (n * 20) as f64, n * 960);
            room.report("v", (n * 20) as f64, n * 1800);
        }
    }
    assert!(near(last - captured, 20.0, 5.0), "{}", last - captured);
}

#[test]
fn an_rtp_clock_that_was_set_is_followed_at_once() {
    for jump in [3600 * 90_000, -3600 * 90_000] {
        let mut room = Room::new(&[("v", "alice")]);
        let start = 4000 * 90_000_i64;
        room.place("v", start as u64, 10.0);
        for n in 1..100 {
            room.place("v", (start + n * 3000) as u64, 10.0 + n as f64 * 100.0 / 3.0);
        }
        let after = room.place("v", (start + jump) as u64, 3500.0);
        assert_eq!(after, 3500.0);
    }
}

#[test]
fn a_correction_backwards_never_makes_the_time_run_back() {
    let mut room = Room::new(&[("a", "alice")]);
    // The first packets were delayed by 400 ms.
    let mut previous = f64::MIN;
    for n in 0..200_u64 {
        let waited = if n < 10 { 400.0 - n as f64 * 19.0 } else { 0.0 };
        let place = room.place("a", n * 960, n as f64 * 20.0 + 20.0 + waited);
        assert!(place >= previous, "{place} after {previous}");
        previous = place;
    }
    assert!(near(previous, 199.0 * 20.0 + 20.0, 0.01), "{previous}");
}

#[test]
fn a_late_report_does_not_move_the_track() {
    let mut room = Room::new(&[("a", "alice"), ("v", "alice")]);
    let mut last = 0.0;
    for n in 0..1000_u64 {
        last = room.place("a", n * 960, n as f64 * 20.0 + 5.0);
        room.place("v", n * 1800, n as f64 * 20.0 + 5.0);
        if n % 100 == 50 {
            // The report is stamped up to 40 ms after the sample that it names.
            let late = [0.0, 40.0, 13.0, 27.0, 0.0, 40.0, 33.0, 8.0, 0.0, 21.0][(n / 100) as usize];
            room.report("a", n as f64 * 20.0 + late, n * 960);
            room.report("v", n as f64 * 20.0, n * 1800);
        }
    }
    assert!(near(last, 999.0 * 20.0 + 5.0, 1.0), "{last}");
}

#[test]
fn a_sound_card_that_drifts_against_its_machine_is_followed() {
    for ppm in [200.0, -200.0] {
        let mut room = Room::new(&[("a", "alice"), ("v", "alice")]);
        let (mut sound, mut picture) = (0.0, 0.0);
        for n in 0..30_000_u64 {
            let wall_ms = n as f64 * 20.0;
            let rtp = (wall_ms * (1.0 + ppm / 1e6) * 48.0) as u64;
            sound = room.place("a", rtp, wall_ms + 20.0) - wall_ms;
            picture = room.place("v", n * 1800, wall_ms + 25.0) - wall_ms;
            if n % 150 == 149 {
                room.report("a", wall_ms, rtp);
                room.report("v", wall_ms, n * 1800);
            }
        }
        assert!(near(sound, 20.0, 4.0) && near(picture, 20.0, 4.0), "{ppm} ppm: {sound} {picture}");
        let corrected = room.figures("a").correction_nanos as f64 / 1e6;
        assert!(near(corrected, -600.0 * ppm / 1000.0, 5.0), "{corrected} ms in ten minutes");
    }
}

#[test]
fn the_rtp_time_of_a_report_may_have_wrapped() {
    let start = u64::from(u32::MAX) - 48_000;
    let mut room = Room::new(&[("a", "alice"), ("v", "alice")]);
    for n in 0..200_u64 {
        room.place("a", start + n * 960, n as f64 * 20.0 + 5.0);
        room.place("v", n * 1800, n as f64 * 20.0 + 30.0);
    }
    room.report("a", 4_000.0, start + 192_000);
    room.report("v", 4_000.0, 360_000);
    let (mut a, mut v) = (0.0, 0.0);
    for n in 200..600_u64 {
        a = room.place("a", start + n * 960, n as f64 * 20.0 + 5.0);
        v = room.place("v", n * 1800, n as f64 * 20.0 + 30.0);
    }
    assert!(near(a, v, 0.1), "{a} {v}");
}

#[test]
fn an_unknown_track_has_no_place() {
    let mut timeline = Timeline::default();
    assert!(timeline.place(&TrackSid("TR_x".into()), 0, MediaTime::ZERO).is_none());
    assert_eq!(timeline.figures(&TrackSid("TR_x".into())), None);
}

#[test]
fn publishers_that_are_gone_for_good_are_forgotten() {
    let mut room = Room::new(&[]);
    for n in 0..IDLE_PUBLISHERS + 10 {
        room.add("v", &n.to_string());
        room.timeline.remove(&TrackSid("v".into()));
    }
    assert!(room.timeline.publishers.len() <= IDLE_PUBLISHERS + 1);
}

#[test]
fn a_wall_clock_may_say_anything() {
    let mut timeline = Timeline::default();
    let sid = TrackSid("a".into());
    timeline.add(sid.clone(), "alice".into(), TrackKind::Video);
    // The difference between such a large RTP time and a wall clock exceeds 64 bits of nanoseconds.
    let far = 1 << 55;
    for (ntp_nanos, rtp) in [(i64::MAX, 0), (i64::MIN, u32::MAX), (0, 7), (i64::MIN, 7), (i64::MAX, 7)] {
        timeline.sender_report(&sid, SenderReport { ntp_nanos, rtp });
        assert!(timeline.place(&sid, far, MediaTime::ZERO).is_some());
        timeline.sender_report(&sid, SenderReport { ntp_nanos, rtp });
        assert!(timeline.place(&sid, 0, MediaTime::ZERO).is_some());
    }
}
