//! An hour of a meeting in made-up time: two publishers whose clocks run 200 ppm fast and slow, over a network
//! with jitter, with sender reports as libwebrtc stamps them, through timeline, composer and mixer.
//!
//! Owns the proof that picture and sound are together at the end as at the start, that the sound has no cut, and
//! that no tick is missing. Nothing here waits, and no codec or network takes part.

use std::collections::VecDeque;
use std::f64::consts::TAU;
use std::sync::Arc;

use egressd::compose::{ComposeOptions, Composer, VideoTrack};
use egressd::ids::TrackSid;
use egressd::media::{
    Decorations, FitChoice, I420, Layout, MediaTime, Picture, Plane, Rotation, Size, Sound, Streams, Theme,
    TrackKind, VideoSource, View,
};
use egressd::room::timeline::{SenderReport, Timeline};

const SECONDS: usize = 3600;
const FRAME_RATE: u32 = 30;
const SIZE: Size = Size { width: 32, height: 16 };
/// How far the ticks are behind the room, in seconds.
const PLAYOUT_DELAY: f64 = 1.0;
const AUDIO_DELAY: f64 = 0.030;
const VIDEO_DELAY: f64 = 0.055;
const JITTER: f64 = 0.040;
/// A second of the publisher's own clock brings a flash, and a swell of its tone, of this length.
const SIGNAL: f64 = 0.1;
const TONE_HZ: f64 = 500.0;
const QUIET: f64 = 6_000.0;
/// What the whole way from capture to file may differ between picture and sound. Reports of sound are stamped up to 40 ms
/// late: the least of ten is 4 ms late on average.
const APART: f64 = 0.010;

struct Luma(Vec<u8>, Vec<u8>);

impl I420 for Luma {
    fn size(&self) -> Size {
        SIZE
    }

    fn planes(&self) -> [Plane<'_>; 3] {
        let chroma = Plane { data: &self.1, stride: SIZE.width as usize / 2 };
        [Plane { data: &self.0, stride: SIZE.width as usize }, chroma, chroma]
    }
}

/// The same on every run.
struct Random(u32);

impl Random {
    /// 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(self.0 >> 8) / f64::from(1 << 24)
    }
}

/// A participant whose clock counts `rate` seconds a second, and is set wrong by `wrong` seconds.
struct Publisher {
    name: &'static str,
    rate: f64,
    wrong: f64,
    joined: f64,
    packets: u64,
    pictures: u64,
    report_due: f64,
    random: Random,
    /// Where the last picture lies; where it should lie.
    picture_errors: Vec<f64>,
}

impl Publisher {
    fn new(name: &'static str, rate: f64, wrong: f64, joined: f64) -> Self {
        let random = Random(name.len() as u32 + 7);
        Self {
            name,
            rate,
            wrong,
            joined,
            packets: 0,
            pictures: 0,
            report_due: joined + 2.0,
            random,
            picture_errors: Vec::new(),
        }
    }

    fn sid(&self, kind: &str) -> TrackSid {
        TrackSid(format!("{}-{kind}", self.name))
    }

    fn join(&self, room: &mut Room) {
        for (kind, of) in [("audio", TrackKind::Audio), ("video", TrackKind::Video)] {
            room.timeline.add(self.sid(kind), self.name.into(), of);
        }
        room.composer.add_audio(self.sid("audio"));
        let track = VideoTrack {
            sid: self.sid("video"),
            publisher: self.name.into(),
            source: VideoSource::Camera,
            order: 0,
        };
        room.composer.add_video(track, at(self.joined));
    }

    /// Seconds of the recording at which its own clock, begun when it joined, shows `own`.
    fn true_time(&self, own: f64) -> f64 {
        self.joined + own / self.rate
    }

    /// Sends all that is captured before `until`, in seconds of the recording.
    fn send(&mut self, room: &mut Room, until: f64) {
        while self.true_time((self.packets + 1) as f64 * 0.020) < until {
            self.send_sound(room);
        }
        while self.true_time(self.pictures as f64 / 30.0) < until {
            self.send_picture(room);
        }
        if until >= self.report_due {
            self.report(room, until);
            self.report_due += 3.0;
        }
    }

