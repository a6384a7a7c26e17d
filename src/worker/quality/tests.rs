//! What the report says of made-up recordings.

use std::time::Duration;

use super::*;
use crate::compose::{Freeze, VideoCounters};
use crate::media::Size;
use crate::report::LayerReport;

const FRAME_RATE: u32 = 30;

fn quality() -> Quality {
    Quality::new(FRAME_RATE)
}

pub(super) fn sid(name: &str) -> TrackSid {
    TrackSid(name.to_owned())
}

pub(super) fn camera(name: &str) -> PublishedTrack {
    PublishedTrack {
        sid: sid(name),
        publisher: "ann".to_owned(),
        kind: TrackKind::Video,
        source: VideoSource::Camera,
        mime: "video/VP8".to_owned(),
        muted: false,
        order: 1,
    }
}

/// So many pictures of one size, 1.9 s on the picture, 0.7 s of it frozen.
pub(super) fn seen(shown: u64) -> VideoFigures {
    let freeze = Freeze { from: seconds(2), length: Duration::from_millis(700) };
    VideoFigures {
        counters: VideoCounters { shown, ..VideoCounters::default() },
        seen: Duration::from_millis(1900),
        frozen: freeze.length,
        longest_freeze: Some(freeze),
        sizes: vec![(Size { width: 640, height: 360 }, shown)],
    }
}

fn seconds(seconds: i64) -> MediaTime {
    MediaTime::from_millis(seconds * 1000)
}

pub(super) fn ticks(quality: &mut Quality, seconds: u32) {
    for _ in 0..seconds * FRAME_RATE {
        quality.tick(MadeTick { delay: Duration::ZERO, hurried: false });
    }
}

#[test]
fn a_track_is_reported_with_what_every_source_says_of_it() {
    let mut quality = quality();
    quality.published(&camera("TR_1"), seconds(1));
    quality.came(&sid("TR_1"), Codec::Vp8);
    let figures = ReceiveFigures {
        packets: 100,
        packets_lost: 3,
        nacks: 5,
        plis: 2,
        frames_dropped: 4,
        clock_correction_nanos: -1_500_000,
        clock_steps: 1,
        ..ReceiveFigures::default()
    };
    quality.received(&sid("TR_1"), figures);
    let fed = Counters {
        received: 60,
        decoded: 58,
        skipped: 2,
        decoder_failures: 1,
        concealed: Duration::from_millis(40),
    };
    quality.fed(&sid("TR_1"), fed, Source::GoesOn);
    quality.seen(&sid("TR_1"), seen(57), Source::GoesOn);
    ticks(&mut quality, 3);
    let report = quality.report();
    let expected = TrackReport {
        sid: "TR_1".into(),
        participant: "ann".into(),
        kind: "video".into(),
        source: "camera".into(),
        codec: "VP8".into(),
        layers: vec![LayerReport { width: 640, height: 360, frames: 57 }],
        from_ms: 1000,
        to_ms: 3000,
        packets: 100,
        packets_lost: 3,
        retransmissions_asked: 5,
        keyframes_asked: 2,
        frames_received: 60,
        frames_decoded: 58,
        frames_shown: 57,
        frames_lost: 6,
        decoder_failures: 1,
        shown_ms: 1900,
        frozen_ms: 700,
        longest_freeze_ms: 700,
        longest_freeze_at_ms: 2000,
        concealed_ms: 40,
        clock_correction_ms: -1.5,
        clock_steps: 1,
        ..TrackReport::default()
    };
    assert_eq!(report.tracks, [expected]);
    assert_eq!((report.file.packets_lost, report.file.longest_freeze_ms), (3, 700));
}

#[test]
fn figures_that_are_given_again_are_not_added() {
    let mut quality = quality();
    quality.published(&camera("TR_1"), seconds(0));
    for packets in [10, 20, 20] {
        let figures = ReceiveFigures { packets, ..ReceiveFigures::default() };
        quality.received(&sid("TR_1"), figures);
    }
    assert_eq!(quality.report().tracks[0].packets, 20);
}

