//! One recording by several workers: what each has written is in one file, in its place.

use std::time::{Duration, Instant};

use egressd::mp4::SpoolPosition;
use egressd::report::QualityReport;
use egressd::worker::messages::{EndReason, Event, Resume, WorkerSpec};

use crate::picture::{
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, the_streams_are_h264_and_aac,
};
use crate::support::disk::SmallDisk;
use crate::support::participants::Act;
use crate::support::probe::{Flash, Recording};
use crate::support::stage::{Options, Stage};
use crate::support::worker::{Worker, finished, scan_file, spec};

const RECORDED: Duration = Duration::from_secs(12);
const GAP: Duration = Duration::from_secs(4);
/// What may be missing of the end of a spool whose worker was killed.
const LOST_MAX_S: f64 = 2.0;
const RED: [u8; 3] = [200, 40, 40];
/// Of the second of two tiles, side by side.
const SECOND_TILE: (u32, u32) = (960, 300);
/// The time of a flash trembles by a frame of the camera and one of the recording, its beep by an Opus frame.
const TREMBLE_S: f64 = 0.07;

fn last_report(events: &[Event]) -> Option<Box<QualityReport>> {
    events.iter().rev().find_map(|event| match event {
        Event::Report { report } => Some(report.clone()),
        _ => None,
    })
}

/// How far a time lies from the second that the flashes come at.
fn off_beat(at: f64, beat: f64) -> f64 {
    let off = (at - beat).rem_euclid(1.0);
    off.min(1.0 - off)
}

