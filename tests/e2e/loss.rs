//! A bad network between LiveKit and the recorder: datagrams are lost and overtake one another, both ways, below the
//! transport. Lips still match voices, and no picture stands still for long.

use std::time::Duration;

use serde_json::Value;

use crate::codecs::video_of;
use crate::picture::{every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain};
use crate::support::faults::{Faults, Tally, Width};
use crate::support::participants::{Act, Crowd};
use crate::support::probe::Recording;
use crate::support::servers::{Feedback, Network};
use crate::support::stage::{Options, Stage};

const RECORDED: Duration = Duration::from_secs(40);
const JITTER: Duration = Duration::from_millis(100);
/// As in the sync test.
const MEDIAN_LIMIT_S: f64 = 0.040;
const SINGLE_LIMIT_S: f64 = 0.100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_twentieth_datagram_is_lost_and_hardly_anything_of_it_is_seen_or_heard() {
    let outcome = record("loss-5", 0.05).await;
    outcome.beeps_come_with_their_flashes(RECORDED.as_secs() as usize - 4);
    outcome.pictures_are_frozen_for_less_than(0.05);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_seventh_datagram_is_lost_and_voices_stay_with_their_lips() {
    let outcome = record("loss-15", 0.15).await;
    outcome.beeps_come_with_their_flashes(RECORDED.as_secs() as usize - 8);
}

/// Layers of 0.15, 0.6 and 2.4 Mbit/s.
const BUSY: Crowd = Crowd { size: (1280, 720), busy: true, simulcast: true, ..Crowd::of("vp8", 1) };
const NARROW_BPS: u64 = 1_200_000;
const WIDE_AT_FIRST: Duration = Duration::from_secs(8);
const NARROW: Duration = Duration::from_secs(45);
/// Until LiveKit believes in congestion, and then for a keyframe.
const FREEZES_S: f64 = 5.0;

/// The server offers REMB only, as it does by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_is_too_narrow_for_the_largest_layer_gets_the_one_below_until_it_is_wide_again() {
    let wide_again = Duration::from_secs(45);
    let busy = record_busy("narrow", Feedback::Estimate, Duration::from_millis(400), wide_again).await;
    busy.came_in_the_layer_that_fits();
    assert!(busy.frozen_s() < FREEZES_S, "{}", busy.0);
    let (wide, of_720) = ((WIDE_AT_FIRST + wide_again).as_secs(), busy.frames(720));
    assert!(of_720 > 30 * wide / 2, "of the {wide} s: {}", busy.0);
}

/// As a router does that polices: no packet waits so long that it tells, and whatever is tried in vain costs packets.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_drops_what_is_too_much_gets_a_smaller_layer_too() {
    let busy = record_busy("policed", Feedback::Estimate, Duration::from_millis(80), Duration::ZERO).await;
    busy.came_in_the_layer_that_fits();
    assert!(busy.frozen_s() < 2.0 * FREEZES_S, "{}", busy.0);
}

/// There is a microphone as well, of which LiveKit does not hear such feedback.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_learns_from_transport_wide_feedback_sends_the_layer_that_fits() {
    let queue = Duration::from_millis(400);
    let busy = record_busy("arrivals", Feedback::TransportWide, queue, Duration::ZERO).await;
    busy.came_in_the_layer_that_fits();
    assert!(busy.frozen_s() < FREEZES_S, "{}", busy.0);
}

/// What the report says of a busy camera.
struct Busy(Value);

/// Over a way that becomes too narrow, with this queue, and then is wide again for as long as is said.
async fn record_busy(room: &'static str, feedback: Feedback, queue: Duration, wide_again: Duration) -> Busy {
    let options = Options { network: Network::Faulty { seed: 3, feedback }, ..Options::default() };
    let stage = Stage::open_with(room, options).await;
    let mut crowd = stage.crowd(BUSY);
    crowd.join("1", Act::Silent);
    let running = stage.record().await;
    tokio::time::sleep(WIDE_AT_FIRST).await;
    let width = Some(Width { bits_per_second: NARROW_BPS, queue });
    stage.livekit.faults().set(Faults { width, ..Faults::default() });
    tokio::time::sleep(NARROW).await;
    stage.livekit.faults().set(Faults::default());
    tokio::time::sleep(wide_again).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let video = video_of(&stage.report(&running).await, "1").clone();
    println!("{video}\nto the recorder: {:?}", stage.livekit.faults().counts().to_recorder);
    Busy(video)
}

