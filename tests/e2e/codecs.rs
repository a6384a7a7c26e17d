//! Every codec, plain and in layers, from LiveKit's own clients: each tile has its participant's colour, and shows the
//! pictures that were published, none twice and none in the wrong order; turned and resized ones upright.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::picture::{
    COLOUR_TOLERANCE, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, tiles_show,
};
use crate::support::grid;
use crate::support::participants::{Act, Crowd, Participants};
use crate::support::probe::Recording;
use crate::support::publication::{Layers, Picture, Publication};
use crate::support::stage::{Options, Running, Stage};

const RECORDED: Duration = Duration::from_secs(15);
/// When every tile is there: the SFU has chosen its layers, each with a keyframe of its own.
const SETTLED_S: f64 = 6.0;
const LOOKED_AT_S: f64 = 8.0;
const FPS: u32 = 15;
/// The publishers' encoders, the recorder and the servers share a machine: the clients themselves leave out frames
/// when they are late.
const SHOWN_SHARE: f64 = 0.9;

const COLOURS: [[u8; 3]; 4] = [[200, 40, 40], [40, 160, 60], [50, 70, 200], [180, 140, 30]];
const WHITE: [u8; 3] = [255; 3];
const GREY: [u8; 3] = [128; 3];
const BLACK: [u8; 3] = [0; 3];