#[test]
fn a_track_that_is_negotiated_anew_goes_on_counting() {
    let mut quality = quality();
    quality.published(&camera("TR_1"), seconds(0));
    for packets in [100, 7, 9] {
        let figures = ReceiveFigures { packets, ..ReceiveFigures::default() };
        quality.received(&sid("TR_1"), figures);
    }
    assert_eq!(quality.report().tracks[0].packets, 109);
}

#[test]
fn a_track_that_comes_back_is_one_track_with_the_sum_of_its_figures() {
    let mut quality = quality();
    let counters = Counters { received: 30, decoded: 29, ..Counters::default() };
    quality.published(&camera("TR_1"), seconds(0));
    quality.fed(&sid("TR_1"), counters, Source::Ended);
    quality.ended(&sid("TR_1"), seconds(1));
    quality.published(&camera("TR_1"), seconds(2));
    quality.fed(&sid("TR_1"), counters, Source::GoesOn);
    // The composer is behind the room: it learns of the end last.
    quality.seen(&sid("TR_1"), seen(20), Source::Ended);
    quality.seen(&sid("TR_1"), seen(22), Source::GoesOn);
    quality.seen(&sid("TR_1"), seen(25), Source::GoesOn);
    ticks(&mut quality, 4);
    let report = quality.report();
    assert_eq!(report.tracks.len(), 1);
    let track = &report.tracks[0];
    assert_eq!((track.frames_received, track.frames_decoded), (60, 58));
    assert_eq!((track.frames_shown, track.shown_ms, track.layers[0].frames), (45, 3800, 45));
    assert_eq!((track.from_ms, track.to_ms), (0, 4000));
}

#[test]
fn a_track_that_ended_keeps_its_end() {
    let mut quality = quality();
    quality.published(&camera("TR_1"), seconds(1));
    quality.ended(&sid("TR_1"), seconds(2));
    ticks(&mut quality, 9);
    assert_eq!(quality.report().tracks[0].to_ms, 2000);
}

#[test]
fn the_file_is_as_long_as_its_frames_and_tells_its_worst_moment() {
    let mut quality = quality();
    ticks(&mut quality, 1);
    quality.tick(MadeTick { delay: Duration::from_millis(2100), hurried: true });
    quality.tick(MadeTick { delay: Duration::from_millis(1900), hurried: false });
    let file = quality.report().file;
    assert_eq!((file.video_frames, file.duration_ms), (32, 1066));
    assert_eq!((file.hurried_frames, file.longest_delay_ms), (1, 2100));
}

#[test]
fn a_gap_lasts_from_the_interruption_until_media_comes_again() {
    let mut quality = quality();
    ticks(&mut quality, 20);
    quality.interrupted(seconds(5), "signal lost");
    quality.interrupted(seconds(6), "still lost");
    assert_eq!(quality.restored(seconds(9)), Some(Duration::from_secs(4)));
    assert_eq!(quality.restored(seconds(10)), None);
    let gap = Gap { from_ms: 5000, to_ms: 9000, reason: "signal lost".into() };
    assert_eq!(quality.report().gaps, [gap]);
}

#[test]
fn a_gap_that_never_ended_lasts_until_the_end_of_the_file() {
    let mut quality = quality();
    ticks(&mut quality, 8);
    quality.interrupted(seconds(5), "server gone");
    let gap = Gap { from_ms: 5000, to_ms: 8000, reason: "server gone".into() };
    assert_eq!(quality.report().gaps, [gap]);
}

#[test]
fn nothing_is_reported_behind_the_end_of_the_file() {
    let mut quality = quality();
    ticks(&mut quality, 2);
    quality.published(&camera("TR_1"), seconds(3));
    quality.interrupted(seconds(3), "too late");
    let report = quality.report();
    assert_eq!((report.tracks[0].from_ms, report.tracks[0].to_ms), (2000, 2000));
    assert!(report.gaps.is_empty());
}

