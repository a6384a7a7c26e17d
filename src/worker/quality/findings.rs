//! What follows from the figures of a finished recording, in sentences for an operator. Pure.
//!
//! Contract: a recording in which nobody could see or hear a fault has no findings.

use std::time::Duration;

use crate::media::MediaTime;
use crate::report::{FileReport, QualityReport, TrackReport};

/// A picture that stands still for longer than this looks broken.
const FREEZE_MS: u64 = 3000;
/// Of the time on the picture; and of a track that was there for long enough to speak of shares.
const FROZEN_PERCENT: u64 = 5;
const LONG_ENOUGH_MS: u64 = 10_000;
/// Of the packets. Retransmissions repair far more than this.
const LOST_PERCENT: u64 = 2;
/// Sound that was made up can be heard where it is more than a word here and there.
const CONCEALED_PERCENT: u64 = 1;
/// A track that finds its place when its publisher's clock becomes known moves by less.
const CORRECTION_MS: f64 = 100.0;
/// A machine that falls back so far at a moment has no room left.
const DELAY_MS: u64 = 5000;

/// Something that went wrong: when, of which track, and what.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    pub at: MediaTime,
    pub track: Option<String>,
    pub message: String,
}

pub fn of(report: &QualityReport) -> Vec<Finding> {
    let of_tracks = report.tracks.iter().flat_map(|track| {
        let found = of_track(track).into_iter().flatten();
        found.map(|(at_ms, message)| Finding { at: time(at_ms), track: Some(track.sid.clone()), message })
    });
    let of_file = of_file(&report.file).into_iter().flatten();
    of_file.map(|message| Finding { at: MediaTime::ZERO, track: None, message }).chain(of_tracks).collect()
}

fn of_file(file: &FileReport) -> [Option<String>; 2] {
    let FileReport { hurried_frames, longest_delay_ms, video_frames, .. } = *file;
    [
        (hurried_frames > 0).then(|| {
            format!(
                "{hurried_frames} of {video_frames} frames were made before all pictures for them were decoded: the \
                 machine was too slow"
            )
        }),
        (longest_delay_ms > DELAY_MS)
            .then(|| format!("frames were made up to {} late: the machine was too slow", seconds(longest_delay_ms))),
    ]
}

fn of_track(track: &TrackReport) -> [Option<(u64, String)>; 6] {
    let at = track.from_ms;
    let lasted = track.to_ms - at;
    let long_enough = |ms: u64| ms >= LONG_ENOUGH_MS;
    let share = |part: u64, whole: u64| part * 100 / whole.max(1);
    let correction = track.clock_correction_ms.abs();
    let (lost, sent) = (track.packets_lost, track.packets + track.packets_lost);
    [
        (track.frames_received > 0 && track.frames_decoded == 0)
            .then(|| (at, format!("of {} frames none could be decoded", track.frames_received))),
        (track.longest_freeze_ms > FREEZE_MS).then(|| {
            let standing = format!("no new picture for {}", seconds(track.longest_freeze_ms));
            (track.longest_freeze_at_ms, standing)
        }),
        (long_enough(track.shown_ms) && share(track.frozen_ms, track.shown_ms) >= FROZEN_PERCENT).then(
            || {
                let of = seconds(track.shown_ms);
                (at, format!("frozen for {} of the {of} on the picture", seconds(track.frozen_ms)))
            },
        ),
        (long_enough(lasted) && share(lost, sent) >= LOST_PERCENT)
            .then(|| (at, format!("{lost} of {sent} packets were lost for good"))),
        (long_enough(lasted) && share(track.concealed_ms, lasted) >= CONCEALED_PERCENT)
            .then(|| (at, format!("{} of sound were made up over losses", seconds(track.concealed_ms)))),
        (track.clock_steps > 1 || track.clock_steps == 1 && correction >= CORRECTION_MS).then(|| {
            let (steps, total) = (track.clock_steps, track.clock_correction_ms);
            (at, format!("its clock was off: corrected at once {steps} times, by {total:.0} ms in all"))
        }),
    ]
}

