//! Sender reports and RTP times of any value, for tracks that come and go.
//!
//! Holds: nothing overflows, and a track that is known has a place for every frame.

#![no_main]

use egressd::ids::TrackSid;
use egressd::media::{MediaTime, TrackKind};
use egressd::room::fuzzing::{SenderReport, Timeline};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step {
    Add {
        track: u8,
        publisher: u8,
        video: bool,
    },
    Remove {
        track: u8,
    },
    Report {
        track: u8,
        ntp_nanos: i64,
        rtp: u32,
    },
    /// Unwrapped RTP times grow by less than 2^31 with each packet: 2^56 is beyond what a day can bring.
    Place {
        track: u8,
        rtp: u64,
        later_nanos: u32,
    },
}

const RTP_BITS: u32 = 56;

fuzz_target!(|steps: Vec<Step>| {
    let mut timeline = Timeline::default();
    let mut known = [false; 4];
    let mut now: i64 = 0;
    let sid = |track: u8| TrackSid(format!("TR_{}", track % 4));
    for step in steps {
        match step {
            Step::Add { track, publisher, video } => {
                let kind = if video { TrackKind::Video } else { TrackKind::Audio };
                timeline.add(sid(track), format!("P{}", publisher % 2), kind);
                known[usize::from(track % 4)] = true;
            }
            Step::Remove { track } => {
                timeline.remove(&sid(track));
                known[usize::from(track % 4)] = false;
            }
            Step::Report { track, ntp_nanos, rtp } => {
                timeline.sender_report(&sid(track), SenderReport { ntp_nanos, rtp });
            }
            Step::Place { track, rtp, later_nanos } => {
                now += i64::from(later_nanos);
                let rtp = rtp >> (u64::BITS - RTP_BITS);
                let place = timeline.place(&sid(track), rtp, MediaTime::from_nanos(now));
                assert_eq!(place.is_some(), known[usize::from(track % 4)]);
            }
        }
    }
});