impl Busy {
    fn frames(&self, height: u64) -> u64 {
        let layers = self.0["layers"].as_array().expect("a list of layers");
        let of_height = layers.iter().filter(|layer| layer["height"] == height);
        of_height.filter_map(|layer| layer["frames"].as_u64()).sum()
    }

    fn came_in_the_layer_that_fits(&self) {
        let (of_180, of_360) = (self.frames(180), self.frames(360));
        // The queue, and padding by which LiveKit tries whether more can be sent, cost some.
        assert!(of_180 + of_360 > 30 * NARROW.as_secs() * 2 / 3, "{}", self.0);
        assert!(of_360 > of_180, "a layer that fits was not taken: {}", self.0);
    }

    fn frozen_s(&self) -> f64 {
        self.0["frozenMs"].as_f64().expect("milliseconds") / 1000.0
    }
}

struct Outcome {
    /// Its folder holds the recording.
    _stage: Stage,
    recording: Recording,
    report: Value,
}

/// Records a metronome and a camera that shows a bar moving, over a network with this share of loss.
async fn record(room: &'static str, loss: f64) -> Outcome {
    let options =
        Options { network: Network::Faulty { seed: 15, feedback: Feedback::Estimate }, ..Options::default() };
    let mut stage = Stage::open_with(room, options).await;
    stage.livekit.faults().set(Faults { loss, jitter: JITTER, ..Faults::default() });
    stage.participants.join("metronome", Act::FlashAndBeep);
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    let report = stage.report(&running).await;
    let counts = stage.livekit.faults().counts();
    println!("to the recorder: {:?}, from it: {:?}", counts.to_recorder, counts.from_recorder);
    let Tally { passed, lost, .. } = counts.to_recorder;
    let share = lost as f64 / (lost + passed) as f64;
    assert!((share - loss).abs() < 0.02, "{share} of the datagrams were lost, not {loss}");
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    report["tracks"].as_array().into_iter().flatten().for_each(|track| println!("{track}"));
    Outcome { _stage: stage, recording, report }
}

impl Outcome {
    fn beeps_come_with_their_flashes(&self, least: usize) {
        let offsets = self.recording.beeps_after_flashes();
        let mut heard: Vec<f64> = offsets.iter().flatten().copied().collect();
        assert!(!heard.is_empty(), "no flash has a beep");
        heard.sort_by(f64::total_cmp);
        let (median, first, last) = (heard[heard.len() / 2], heard[0], heard[heard.len() - 1]);
        println!(
            "beep after flash: median {median:+.3} s, from {first:+.3} to {last:+.3} s in {} of {} pairs",
            heard.len(),
            offsets.len()
        );
        let file = self.recording.path().display();
        assert!(heard.len() >= least, "{} of {} flashes have a beep ({file})", heard.len(), offsets.len());
        assert!(median.abs() <= MEDIAN_LIMIT_S, "median {median} s ({file})");
        assert!(
            first >= -SINGLE_LIMIT_S && last <= SINGLE_LIMIT_S,
            "from {first} to {last} s ({file}): {offsets:?}"
        );
    }

    fn pictures_are_frozen_for_less_than(&self, limit: f64) {
        for tile in self.tiles() {
            assert!(tile.frozen < limit, "{}'s picture was frozen for {} of its time", tile.who, tile.frozen);
        }
    }

    fn tiles(&self) -> Vec<Tile<'_>> {
        let tracks = self.report["tracks"].as_array().expect("a list of tracks");
        let videos = tracks.iter().filter(|track| track["kind"] == "video");
        let tiles: Vec<Tile<'_>> = videos.map(Tile::of).collect();
        assert_eq!(tiles.len(), 2);
        tiles
    }
}

/// How a participant's camera was seen.
struct Tile<'a> {
    who: &'a Value,
    /// The share of its time on the picture.
    frozen: f64,
}

impl<'a> Tile<'a> {
    fn of(track: &'a Value) -> Self {
        let milliseconds =
            |name: &str| track[name].as_f64().unwrap_or_else(|| panic!("no {name} in {track}"));
        Self { who: &track["participant"], frozen: milliseconds("frozenMs") / milliseconds("shownMs") }
    }
}