fn flashes_are_on_one_beat(recording: &Recording, gap: (f64, f64)) {
    let flashes = recording.flashes();
    let (before, after): (Vec<Flash>, Vec<Flash>) = flashes.iter().partition(|flash| flash.at < gap.0);
    println!("{} flashes before the gap, {} behind it: {flashes:?}", before.len(), after.len());
    assert!(before.len() >= 8 && after.len() >= 8, "flashes on both sides of {gap:?}");
    let beat = before[1].at;
    for flash in &flashes[1..flashes.len() - 1] {
        assert!(off_beat(flash.at, beat) <= TREMBLE_S, "a flash at {} s, another at {beat} s", flash.at);
    }
    for part in [before, after] {
        let mut offsets: Vec<f64> = part.iter().filter_map(|flash| flash.beep_after).collect();
        offsets.sort_by(f64::total_cmp);
        let median = offsets[offsets.len() / 2];
        println!("beep after flash: median {median:+.3} s of {} pairs", offsets.len());
        assert!(offsets.len() >= part.len() - 2, "a flash without its beep");
        assert!(median.abs() <= 0.045, "beeps come {median} s after their flashes");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_after_a_worker_was_killed_goes_on_in_the_same_file_and_on_the_same_beat() {
    let mut stage = Stage::open_with("successor", Options::HALF).await;
    stage.participants.join("metronome", Act::FlashAndBeep);
    stage.participants.join("red", plain("vp8", RED, 400));
    let spec = spec(&stage.livekit, "successor", stage.folder().join("spool.mp4"));
    let mut first = Worker::start(spec.clone()).await;
    let zero_unix_ms = first.joined().await;
    first.record(RECORDED).await;
    let events = first.kill().await;
    let killed_at = (unix_ms() - zero_unix_ms) as f64 / 1000.0;
    let position = scan_file(&spec.spool).position;
    let there = position.ticks as f64 / 30.0;
    println!("killed at {killed_at} s, {there} s are there: {position:?}");
    assert!(there >= killed_at - LOST_MAX_S);
    tokio::time::sleep(GAP).await;

    let report = last_report(&events);
    let resume = Some(Resume { zero_unix_ms, position, report });
    let mut second = Worker::start(WorkerSpec { resume, ..spec.clone() }).await;
    let same_zero = second.joined().await;
    assert!((same_zero - zero_unix_ms).abs() <= 5, "{same_zero} ms, not {zero_unix_ms} ms");
    let joined_at = (unix_ms() - zero_unix_ms) as f64 / 1000.0;
    second.record(RECORDED).await;
    let ended = second.stop().await;
    let stopped_at = (unix_ms() - zero_unix_ms) as f64 / 1000.0;
    let Event::Ended { reason: EndReason::Stopped, ticks, error: None, .. } = ended else {
        panic!("{ended:?}")
    };

    let recording = finished(&spec.spool);
    the_streams_are_h264_and_aac(&recording);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    let duration = recording.duration("v");
    assert_eq!(ticks, (duration * 30.0).round() as u64);
    assert!(
        duration <= stopped_at && duration >= stopped_at - 1.0,
        "{duration} s, stopped at {stopped_at} s"
    );
    assert!((recording.duration("a") - duration).abs() <= 0.05);
    flashes_are_on_one_beat(&recording, (there, joined_at));

    // In the gap the last picture stands still.
    for at in [there + 0.1, (there + joined_at) / 2.0, joined_at] {
        let [red, green, _] = recording.frame_at(at).colour(SECOND_TILE);
        assert!(red > 150 && green < 90, "at {at} s");
    }
    let quality = last_report(&second.events).expect("a report");
    assert_eq!(quality.file.video_frames, ticks);
    let [gap] = &quality.gaps[..] else { panic!("{:?}", quality.gaps) };
    assert!((gap.from_ms as f64 / 1000.0 - there).abs() < 0.01, "{gap:?}");
    assert!((gap.to_ms as f64 / 1000.0 - joined_at).abs() < 0.5, "{gap:?}");
    assert_eq!(gap.reason, "the recorder was started again");
    assert_eq!((quality.participants.len(), quality.tracks.len()), (2, 4));
    assert!(quality.tracks.iter().all(|track| track.to_ms == quality.file.duration_ms));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_had_written_nothing_has_a_successor_too() {
    let mut stage = Stage::open_with("early", Options::HALF).await;
    stage.participants.join("red", plain("vp8", RED, 400));
    let spec = spec(&stage.livekit, "early", stage.folder().join("spool.mp4"));
    let mut first = Worker::start(spec.clone()).await;
    let zero_unix_ms = first.joined().await;
    first.kill().await;
    let position = scan_file(&spec.spool).position;
    assert_eq!(position.ticks, 0, "{position:?}");
    let resume = Some(Resume { zero_unix_ms, position, report: None });
    let mut second = Worker::start(WorkerSpec { resume, ..spec.clone() }).await;
    second.joined().await;
    second.record(Duration::from_secs(5)).await;
    let ended = second.stop().await;
    let lasted = (unix_ms() - zero_unix_ms) as f64 / 1000.0;
    assert!(matches!(ended, Event::Ended { reason: EndReason::Stopped, error: None, .. }), "{ended:?}");
    let recording = finished(&spec.spool);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "");
    let duration = recording.duration("v");
    assert!(duration <= lasted && duration >= lasted - 1.0, "{duration} s of {lasted} s");
    let [red, green, _] = recording.frame_at(duration - 1.0).colour((640, 300));
    assert!(red > 150 && green < 90);
}

/// As after a service that was gone for minutes. Here the recording is only said to have begun long ago.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gap_of_minutes_is_made_up_for_while_the_room_is_recorded() {
    const MISSING: Duration = Duration::from_secs(240);
    const AFTER: Duration = Duration::from_secs(40);
    let mut stage = Stage::open("late").await;
    stage.participants.join("metronome", Act::FlashAndBeep);
    let spec = spec(&stage.livekit, "late", stage.folder().join("spool.mp4"));
    let zero_unix_ms = unix_ms() - i64::try_from(MISSING.as_millis()).expect("minutes");
    let resume = Some(Resume { zero_unix_ms, position: SpoolPosition::default(), report: None });
    let mut worker = Worker::start(WorkerSpec { resume, ..spec.clone() }).await;
    worker.joined().await;
    let joined = Instant::now();
    // Of the gap, and of the seconds in which it was made up for.
    let present = worker
        .until(|event| match event {
            Event::Progress { ticks, .. } if *ticks as f64 / 30.0 > MISSING.as_secs_f64() + 5.0 => {
                Some(joined.elapsed())
            }
            _ => None,
        })
        .await;
    println!("{} s were made up for in less than {:.1} s", MISSING.as_secs(), present.as_secs_f64());
    worker.record(AFTER.saturating_sub(joined.elapsed())).await;
    let memory = worker.peak_memory_mb();
    println!("{memory} MB at most");
    assert!(memory < 400, "{memory} MB");
    let ended = worker.stop().await;
    let Event::Ended { reason: EndReason::Stopped, error: None, ticks, .. } = ended else {
        panic!("{ended:?}")
    };
    let lasted = (unix_ms() - zero_unix_ms) as f64 / 1000.0;
    assert!((lasted - ticks as f64 / 30.0).abs() <= 1.0, "{ticks} ticks in {lasted} s");
    let quality = last_report(&worker.events).expect("a report");
    assert_eq!(quality.file.hurried_frames, 0);
    assert!(quality.warnings.is_empty(), "{:?}", quality.warnings);
    let flashes = finished(&spec.spool).flashes();
    let from = flashes[1].at;
    assert!(from - MISSING.as_secs_f64() < 4.0, "the first whole flash is seen at {from} s");
    assert!(flashes.len() >= AFTER.as_secs() as usize - 4, "{} flashes", flashes.len());
    let heard =
        flashes.iter().filter(|flash| flash.beep_after.is_some_and(|after| after.abs() < 0.1)).count();
    assert!(heard >= flashes.len() - 2, "{heard} of {} flashes are heard", flashes.len());
}

/// On a disk of its own where the test may make one, else under a limit of the process: both fail in the same places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_whose_disk_is_full_ends_with_all_that_had_its_place() {
    const SPACE: u64 = 2_097_152;
    let mut stage = Stage::open_with("full", Options::HALF).await;
    stage.participants.join("noise", Act::Noise);
    let disk = SmallDisk::mount(&stage.folder().join("small"), SPACE);
    let folder = disk.as_ref().map_or(stage.folder(), SmallDisk::path);
    let spec = spec(&stage.livekit, "full", folder.join("spool.mp4"));
    let log = stage.folder().join("spool.log");
    let mut worker = match disk {
        Some(_) => Worker::start_logging_to(&log, spec.clone()).await,
        None => Worker::start_with_little_space(&log, spec.clone(), SPACE).await,
    };
    let ended = worker.ended().await;
    let Event::Ended { reason: EndReason::DiskFull, final_bytes, error: Some(error), .. } = ended else {
        panic!("{ended:?}")
    };
    println!("a small disk: {}, {error}", disk.is_some());
    assert!(error.starts_with("cannot write the spool file at byte"), "{error}");
    let len = std::fs::metadata(&spec.spool).expect("the spool").len();
    assert_eq!(len, final_bytes, "what is broken was cut off");
    assert!(len > SPACE - 500_000, "{len} bytes");
    let whole = stage.folder().join("whole.mp4");
    std::fs::copy(&spec.spool, &whole).expect("the test's folder can be written to");
    let recording = finished(&whole);
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    assert_eq!(recording.complaints(), "");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_ends_before_its_file_is_larger_than_it_may_be() {
    const MAX_MB: u32 = 6;
    let mut stage = Stage::open_with("large", Options::HALF).await;
    stage.participants.join("noise", Act::Noise);
    let mut spec = spec(&stage.livekit, "large", stage.folder().join("spool.mp4"));
    spec.options.max_size_mb = Some(MAX_MB);
    let mut worker = Worker::start(spec.clone()).await;
    let ended = worker.ended().await;
    assert!(matches!(ended, Event::Ended { reason: EndReason::MaxSize, error: None, .. }), "{ended:?}");
    let recording = finished(&spec.spool);
    let len = std::fs::metadata(recording.path()).expect("the file").len();
    assert!(len <= u64::from(MAX_MB) * 1_000_000, "{len} bytes");
    assert!(len >= u64::from(MAX_MB) * 1_000_000 / 2, "{len} bytes");
}

fn unix_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.expect("the clock is behind 1970").as_millis()).expect("a time of today")
}
