//! Recordings of sound alone and of pictures alone: what is in their files, and what goes on in them after a worker died.

use std::time::Duration;

use egressd::media::Streams;
use egressd::options::RecordingOptions;
use egressd::worker::messages::{EndReason, Event, Resume, WorkerSpec};
use serde_json::json;

use crate::picture::{every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, tiles_show};
use crate::support::probe::Recording;
use crate::support::rest::Answer;
use crate::support::stage::{Options, Stage};
use crate::support::worker::{Worker, finished, scan_file, spec};

const RED: [u8; 3] = [200, 40, 40];
const HERTZ: u32 = 400;
const RECORDED: Duration = Duration::from_secs(6);
const GAP: Duration = Duration::from_secs(3);
/// As in a recording with pictures: when it began can be seen from outside only by asking.
const DURATION_TOLERANCE_S: f64 = 0.2;
/// A tone is published at an amplitude of 0.25; what Opus and AAC leave of silence is far below this.
const SILENT_BELOW: f64 = 0.01;
const HEARD_ABOVE: f64 = 0.1;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_alone_is_one_track_in_a_regular_mp4() {
    let mut stage = Stage::open("audioonly").await;
    stage.participants.join("ann", plain("vp8", RED, HERTZ));
    let running = stage.record_as(r#"{"audioOnly":true}"#).await;
    tokio::time::sleep(RECORDED).await;
    let preview = format!("/v1/recordings/{}/preview.jpg", running.egress_id);
    is_refused(&stage.caller().get(&preview).await);
    let patch = stage.caller().sign(reqwest::Method::PATCH, &stage.path(""), r#"{"layout":"speaker"}"#);
    is_refused(&stage.caller().send(patch).await);
    let lasted = (stage.stop().await - running.active_at).as_secs_f64();
    let recording = stage.fetch(&running).await;

    has_one_track(&recording, "soun");
    assert_eq!(recording.stream("a")["codec_name"], "aac");
    let duration = recording.duration("a");
    assert!((duration - lasted).abs() <= DURATION_TOLERANCE_S, "{duration} s of {lasted} s");
    assert!(recording.peak((2.0, duration - 0.5)) > HEARD_ABOVE);
    let quality = stage.report(&running).await;
    let kinds: Vec<_> = quality["tracks"].as_array().into_iter().flatten().map(|t| &t["kind"]).collect();
    assert_eq!(kinds, ["audio"], "no picture was asked for");
    let path = format!("/v1/recordings/{}", running.egress_id);
    let state = stage.caller().get(&path).await.json;
    assert_eq!(state["options"]["audioOnly"], true);
    assert_eq!((&state["options"]["width"], &state["options"]["audioBitrate"]), (&json!(null), &json!(128)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pictures_alone_are_one_track_in_a_regular_mp4() {
    let mut stage = Stage::open("videoonly").await;
    stage.participants.join("ann", plain("vp8", RED, HERTZ));
    let running = stage.record_as(r#"{"videoOnly":true}"#).await;
    tokio::time::sleep(RECORDED).await;
    let lasted = (stage.stop().await - running.active_at).as_secs_f64();
    let recording = stage.fetch(&running).await;

    has_one_track(&recording, "vide");
    assert_eq!(recording.stream("v")["codec_name"], "h264");
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    let duration = recording.duration("v");
    assert!((duration - lasted).abs() <= DURATION_TOLERANCE_S, "{duration} s of {lasted} s");
    tiles_show(&recording, 4.0, &[RED]);
    let quality = stage.report(&running).await;
    let kinds: Vec<_> = quality["tracks"].as_array().into_iter().flatten().map(|t| &t["kind"]).collect();
    assert_eq!(kinds, ["video"], "no sound was asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sound_alone_goes_on_in_the_same_file_after_a_worker_was_killed() {
    let mut stage = Stage::open_with("audiokilled", Options::HALF).await;
    stage.participants.join("ann", plain("vp8", RED, HERTZ));
    let options = RecordingOptions { streams: Streams::AudioOnly, ..RecordingOptions::default() };
    let spool = stage.folder().join("spool.mp4");
    let spec = WorkerSpec { options, ..spec(&stage.livekit, "audiokilled", spool) };
    let mut first = Worker::start(spec.clone()).await;
    let zero_unix_ms = first.joined().await;
    first.record(RECORDED).await;
    first.kill().await;
    let position = scan_file(&spec.spool).position;
    let there = position.audio_frames as f64 * 1024.0 / 48_000.0;
    assert!(there >= RECORDED.as_secs_f64() - 2.0, "{there} s are there");
    tokio::time::sleep(GAP).await;

    let resume = Some(Resume { zero_unix_ms, position, report: None });
    let mut second = Worker::start(WorkerSpec { resume, ..spec.clone() }).await;
    second.joined().await;
    second.record(RECORDED).await;
    let ended = second.stop().await;
    let Event::Ended { reason: EndReason::Stopped, ticks, error: None, .. } = ended else {
        panic!("{ended:?}")
    };

    let recording = finished(&spec.spool);
    has_one_track(&recording, "soun");
    let (duration, made) = (recording.duration("a"), ticks as f64 / 30.0);
    println!("{there} s before the gap, {duration} s in all, {made} s by its ticks");
    assert!((duration - made).abs() <= 0.05, "{duration} s, {made} s were made");
    let heard = |from: f64, until: f64| recording.peak((from, until));
    assert!(heard(2.0, there - 0.2) > HEARD_ABOVE, "before the gap");
    assert!(heard(there + 0.3, there + 2.0) < SILENT_BELOW, "within it");
    assert!(heard(duration - 2.0, duration - 0.2) > HEARD_ABOVE, "behind it");
}

fn has_one_track(recording: &Recording, handler: &str) {
    let boxes = recording.boxes();
    let top: Vec<&str> =
        boxes["top"].as_array().into_iter().flatten().filter_map(|b| b["type"].as_str()).collect();
    assert_eq!(top, ["ftyp", "moov", "mdat"]);
    assert_eq!((&boxes["fragmented"], &boxes["unaccounted"]), (&json!(false), &json!(0)));
    let tracks: Vec<_> =
        boxes["tracks"].as_array().into_iter().flatten().map(|track| &track["handler"]).collect();
    assert_eq!(tracks, [handler]);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
}

/// There is no picture of which anything could be asked.
fn is_refused(answer: &Answer) {
    assert_eq!(answer.status, 409, "{answer:?}");
    assert_eq!(answer.json["detail"], "The recording has no picture: it was started with audioOnly");
}
