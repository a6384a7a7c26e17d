//! What an earlier worker reported of the same recording, taken up again. Pure.

use std::time::Duration;

use super::figures::Figures;
use super::people::People;
use super::{Quality, Track, bounded, since_start, start_of, time};
use crate::ids::TrackSid;
use crate::media::{Codec, MediaTime, TrackKind};
use crate::report::{FileReport, Gap, QualityReport, TrackReport};

/// A recorder is started again.
const REASON: &str = "the recorder was started again";

/// What the file held when its worker was gone, and when the next one was in the room.
#[derive(Clone, Debug)]
pub struct Carried {
    pub frames: u64,
    pub joined: MediaTime,
    /// The last one that was told, which may be older than the last frame.
    pub report: QualityReport,
}

impl Quality {
    /// Goes on with the report of an earlier worker. Between its last frame and the joining is a gap.
    pub fn resuming(frame_rate: u32, carried: Carried) -> Self {
        let Carried { frames, joined, report } = carried;
        let FileReport { hurried_frames, longest_delay_ms, .. } = report.file;
        let mut quality = Self {
            frames,
            hurried_frames,
            longest_delay: Duration::from_millis(longest_delay_ms),
            tracks: report.tracks.into_iter().map(track).collect(),
            tracks_left_out: report.tracks_left_out,
            people: People::carried(report.participants, report.participants_left_out),
            gaps: report.gaps,
            gaps_left_out: report.gaps_left_out,
            warnings: report.warnings,
            warnings_left_out: report.warnings_left_out,
            ..Self::new(frame_rate)
        };
        let sids = quality.tracks.iter().map(|track| track.sid.clone());
        quality.places = sids.zip(0..).collect();
        let from_ms = since_start(start_of(frames, frame_rate));
        quality.gap(Gap { from_ms, to_ms: since_start(joined), reason: REASON.into() });
        quality
    }
}

/// It has ended when it was last heard of, unless it is there again.
fn track(report: TrackReport) -> Track {
    let codec = Codec::VIDEO.into_iter().chain([Codec::Opus]).find(|codec| codec.name() == report.codec);
    Track {
        sid: TrackSid(report.sid.clone()),
        participant: bounded(&report.participant),
        kind: if report.kind == "audio" { TrackKind::Audio } else { TrackKind::Video },
        source: match report.source.as_str() {
            "microphone" => "microphone",
            "screenShare" => "screenShare",
            _ => "camera",
        },
        codec,
        from: time(report.from_ms),
        ended: Some(time(report.to_ms)),
        figures: Figures::carried(report),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{camera, seen, sid, ticks};
    use super::super::{Counters, MadeTick, Participant, Source};
    use super::*;
    use crate::report::LayerReport;

    const FRAME_RATE: u32 = 30;

    fn somebody(identity: &str) -> Participant {
        Participant { identity: identity.into(), name: String::new(), order: 1 }
    }

    /// Ten seconds of Ann, who is filmed, and Bob.
    fn earlier() -> QualityReport {
        let mut quality = Quality::new(FRAME_RATE);
        quality.joined(&somebody("ann"), time(0));
        quality.joined(&somebody("bob"), time(1000));
        quality.published(&camera("TR_1"), time(500));
        quality.came(&sid("TR_1"), Codec::H264);
        let counters = Counters { received: 100, decoded: 90, ..Counters::default() };
        quality.fed(&sid("TR_1"), counters, Source::GoesOn);
        quality.seen(&sid("TR_1"), seen(80), Source::GoesOn);
        quality.warn(time(3000), None, "something");
        quality.tick(MadeTick { delay: Duration::from_millis(1500), hurried: true });
        ticks(&mut quality, 10);
        quality.report()
    }

    /// The next worker was there five seconds after the last frame.
    fn resuming() -> Quality {
        let carried = Carried { frames: 330, joined: time(16_000), report: earlier() };
        Quality::resuming(FRAME_RATE, carried)
    }

    #[test]
    fn the_time_in_which_nobody_recorded_is_a_gap() {
        let mut quality = resuming();
        ticks(&mut quality, 9);
        let report = quality.report();
        let gap = Gap { from_ms: 11_000, to_ms: 16_000, reason: REASON.into() };
        assert_eq!(report.gaps, [gap]);
        let FileReport { video_frames, duration_ms, hurried_frames, longest_delay_ms, .. } = report.file;
        assert_eq!((video_frames, duration_ms), (600, 20_000));
        assert_eq!((hurried_frames, longest_delay_ms), (1, 1500));
    }

    #[test]
    fn a_track_that_is_there_again_goes_on_and_one_that_is_not_has_ended() {
        let mut quality = resuming();
        ticks(&mut quality, 9);
        assert_eq!(quality.report().tracks[0].to_ms, 10_033);
        quality.published(&camera("TR_1"), time(16_000));
        let counters = Counters { received: 50, decoded: 50, ..Counters::default() };
        quality.fed(&sid("TR_1"), counters, Source::GoesOn);
        quality.seen(&sid("TR_1"), seen(40), Source::GoesOn);
        quality.published(&camera("TR_2"), time(17_000));
        let report = quality.report();
        assert_eq!(report.tracks.len(), 2);
        let track = &report.tracks[0];
        assert_eq!((track.from_ms, track.to_ms, &*track.codec), (500, 20_000, "H.264"));
        assert_eq!((track.frames_received, track.frames_decoded, track.frames_shown), (150, 140, 120));
        assert_eq!((track.shown_ms, track.longest_freeze_ms), (3800, 700));
        assert_eq!(track.layers, [LayerReport { width: 640, height: 360, frames: 120 }]);
    }

    #[test]
    fn who_is_there_again_never_left_and_what_was_said_stays_said() {
        let mut quality = resuming();
        ticks(&mut quality, 9);
        quality.joined(&somebody("ann"), time(16_000));
        quality.warn(time(17_000), None, "something");
        let report = quality.report();
        let listed: Vec<_> = report.participants.iter().map(|p| (&*p.identity, p.from_ms, p.to_ms)).collect();
        assert_eq!(listed, [("ann", 0, 20_000), ("bob", 1000, 10_033)]);
        assert_eq!(report.warnings.len(), 1);
    }
}
