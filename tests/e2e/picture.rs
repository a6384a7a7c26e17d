//! Proof 1: three participants, recorded into the bucket, as pixels, tones, timestamps and boxes.

use std::time::Duration;

use crate::support::grid;
use crate::support::participants::Act;
use crate::support::probe::Recording;
use crate::support::stage::Stage;

/// Two lossy encoders and a conversion between colour matrices lie between the published colour and the
/// measured one; the colours published are at least 100 apart in some component.
pub const COLOUR_TOLERANCE: u8 = 45;
/// One tick of the movie's clock in each direction: frame times are exact but for rounding.
const FRAME_TIME_TOLERANCE_S: f64 = 0.0011;
/// When recording began can be seen from outside only by asking, and stop takes effect while it is answered.
pub const DURATION_TOLERANCE_S: f64 = 0.2;
/// A tone of a participant stands some 110 dB above the median of the spectrum, what nobody speaks some 40.
const TONE_PRESENT_DB: f64 = 80.0;
/// How much weaker a frequency must be that nobody speaks: shows that the measurement can fail.
const TONE_ABSENT_BELOW_DB: f64 = 40.0;

const RECORDED: Duration = Duration::from_secs(20);

const CAST: [(&str, Act, [u8; 3], u32); 3] = [
    ("ann", plain("vp8", [200, 40, 40], 400), [200, 40, 40], 400),
    ("bob", plain("vp8", [40, 160, 60], 700), [40, 160, 60], 700),
    ("cid", plain("h264", [50, 70, 200], 1100), [50, 70, 200], 1100),
];
const SILENT_HERTZ: u32 = 1900;

pub const fn plain(codec: &'static str, rgb: [u8; 3], hertz: u32) -> Act {
    Act::Plain { codec, rgb, hertz }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_participants_are_tiled_mixed_and_stored_as_a_regular_mp4() {
    let mut stage = Stage::open("three").await;
    for (name, act, ..) in CAST {
        stage.participants.join(name, act);
    }
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    let lasted = stage.stop().await - running.active_at;
    let recording = stage.fetch(&running).await;

    the_streams_are_h264_and_aac(&recording);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    both_streams_last(&recording, lasted);
    the_boxes_are_those_of_a_regular_faststart_mp4(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    for seconds in [5.0, 10.0, 18.0] {
        let colours = CAST.map(|(_, _, rgb, _)| rgb);
        tiles_show(&recording, seconds, &colours);
    }
    all_tones_are_heard(&recording);
}

pub fn the_streams_are_h264_and_aac(recording: &Recording) {
    let video = recording.stream("v");
    assert_eq!((&video["codec_name"], &video["pix_fmt"]), (&"h264".into(), &"yuv420p".into()));
    assert_eq!((&video["width"], &video["height"]), (&grid::WIDTH.into(), &grid::HEIGHT.into()));
    assert_eq!((&video["r_frame_rate"], &video["avg_frame_rate"]), (&"30/1".into(), &"30/1".into()));
    let audio = recording.stream("a");
    assert_eq!((&audio["codec_name"], &audio["profile"]), (&"aac".into(), &"LC".into()));
    assert_eq!((&audio["sample_rate"], &audio["channels"]), (&"48000".into(), &2.into()));
}

pub fn every_frame_is_a_thirtieth_of_a_second_after_the_one_before(recording: &Recording) {
    let times = recording.frame_times();
    assert!(times.len() > 1, "{} frames", times.len());
    for (index, time) in times.iter().enumerate() {
        let due = index as f64 / 30.0;
        assert!(
            (time - due).abs() <= FRAME_TIME_TOLERANCE_S,
            "frame {index} is at {time} s, due at {due:.4} s"
        );
    }
}

pub fn both_streams_last(recording: &Recording, lasted: Duration) {
    for kind in ["v", "a"] {
        let duration = recording.duration(kind);
        let error = duration - lasted.as_secs_f64();
        assert!(
            error.abs() <= DURATION_TOLERANCE_S,
            "stream {kind} lasts {duration} s, the recording took {lasted:?}"
        );
    }
}

/// Each tile's centre has its participant's colour, in order of joining.
pub fn tiles_show(recording: &Recording, seconds: f64, colours: &[[u8; 3]]) {
    let frame = recording.frame_at(seconds);
    let count = u32::try_from(colours.len()).expect("few tiles");
    for (index, expected) in (0..count).zip(colours) {
        let found = frame.colour(grid::centre(index, count));
        let near = found.iter().zip(expected).all(|(a, b)| a.abs_diff(*b) <= COLOUR_TOLERANCE);
        assert!(
            near,
            "at {seconds} s tile {index} of {count} is {found:?}, not {expected:?} ({})",
            recording.path().display()
        );
    }
}

fn the_boxes_are_those_of_a_regular_faststart_mp4(recording: &Recording) {
    let boxes = recording.boxes();
    let top: Vec<&str> =
        boxes["top"].as_array().expect("a list").iter().filter_map(|b| b["type"].as_str()).collect();
    assert_eq!(top, ["ftyp", "moov", "mdat"], "one mdat, moov in front of it, no fragments");
    assert_eq!(boxes["fragmented"], false);
    assert_eq!(boxes["covered"], boxes["fileSize"], "every byte of the file is in a box");
    assert_eq!(boxes["unaccounted"], 0, "every byte of the mdat is in exactly one sample");
    assert_eq!(boxes["tracks"].as_array().map(Vec::len), Some(2));
}

fn all_tones_are_heard(recording: &Recording) {
    let hertz: Vec<u32> = CAST.iter().map(|(.., hertz)| *hertz).chain([SILENT_HERTZ]).collect();
    let levels = recording.tones(&hertz);
    let (silent, heard) = levels.split_last().expect("a level for each tone");
    for (level, hertz) in heard.iter().zip(&hertz) {
        assert!(*level >= TONE_PRESENT_DB, "{hertz} Hz is at {level} dB");
        assert!(
            level - silent >= TONE_ABSENT_BELOW_DB,
            "{hertz} Hz at {level} dB, nobody's {SILENT_HERTZ} Hz at {silent} dB"
        );
    }
}