/// Who publishes what, in the order of joining: four, whose cells have the shape of their pictures.
fn cast(acts: [(&'static str, Layers); 4], size: (u32, u32)) -> Vec<Publication> {
    let publication = |((codec, layers), rgb): ((&'static str, Layers), [u8; 3])| Publication {
        picture: Picture::Bar(rgb),
        codec,
        layers,
        size,
        fps: fps(codec),
        hertz: &[],
        ..Publication::DEFAULT
    };
    acts.into_iter().zip(COLOURS).map(publication).collect()
}

/// What is encoded beforehand costs nothing, and is a whole round of the bar only at its full rate.
fn fps(codec: &str) -> u32 {
    if codec == "h264-high" { 30 } else { FPS }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_is_recorded() {
    let plain = ["vp8", "vp9", "h264-high", "av1"].map(|codec| (codec, Layers::Single));
    record("codecs", |stage| &mut stage.participants, &cast(plain, (480, 270))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_in_layers_is_recorded() {
    let layered = [
        ("vp8", Layers::Simulcast),
        ("h264", Layers::Simulcast),
        ("vp9", Layers::Scalable("L3T3_KEY")),
        ("av1", Layers::Scalable("L3T3")),
    ];
    record("layers", |stage| &mut stage.participants, &cast(layered, (640, 360))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_codec_of_a_browser_is_recorded() {
    let layered = [
        ("vp8", Layers::Simulcast),
        ("vp9", Layers::Scalable("L3T3")),
        ("vp9", Layers::Scalable("L1T3")),
        ("av1", Layers::Scalable("L3T3_KEY")),
    ];
    record("browser", Stage::browser, &cast(layered, (640, 360))).await;
}

async fn record(
    room: &'static str,
    participants: impl Fn(&mut Stage) -> &mut Participants,
    cast: &[Publication],
) {
    let mut stage = Stage::open(room).await;
    for (n, publication) in cast.iter().enumerate() {
        participants(&mut stage).join(&format!("p{n}"), Act::Publish(*publication));
    }
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    for seconds in [SETTLED_S, SETTLED_S + LOOKED_AT_S] {
        tiles_show(&recording, seconds, &COLOURS);
    }
    the_pictures_go_on(&recording, cast);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
}

fn the_pictures_go_on(recording: &Recording, cast: &[Publication]) {
    let count = u32::try_from(cast.len()).expect("few tiles");
    let tiles: Vec<_> = (0..count).map(|n| grid::cell(n, count)).collect();
    let motions = recording.bars((SETTLED_S, SETTLED_S + LOOKED_AT_S), &tiles);
    let counts = motions.iter().zip(cast).map(|(motion, publication)| {
        let published = LOOKED_AT_S * f64::from(publication.fps);
        let what =
            format!("{} {:?}: {motion:?} of {published} pictures", publication.codec, publication.layers);
        eprintln!("{what}");
        (motion, published, what)
    });
    // All are printed before the first one fails.
    for (motion, published, what) in counts.collect::<Vec<_>>() {
        let file = recording.path().display();
        assert!(motion.shown as f64 >= SHOWN_SHARE * published, "{what}, {file}");
        // What is neither shown nor missed came too late for its frame, together with the next one.
        assert!(motion.missed as f64 <= (1.0 - SHOWN_SHARE) * published, "{what}, {file}");
        assert_eq!(motion.back, 0, "{what}, {file}");
    }
}

/// H.265 comes from egressd's own publisher: no client here encodes it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h265_is_recorded_and_a_codec_that_is_not_decoded_leaves_the_others_alone() {
    /// The first card of the crowd.
    const CARD: [u8; 3] = [32, 32, 128];
    let options = Options { settings: &[("EGRESSD_DISABLE_CODECS", "av1")], ..Options::default() };
    let mut stage = Stage::open_with("h265", options).await;
    let publication = Publication { fps: FPS, hertz: &[], ..Publication::DEFAULT };
    let bar = |codec, rgb| Act::Publish(Publication { codec, picture: Picture::Bar(rgb), ..publication });
    stage.participants.join("ann", bar("vp8", COLOURS[0]));
    let mut crowd = stage.crowd(Crowd::of("h265", 1));
    crowd.join("1", Act::Silent);
    stage.participants.join("cid", bar("av1", COLOURS[1]));
    let running = stage.record().await;
    let seconds = when_settled(&running).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    let report = stage.report(&running).await;

    let frame = recording.frame_at(seconds);
    for (index, expected) in [(0, COLOURS[0]), (1, CARD)] {
        let found = frame.colour(grid::centre(index, 3));
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= COLOUR_TOLERANCE);
        assert!(near, "tile {index} is {found:?}, not {expected:?}, {}", recording.path().display());
    }
    let h265 = video_of(&report, "1");
    assert_eq!(h265["codec"], "H.265", "{h265}");
    assert!(h265["framesShown"].as_u64() > Some(60), "{h265}");
    assert_eq!((&h265["framesLost"], &h265["decoderFailures"]), (&0.into(), &0.into()), "{h265}");
    let av1 = video_of(&report, "cid");
    assert_eq!((&av1["framesReceived"], &av1["framesShown"]), (&0.into(), &0.into()), "{av1}");
    let warning = report["warnings"].as_array().into_iter().flatten().find(|w| w["track"] == av1["sid"]);
    let message = warning.and_then(|w| w["message"].as_str()).unwrap_or_default();
    assert!(message.contains("AV1"), "{report}");
}

/// The report of a participant's camera.
pub fn video_of<'a>(report: &'a Value, participant: &str) -> &'a Value {
    let tracks = report["tracks"].as_array().expect("a list of tracks");
    let track = tracks.iter().find(|track| track["participant"] == participant && track["kind"] == "video");
    track.unwrap_or_else(|| panic!("no video of {participant} in {report}"))
}

/// LiveKit does not negotiate the header extension for rotation (its `pkg/rtc/config.go`), so that clients turn
/// their pictures themselves: what comes is upright, and changes its shape in mid-stream.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_that_are_turned_or_change_their_shape_stay_upright_and_whole() {
    let mut stage = Stage::open("turned").await;
    for (n, (codec, rgb)) in ["vp8", "vp9", "h264", "av1"].into_iter().zip(COLOURS).enumerate() {
        let picture = Picture::Quarters(rgb);
        let publication = Publication { picture, codec, fps: FPS, hertz: &[], ..Publication::DEFAULT };
        stage.participants.join(&format!("p{n}"), Act::Publish(publication));
    }
    let running = stage.record().await;
    let landscape = when_settled(&running).await;
    for turned in ["p0", "p3"] {
        stage.participants.rotate(turned, 90);
    }
    for resized in ["p1", "p2"] {
        stage.participants.resize(resized, (360, 640));
    }
    let portrait = when_settled(&running).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    let upright = |rgb| [rgb, WHITE, BLACK, GREY];
    // Clockwise: what was at the lower left is at the upper left.
    let clockwise = |rgb| [BLACK, rgb, GREY, WHITE];
    let [p0, p1, p2, p3] = COLOURS;
    tiles_have(&recording, landscape, (640, 360), &[upright(p0), upright(p1), upright(p2), upright(p3)]);
    tiles_have(&recording, portrait, (360, 640), &[clockwise(p0), upright(p1), upright(p2), clockwise(p3)]);
}

/// The file's time a little before this returns, when whatever was asked for before is seen.
async fn when_settled(running: &Running) -> f64 {
    tokio::time::sleep(Duration::from_secs(5)).await;
    let seconds = (Instant::now() - running.active_at).as_secs_f64();
    tokio::time::sleep(Duration::from_secs(1)).await;
    seconds
}

/// Each of the four tiles has these colours in its quarters, upper left first, as a picture of this shape that is
/// shown whole or fills its cell.
fn tiles_have(recording: &Recording, seconds: f64, shape: (u32, u32), tiles: &[[[u8; 3]; 4]; 4]) {
    let frame = recording.frame_at(seconds);
    for (index, expected) in (0..4).zip(tiles) {
        let (x, y, width, height) = grid::cell(index, 4);
        let shown_width = width.min(height * shape.0 / shape.1);
        let (left, right) = (x + width / 2 - shown_width / 4, x + width / 2 + shown_width / 4);
        let (top, bottom) = (y + height / 4, y + height * 3 / 4);
        let quarters = [(left, top), (right, top), (left, bottom), (right, bottom)];
        let found = quarters.map(|point| frame.colour(point));
        let far =
            |(a, b): (&[u8; 3], &[u8; 3])| a.iter().zip(b).any(|(a, b)| a.abs_diff(*b) > COLOUR_TOLERANCE);
        let wrong = found.iter().zip(expected).any(far);
        assert!(
            !wrong,
            "at {seconds} s tile {index}: {found:?}, not {expected:?}, {}",
            recording.path().display()
        );
    }
}