#[test]
fn a_warning_is_kept_once() {
    let mut quality = quality();
    quality.warn(seconds(1), Some(&sid("TR_1")), "AV1 cannot be decoded here");
    quality.warn(seconds(2), Some(&sid("TR_1")), "AV1 cannot be decoded here");
    quality.warn(seconds(3), Some(&sid("TR_2")), "AV1 cannot be decoded here");
    let warnings = quality.report().warnings;
    let said: Vec<_> = warnings.iter().map(|w| (w.at_ms, w.track.as_deref())).collect();
    assert_eq!(said, [(1000, Some("TR_1")), (3000, Some("TR_2"))]);
}

#[test]
fn what_is_kept_is_bounded_and_what_was_left_out_is_counted() {
    let mut quality = quality();
    ticks(&mut quality, 1);
    // JSON makes two of each.
    let long = "\"".repeat(5000);
    for n in 0..2000 {
        let name = format!("TR_{n}");
        quality.published(&PublishedTrack { publisher: long.clone(), ..camera(&name) }, seconds(0));
        let identity = format!("{name}{long}");
        quality.joined(&Participant { name: long.clone(), identity, order: n }, seconds(0));
        quality.warn(seconds(0), Some(&sid(&name)), long.clone());
        quality.interrupted(MediaTime::ZERO, &long);
        quality.restored(seconds(1));
    }
    let report = quality.report();
    assert_eq!((report.tracks.len(), report.tracks_left_out), (TRACKS_MAX, 1000));
    assert_eq!((report.participants.len(), report.participants_left_out), (1000, 1000));
    assert_eq!((report.warnings.len(), report.warnings_left_out), (WARNINGS_MAX, 1800));
    assert_eq!((report.gaps.len(), report.gaps_left_out), (GAPS_MAX, 1800));
    let line = crate::worker::messages::to_line(&crate::worker::messages::Event::Report {
        report: Box::new(report),
    });
    assert!(line.len() < crate::worker::messages::MAX_LINE_BYTES, "{} bytes", line.len());
}

#[test]
fn everybody_is_listed_once_from_his_first_coming_to_his_last_going() {
    let mut quality = quality();
    ticks(&mut quality, 10);
    let somebody = |identity: &str, name: &str| Participant {
        identity: identity.to_owned(),
        name: name.to_owned(),
        order: 1,
    };
    quality.joined(&somebody("ann", "Ann"), seconds(1));
    quality.joined(&somebody("bob", ""), seconds(2));
    quality.left("ann", seconds(3));
    quality.joined(&somebody("ann", "Ann B."), seconds(4));
    quality.left("bob", seconds(5));
    let report = quality.report();
    let listed: Vec<_> =
        report.participants.iter().map(|p| (&*p.identity, &*p.name, p.from_ms, p.to_ms)).collect();
    assert_eq!(listed, [("ann", "Ann B.", 1000, 10_000), ("bob", "", 2000, 5000)]);
}

#[test]
fn what_follows_from_the_figures_is_among_the_warnings_at_the_end() {
    let mut quality = quality();
    quality.published(&camera("TR_1"), seconds(0));
    quality.fed(&sid("TR_1"), Counters { received: 30, ..Counters::default() }, Source::GoesOn);
    assert!(quality.report().warnings.is_empty());
    let warnings = quality.conclude().warnings;
    assert_eq!(warnings[0].message, "of 30 frames none could be decoded");
    assert_eq!(warnings[0].track.as_deref(), Some("TR_1"));
}

#[test]
fn a_text_is_cut_between_its_characters_and_has_no_control_characters() {
    assert_eq!(bounded("a\u{1}b\nc"), "abc");
    assert_eq!(bounded(&"\u{1f600}".repeat(100)), "\u{1f600}".repeat(64));
    assert_eq!(bounded(&format!("a{}", "\u{1f600}".repeat(100))).len(), 253);
}

#[test]
fn figures_of_a_track_that_nobody_published_are_dropped() {
    let mut quality = quality();
    quality.fed(&sid("TR_9"), Counters { received: 1, ..Counters::default() }, Source::GoesOn);
    quality.ended(&sid("TR_9"), seconds(1));
    assert!(quality.report().tracks.is_empty());
}
