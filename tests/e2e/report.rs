//! What a start asks for, what is changed while a recording runs, and what is told of it afterwards: a recording that
//! begins as `speaker` and goes on as `grid-light`, by its pixels, and its quality report against ffprobe's figures.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::picture::{COLOUR_TOLERANCE, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain};
use crate::support::grid;
use crate::support::probe::Recording;
use crate::support::stage::Stage;

const RED: [u8; 3] = [200, 40, 40];
const BLUE: [u8; 3] = [50, 70, 200];
const BLACK: [u8; 3] = [0, 0, 0];
const WHITE: [u8; 3] = [255, 255, 255];
/// On the stage of `speaker` (220 to 1280) and in the second cell of `grid` (644 to 1280), in the middle of either.
const STAGE: (u32, u32) = (800, 360);
/// In the column of `speaker`, which is 212 wide, and in the first cell of `grid`.
const COLUMN: (u32, u32) = (106, 66);
/// Below the one tile of the column; in the first cell of `grid`.
const BELOW_COLUMN: (u32, u32) = (106, 500);
/// Between the cells of `grid`, 8 wide.
const BETWEEN_CELLS: (u32, u32) = (640, 60);

const HALF: Duration = Duration::from_secs(7);
/// What was promised, between the call and the picture.
const CHANGED_WITHIN_S: f64 = 0.5;
/// Participants need a moment until their first picture is there.
const FIRST_PICTURES: f64 = 4.0;
/// Of what was published, with a first keyframe that takes its time and a machine that is busy.
const SHOWN_SHARE: f64 = 0.6;
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_view_is_asked_for_and_changed_and_the_report_says_what_the_file_is_like() {
    let mut stage = Stage::open("report").await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    stage.participants.join("bob", plain("h264", BLUE, 700));
    stage.participants.silence("bob");
    let asked = r#"{"layout":"speaker","nameTags":false,"videoBitrate":2000,"maxDurationSeconds":600}"#;
    let started = stage.caller().post(&stage.path("/start"), asked).await;
    assert_eq!(started.status, 201, "{started:?}");
    let running = stage.record().await;
    tokio::time::sleep(HALF).await;
    let changed_at = change_view(&stage, r#"{"layout":"grid-light"}"#).await - running.active_at;
    tokio::time::sleep(HALF).await;
    let so_far = stage.until(&running, LIMIT, |_| true).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;

    the_state_of_a_running_recording_is_shown(&so_far);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let switch = the_stage_goes_from_one_to_the_other_at_once(&recording);
    let late = switch - changed_at.as_secs_f64();
    assert!(
        late.abs() <= CHANGED_WITHIN_S,
        "changed {late} s after the call ({})",
        recording.path().display()
    );
    the_speaker_is_on_a_stage_before(&recording, switch - 1.0);
    the_grid_is_on_white_after(&recording, switch + 1.0);
    // The object is in the bucket a moment before the recording has ended.
    let state = stage.until(&running, LIMIT, |state| !state["endedAt"].is_null()).await;
    the_state_fits_the_file(&state, &recording);
    the_report_fits_the_file(&state["quality"], &recording);
}

/// Returns the moment at which it was called for.
pub async fn change_view(stage: &Stage, body: &str) -> Instant {
    let caller = stage.caller();
    let call = caller.sign(Method::PATCH, &stage.path(""), body);
    let called = Instant::now();
    let answer = caller.send(call).await;
    let now = caller.get(&stage.path("")).await;
    assert_eq!((answer.status, &answer.json), (200, &now.json), "it answers as the state does");
    called
}

fn the_state_of_a_running_recording_is_shown(state: &Value) {
    assert_eq!(state["status"], "active", "{state}");
    assert_eq!(
        (&state["roomId"], &state["file"], &state["size"]),
        (&"report".into(), &Value::Null, &0.into())
    );
    // Told every ten seconds; this is later.
    let frames = state["quality"]["file"]["videoFrames"].as_u64();
    assert!(frames.is_some_and(|frames| frames > 150), "{state}");
}

/// When the last frame was shown in which ann has the place; neither before nor after is there anything but what there
/// should be, and nothing in between.
fn the_stage_goes_from_one_to_the_other_at_once(recording: &Recording) -> f64 {
    let colours = recording.colours(STAGE);
    let first = colours.iter().position(|colour| is(*colour, RED)).expect("ann is on the stage");
    assert!((first as f64) < FIRST_PICTURES * 30.0, "ann is on the stage from frame {first} on");
    let switch = colours.iter().position(|colour| is(*colour, BLUE)).expect("bob takes her place");
    let expected = colours.iter().enumerate().map(|(frame, _)| match frame {
        _ if frame < first => BLACK,
        _ if frame < switch => RED,
        _ => BLUE,
    });
    for ((frame, colour), expected) in colours.iter().enumerate().zip(expected) {
        assert!(
            is(*colour, expected),
            "frame {frame} is {colour:?}, not {expected:?} (first {first}, switch {switch}, {})",
            recording.path().display()
        );
    }
    switch as f64 / 30.0
}

fn the_speaker_is_on_a_stage_before(recording: &Recording, seconds: f64) {
    let frame = recording.frame_at(seconds);
    for (place, expected) in [(STAGE, RED), (COLUMN, BLUE), (BELOW_COLUMN, BLACK)] {
        let found = frame.colour(place);
        assert!(is(found, expected), "{place:?} is {found:?}, not {expected:?}, at {seconds} s");
    }
}

fn the_grid_is_on_white_after(recording: &Recording, seconds: f64) {
    let frame = recording.frame_at(seconds);
    for (place, expected) in [(grid::centre(0, 2), RED), (grid::centre(1, 2), BLUE), (BELOW_COLUMN, RED)] {
        let found = frame.colour(place);
        assert!(is(found, expected), "{place:?} is {found:?}, not {expected:?}, at {seconds} s");
    }
    let gap = frame.pixel(BETWEEN_CELLS);
    assert!(is(gap, WHITE), "the background is {gap:?}");
}

fn the_state_fits_the_file(state: &Value, recording: &Recording) {
    let options = json!({
        "audioOnly": false, "videoOnly": false,
        "layout": "grid-light", "fit": null, "width": 1280, "height": 720, "framerate": 30, "videoBitrate": 2000,
        "audioBitrate": 128, "maxDurationSeconds": 600, "nameTags": false, "initials": false,
        "speakerBorder": false, "watermark": null,
    });
    assert_eq!(
        (&state["status"], &state["error"], &state["options"]),
        (&"complete".into(), &Value::Null, &options)
    );
    let size = std::fs::metadata(recording.path()).expect("the file is there").len();
    assert_eq!(state["size"], size);
    assert_eq!(state["duration"], recording.duration("v").round() as u64);
}

fn the_report_fits_the_file(quality: &Value, recording: &Recording) {
    let frames = recording.frame_times().len() as u64;
    let file = &quality["file"];
    assert_eq!(file["videoFrames"], frames, "{file}");
    assert_eq!(file["durationMs"], frames * 1000 / 30);
    assert_eq!((&quality["gaps"], &quality["warnings"]), (&json!([]), &json!([])), "nothing went wrong");
    let people = quality["participants"].as_array().expect("a list of participants");
    let people: Vec<&Value> = people.iter().map(|person| &person["identity"]).collect();
    assert_eq!(people, ["ann", "bob"]);
    let tracks = quality["tracks"].as_array().expect("a list of tracks");
    let found: Vec<Value> =
        tracks.iter().map(|t| json!([t["participant"], t["kind"], t["source"], t["codec"]])).collect();
    for expected in [
        json!(["ann", "video", "camera", "VP8"]),
        json!(["ann", "audio", "microphone", "Opus"]),
        json!(["bob", "video", "camera", "H.264"]),
        json!(["bob", "audio", "microphone", "Opus"]),
    ] {
        assert!(found.contains(&expected), "{expected} is not in {found:?}");
    }
    assert_eq!(found.len(), 4);
    for video in tracks.iter().filter(|track| track["kind"] == "video") {
        the_video_was_seen_all_the_time(video, frames);
    }
}

fn the_video_was_seen_all_the_time(video: &Value, frames: u64) {
    let figure = |name: &str| video[name].as_u64().unwrap_or_else(|| panic!("no {name} in {video}"));
    let (received, decoded, shown) =
        (figure("framesReceived"), figure("framesDecoded"), figure("framesShown"));
    assert!(received >= decoded && decoded >= shown, "{video}");
    assert!(shown as f64 >= frames as f64 * SHOWN_SHARE && shown <= frames, "{shown} of {frames}: {video}");
    let seen = figure("shownMs");
    assert!(
        seen <= frames * 1000 / 30 && seen + (FIRST_PICTURES * 1000.0) as u64 >= frames * 1000 / 30,
        "{video}"
    );
    assert!(figure("frozenMs") <= seen / 10, "{video}");
    // At least one a frame; counted once a second, so the last second may be missing.
    assert!(figure("packets") + 60 > received && figure("packetsLost") == 0, "{video}");
    let layers = video["layers"].as_array().expect("a list of layers");
    let listed: u64 = layers.iter().filter_map(|layer| layer["frames"].as_u64()).sum();
    assert!(listed >= shown && layers.iter().any(|layer| layer["width"] == 640), "{video}");
}

fn is(found: [u8; 3], expected: [u8; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= COLOUR_TOLERANCE)
}