fn time(millis: u64) -> MediaTime {
    MediaTime::ZERO + Duration::from_millis(millis)
}

fn seconds(millis: u64) -> String {
    format!("{}.{} s", millis / 1000, millis % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> TrackReport {
        TrackReport {
            sid: "TR_1".into(),
            to_ms: 60_000,
            packets: 5000,
            packets_lost: 20,
            frames_received: 1800,
            frames_decoded: 1799,
            frames_shown: 1750,
            shown_ms: 59_000,
            frozen_ms: 900,
            longest_freeze_ms: 900,
            concealed_ms: 80,
            ..TrackReport::default()
        }
    }

    fn found(track: TrackReport) -> Vec<Finding> {
        of(&QualityReport { tracks: vec![track], ..QualityReport::default() })
    }

    fn sentences(track: TrackReport) -> Vec<String> {
        found(track).into_iter().map(|finding| finding.message).collect()
    }

    #[test]
    fn a_good_recording_has_no_findings() {
        let file = FileReport { video_frames: 1800, longest_delay_ms: 300, ..FileReport::default() };
        assert_eq!(of(&QualityReport { file, tracks: vec![good()], ..QualityReport::default() }), []);
    }

    #[test]
    fn a_track_without_any_media_is_no_fault() {
        let muted = TrackReport { to_ms: 60_000, ..TrackReport::default() };
        assert_eq!(found(muted), []);
    }

    #[test]
    fn a_long_freeze_is_told_with_its_moment() {
        let frozen = TrackReport { longest_freeze_ms: 3210, longest_freeze_at_ms: 42_000, ..good() };
        let message = "no new picture for 3.2 s".to_owned();
        assert_eq!(found(frozen), [Finding { at: time(42_000), track: Some("TR_1".into()), message }]);
    }

    #[test]
    fn shares_are_told_of_tracks_that_were_there_for_long_enough() {
        let frozen = TrackReport { frozen_ms: 6000, ..good() };
        assert_eq!(sentences(frozen.clone()), ["frozen for 6.0 s of the 59.0 s on the picture"]);
        assert!(sentences(TrackReport { shown_ms: 8000, ..frozen }).is_empty());
        let lossy = TrackReport { packets_lost: 200, ..good() };
        assert_eq!(sentences(lossy.clone()), ["200 of 5200 packets were lost for good"]);
        assert!(sentences(TrackReport { to_ms: 5000, ..lossy }).is_empty());
        let made_up = TrackReport { concealed_ms: 1200, ..good() };
        assert_eq!(sentences(made_up), ["1.2 s of sound were made up over losses"]);
    }

    #[test]
    fn a_track_that_cannot_be_decoded_and_a_clock_that_jumps_are_told() {
        let undecoded = TrackReport { frames_decoded: 0, ..good() };
        assert_eq!(sentences(undecoded), ["of 1800 frames none could be decoded"]);
        let jumping = TrackReport { clock_steps: 1, clock_correction_ms: -1500.2, ..good() };
        let told = "its clock was off: corrected at once 1 times, by -1500 ms in all";
        assert_eq!(sentences(jumping), [told]);
        let placed = TrackReport { clock_steps: 1, clock_correction_ms: -16.8, ..good() };
        assert!(sentences(placed).is_empty());
    }

    #[test]
    fn a_machine_that_is_too_slow_is_told() {
        let file = FileReport {
            video_frames: 900,
            hurried_frames: 12,
            longest_delay_ms: 7300,
            ..FileReport::default()
        };
        let report = QualityReport { file, ..QualityReport::default() };
        let said: Vec<_> = of(&report).into_iter().map(|finding| finding.message).collect();
        assert_eq!(
            said,
            [
                "12 of 900 frames were made before all pictures for them were decoded: the machine was too slow",
                "frames were made up to 7.3 s late: the machine was too slow",
            ]
        );
    }
}