    fn send_sound(&mut self, room: &mut Room) {
        let own = self.packets as f64 * 0.020;
        // A packet leaves when its last sample was captured.
        let arrival = self.true_time(own + 0.020) + AUDIO_DELAY - 0.020 + self.random.next() * JITTER;
        let time = room.timeline.place(&self.sid("audio"), 4_000 + self.packets * 960, at(arrival));
        let first = self.packets * 960;
        let samples = (first..first + 960).flat_map(|n| [sample(n as f64 / 48_000.0); 2]).collect();
        room.sounds.push_back((self.sid("audio"), Sound { time: time.expect("a known track"), samples }));
        self.packets += 1;
    }

    fn send_picture(&mut self, room: &mut Room) {
        let own = self.pictures as f64 / 30.0;
        let captured = self.true_time(own);
        let arrival = captured + VIDEO_DELAY + self.random.next() * JITTER;
        let time = room.timeline.place(&self.sid("video"), 90_000 + self.pictures * 3000, at(arrival));
        let time = time.expect("a known track");
        self.picture_errors.push(time.as_secs_f64() - captured);
        let grey = if own.fract() < SIGNAL - 1e-6 { 220 } else { 40 };
        let pixels = (SIZE.width * SIZE.height) as usize;
        let image = Arc::new(Luma(vec![grey; pixels], vec![128; pixels / 4]));
        let picture = Picture { time, rotation: Rotation::Upright, image };
        room.pictures.push_back((self.sid("video"), picture));
        self.pictures += 1;
    }

    fn report(&mut self, room: &mut Room, now: f64) {
        let own = (now - self.joined) * self.rate;
        let ntp = |late: f64| ((1.7e9 + self.wrong + own + late) * 1e9) as i64;
        let late = self.random.next() * 0.040;
        let audio = SenderReport { ntp_nanos: ntp(late), rtp: (4_000.0 + own * 48_000.0) as u32 };
        let video = SenderReport { ntp_nanos: ntp(0.0), rtp: (90_000.0 + own * 90_000.0) as u32 };
        room.timeline.sender_report(&self.sid("audio"), audio);
        room.timeline.sender_report(&self.sid("video"), video);
    }
}

/// The tone, which swells smoothly to twice its level and back at the beginning of every second.
fn sample(own: f64) -> i16 {
    let into = own.fract();
    let swell = if into < SIGNAL { (1.0 - (TAU * into / SIGNAL).cos()) / 2.0 } else { 0.0 };
    (QUIET * (1.0 + swell) * (TAU * TONE_HZ * own).sin()).round() as i16
}

fn at(seconds: f64) -> MediaTime {
    MediaTime::from_nanos((seconds * 1e9) as i64)
}

struct Room {
    timeline: Timeline,
    composer: Composer,
    sounds: VecDeque<(TrackSid, Sound)>,
    pictures: VecDeque<(TrackSid, Picture)>,
}

/// What the file holds.
#[derive(Default)]
struct Recorded {
    ticks: u64,
    frames: u64,
    /// Ticks whose picture is the first of a flash.
    flashes: Vec<f64>,
    /// The middles of the swells.
    swells: Vec<f64>,
    /// The largest step that a continuous tone would not make.
    roughest: f64,
    bright: bool,
    last: [f64; 2],
    /// The level's sum and its moment, of the swell under way.
    swell: (f64, f64),
    quiet_for: usize,
}

impl Recorded {
    fn tick(&mut self, canvas: &[u8], sound: &[i16], settled: bool) {
        let bright = canvas[0] > 130;
        if bright && !self.bright {
            self.flashes.push(self.ticks as f64 / f64::from(FRAME_RATE));
        }
        self.bright = bright;
        for frame in sound.chunks(2) {
            self.hear(f64::from(frame[0]), settled);
        }
        self.ticks += 1;
    }

