//! What is heard: mono and stereo, with redundancy (RED) and with discontinuous transmission (DTX), each channel where it
//! was spoken, and nothing at all where nobody speaks.

use std::time::{Duration, Instant};

use crate::picture::{both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before};
use crate::support::participants::Act;
use crate::support::publication::Publication;
use crate::support::stage::{Running, Stage};

const VOICES: Duration = Duration::from_secs(6);
/// Before it clocks settle and the first DTX pause passes.
const SETTLED: Duration = Duration::from_secs(4);
/// Each tone is published at an amplitude of 0.2 (0.25 from Python); Opus keeps a steady tone within a tenth.
const HEARD_AT_LEAST: f64 = 0.1;
/// What one channel leaks into the other: joint stereo at the publishers' bit rates.
const LEAKED_AT_MOST: f64 = 0.02;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_channel_is_heard_where_it_was_spoken() {
    const LEFT: u32 = 400;
    const RIGHT: u32 = 700;
    const BOTH: u32 = 1100;
    let mut stage = Stage::open("stereo").await;
    let microphone = Publication { video: false, ..Publication::DEFAULT };
    stage.browser().join("stereo", Act::Publish(Publication { hertz: &[LEFT, RIGHT], ..microphone }));
    stage.participants.join("mono", Act::Publish(Publication { hertz: &[BOTH], dtx: true, ..microphone }));
    let running = stage.record().await;
    tokio::time::sleep(SETTLED).await;
    let from = at(&running);
    tokio::time::sleep(VOICES).await;
    let until = at(&running);
    stage.stop().await;
    let recording = stage.fetch(&running).await;

    let [left, right] = recording.stereo((from, until), &[LEFT, RIGHT, BOTH]);
    println!("left {left:?}, right {right:?}");
    for (channel, own, other) in [(&left, 0, 1), (&right, 1, 0)] {
        let file = recording.path().display();
        assert!(
            channel[own] >= HEARD_AT_LEAST && channel[2] >= HEARD_AT_LEAST,
            "{left:?} {right:?} ({file})"
        );
        assert!(channel[other] <= LEAKED_AT_MOST, "{left:?} {right:?} ({file})");
    }
    assert!((left[2] - right[2]).abs() < LEAKED_AT_MOST, "mono is in the middle: {left:?} {right:?}");
}

/// A microphone that hears nothing sends next to nothing with DTX: the file goes on, silent to the last bit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_in_a_voice_is_exact_silence_and_shortens_nothing() {
    const VOICE: u32 = 400;
    let mut stage = Stage::open("pause").await;
    let microphone =
        Publication { video: false, hertz: &[VOICE], dtx: true, red: true, ..Publication::DEFAULT };
    stage.participants.join("ann", Act::Publish(microphone));
    let running = stage.record().await;
    tokio::time::sleep(SETTLED).await;
    stage.participants.mute_microphone("ann");
    tokio::time::sleep(SETTLED).await;
    let muted = at(&running);
    stage.participants.unmute_microphone("ann");
    tokio::time::sleep(SETTLED).await;
    let spoken = at(&running);
    let stopped: Instant = stage.stop().await;
    let recording = stage.fetch(&running).await;

    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    both_streams_last(&recording, stopped - running.active_at);
    let peak = recording.peak((muted - 2.0, muted - 0.2));
    assert_eq!(peak, 0.0, "while muted ({})", recording.path().display());
    let [left, right] = recording.stereo((spoken - 2.0, spoken), &[VOICE]);
    assert!(left[0] >= HEARD_AT_LEAST && right[0] >= HEARD_AT_LEAST, "after it: {left:?} {right:?}");
}

/// The file's time now.
fn at(running: &Running) -> f64 {
    running.active_at.elapsed().as_secs_f64()
}
