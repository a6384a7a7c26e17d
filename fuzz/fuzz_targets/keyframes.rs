//! Frames in any order of keyframes and gaps.
//!
//! Holds: after a gap, and at the start, nothing passes before a keyframe; requests keep their distance.

#![no_main]

use std::time::{Duration, Instant};

use egressd::media::Codec;
use egressd::room::fuzzing::{KeyframeGate, GateDecision, can_start_decoder};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Step<'a> {
    Frame { keyframe: bool, contiguous: bool, later_ms: u8 },
    Wanted { later_ms: u8 },
    Close,
    Restart,
    AccessUnit { h265: bool, unit: &'a [u8] },
}

fuzz_target!(|steps: Vec<Step>| {
    let mut gate = KeyframeGate::default();
    let mut decodable = false;
    let mut now = Instant::now();
    let mut requested: Option<Instant> = None;
    let mut request = |now: Instant| {
        let since = requested.replace(now).map(|last| now - last);
        assert!(since.is_none_or(|since| since >= Duration::from_millis(500)), "{since:?}");
    };
    for step in steps {
        match step {
            Step::Frame { keyframe, contiguous, later_ms } => {
                now += Duration::from_millis(later_ms.into());
                decodable = keyframe || (decodable && contiguous);
                match gate.frame(keyframe, contiguous, now) {
                    GateDecision::Pass => assert!(decodable),
                    GateDecision::Drop => {}
                    GateDecision::DropAndRequest => request(now),
                }
            }
            Step::Wanted { later_ms } => {
                now += Duration::from_millis(later_ms.into());
                if gate.wanted(now) {
                    request(now);
                }
            }
            Step::Close => gate.close(),
            Step::Restart => {
                gate.restart();
                decodable = false;
            }
            Step::AccessUnit { h265, unit } => {
                let codec = if h265 { Codec::H265 } else { Codec::H264 };
                let starts = can_start_decoder(codec, unit);
                assert!(!starts || unit.len() > 8, "parameter sets and a slice take more than that");
            }
        }
    }
});