    fn hear(&mut self, value: f64, settled: bool) {
        // A tone goes on as x[n] = 2 cos(w) x[n-1] - x[n-2], whatever its phase.
        let [before, last] = self.last;
        let expected = 2.0 * (TAU * TONE_HZ / 48_000.0).cos() * last - before;
        if settled {
            self.roughest = self.roughest.max((value - expected).abs());
        }
        self.last = [last, value];
        let time = self.frames as f64 / 48_000.0;
        let loud = (value.abs() - QUIET * 1.2).max(0.0);
        if loud > 0.0 {
            self.swell = (self.swell.0 + loud, self.swell.1 + loud * time);
            self.quiet_for = 0;
        } else {
            self.quiet_for += 1;
        }
        if self.quiet_for == 4_800 && self.swell.0 > 0.0 {
            self.swells.push(self.swell.1 / self.swell.0);
            self.swell = (0.0, 0.0);
        }
        self.frames += 1;
    }
}

fn record(mut publisher: Publisher, seconds: usize) -> (Recorded, Publisher) {
    let view = View { layout: Layout::Grid, theme: Theme::Dark, fit: FitChoice::ByShape };
    let options = ComposeOptions {
        streams: Streams::Both,
        size: SIZE,
        frame_rate: FRAME_RATE,
        view,
        decorations: Decorations::default(),
    };
    let composer = Composer::new(options).expect("options that can be composed");
    let mut room =
        Room { timeline: Timeline::default(), composer, sounds: VecDeque::new(), pictures: VecDeque::new() };
    publisher.join(&mut room);
    let mut recorded = Recorded::default();
    for tick in 0..seconds as u64 * u64::from(FRAME_RATE) {
        let start = tick as f64 / f64::from(FRAME_RATE);
        let end = start + 1.0 / f64::from(FRAME_RATE);
        publisher.send(&mut room, start + PLAYOUT_DELAY);
        while let Some((sid, picture)) = room.pictures.pop_front_if(|(_, p)| p.time <= at(start)) {
            room.composer.picture(&sid, picture);
        }
        while let Some((sid, sound)) = room.sounds.pop_front_if(|(_, s)| s.time <= at(end + 0.020)) {
            room.composer.sound(&sid, &sound);
        }
        let made = room.composer.tick();
        recorded.tick(made.canvas, made.sound, start > publisher.joined + 2.0);
    }
    (recorded, publisher)
}

/// Swell minus flash, less half of the swell: of each second.
fn apart(recorded: &Recorded) -> Vec<f64> {
    let middle = SIGNAL / 2.0;
    let pairs = recorded.flashes.iter().filter_map(|flash| {
        let swell = recorded.swells.iter().map(|swell| swell - middle).find(|s| (s - flash).abs() < 0.4)?;
        Some(swell - flash)
    });
    pairs.collect()
}

#[test]
fn after_an_hour_of_200_ppm_picture_and_sound_are_together_and_nothing_was_cut() {
    for (name, rate, wrong) in [("fast", 1.000_2, 0.0), ("slow", 0.999_8, -300.0)] {
        let (recorded, publisher) = record(Publisher::new(name, rate, wrong, 0.2), SECONDS);
        assert_eq!(recorded.ticks, SECONDS as u64 * 30);
        assert_eq!(recorded.frames, SECONDS as u64 * 48_000);
        let apart = apart(&recorded);
        assert!(apart.len() > SECONDS - 10, "{name}: {} pairs", apart.len());
        // A picture is seen from the tick after it on: half a tick later on average.
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64 + 0.5 / 30.0;
        let (first, last) = (mean(&apart[10..130]), mean(&apart[apart.len() - 120..]));
        println!(
            "{name}: sound after picture {:+.1} ms at the start, {:+.1} ms at the end, roughest step {}",
            first * 1e3,
            last * 1e3,
            recorded.roughest
        );
        assert!(first.abs() < APART && last.abs() < APART, "{name}: {first} {last}");
        assert!(recorded.roughest < 60.0, "{name}: a step of {}", recorded.roughest);
        let delay = publisher.picture_errors.last().expect("pictures were sent");
        assert!((delay - AUDIO_DELAY).abs() < 0.010, "{name}: placed {delay} s after capture");
    }
}

#[test]
fn who_joins_late_is_right_from_his_first_second() {
    let (recorded, _) = record(Publisher::new("late", 1.000_1, 7_200.0, 20.3), 40);
    let apart = apart(&recorded);
    assert!(apart.len() >= 17, "{} pairs", apart.len());
    assert!(apart.iter().all(|apart| apart.abs() < 0.040 + 1.0 / 30.0), "{apart:?}");
}
