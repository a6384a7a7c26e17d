//! A bad network between LiveKit and the recorder: datagrams are lost and overtake one another, both ways, below the
//! transport. Lips still match voices, and no picture stands still for long.

use std::time::Duration;

use serde_json::Value;

use crate::codecs::video_of;
use crate::picture::{every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain};
use crate::support::faults::{Faults, Tally, Width};
use crate::support::participants::{Act, Crowd};
use crate::support::probe::Recording;
use crate::support::servers::Network;
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
const NARROW: Width = Width { bits_per_second: 1_200_000, queue: Duration::from_millis(400) };
/// Until LiveKit believes in congestion, and then for a keyframe.
const NARROW_FREEZES_S: f64 = 5.0;

/// The server offers REMB only, as it does by default.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_that_became_too_narrow_for_the_largest_layer_gets_the_one_below() {
    let options = Options { network: Network::Faulty { seed: 3 }, ..Options::default() };
    let stage = Stage::open_with("narrow", options).await;
    let mut crowd = stage.crowd(BUSY);
    crowd.join("1", Act::Silent);
    let running = stage.record().await;
    tokio::time::sleep(Duration::from_secs(8)).await;
    stage.livekit.faults().set(Faults { width: Some(NARROW), ..Faults::default() });
    tokio::time::sleep(Duration::from_secs(52)).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    let report = stage.report(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let video = video_of(&report, "1");
    println!("{video}");
    println!("{:?}", stage.livekit.faults().counts().to_recorder);
    let frames = |height: u64| -> u64 {
        let layers = video["layers"].as_array().expect("a list of layers");
        layers
            .iter()
            .filter(|layer| layer["height"] == height)
            .filter_map(|layer| layer["frames"].as_u64())
            .sum()
    };
    // Of 52 s; the queue and padding that tries for more cost some.
    assert!(frames(360) + frames(180) > 35 * 30, "{video}");
    assert!(frames(360) > frames(180), "a layer that the way carries was not taken: {video}");
    let frozen = video["frozenMs"].as_f64().expect("milliseconds") / 1000.0;
    assert!(frozen < NARROW_FREEZES_S, "{video}");
}

struct Outcome {
    /// Its folder holds the recording.
    _stage: Stage,
    recording: Recording,
    report: Value,
}

/// Records a metronome and a camera that shows a bar moving, over a network with this share of loss.
async fn record(room: &'static str, loss: f64) -> Outcome {
    let options = Options { network: Network::Faulty { seed: 15 }, ..Options::default() };
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
