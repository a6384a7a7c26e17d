//! Proofs 2 and 8: tiles come and go with participants and their cameras; nobody sees the recorder.

use std::time::{Duration, Instant};

use crate::picture::{
    both_streams_last, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain, tiles_show,
};
use crate::support::participants::Act;
use crate::support::stage::{Running, Stage};

const RED: [u8; 3] = [200, 40, 40];
const GREEN: [u8; 3] = [40, 160, 60];
const BLUE: [u8; 3] = [50, 70, 200];

/// From a change in the room until the file must show it. The SFU subscribes and the decoder waits for a
/// keyframe, which LiveKit's own clients ask for at most every half second.
const SETTLED: Duration = Duration::from_secs(3);
/// LiveKit tells about participants who publish nothing in batches, this far apart.
const LIVEKIT_UPDATE_INTERVAL: Duration = Duration::from_secs(3);
/// Each state is kept for this long after it has settled, and looked at in the middle.
const KEPT: Duration = Duration::from_secs(2);

/// The moments to look at, in the file's time.
struct Moments<'a> {
    running: &'a Running,
    seen: Vec<(f64, Vec<[u8; 3]>)>,
}

impl Moments<'_> {
    async fn expect(&mut self, colours: &[[u8; 3]]) {
        tokio::time::sleep(SETTLED + KEPT / 2).await;
        let seconds = (Instant::now() - self.running.active_at).as_secs_f64();
        self.seen.push((seconds, colours.to_vec()));
        tokio::time::sleep(KEPT / 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiles_follow_who_joins_leaves_mutes_and_unmutes() {
    let mut stage = Stage::open("membership").await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    stage.participants.join("bob", plain("vp8", GREEN, 700));
    let running = stage.record().await;
    let mut moments = Moments { running: &running, seen: Vec::new() };

    moments.expect(&[RED, GREEN]).await;
    stage.participants.join("cid", plain("h264", BLUE, 1100));
    moments.expect(&[RED, GREEN, BLUE]).await;
    stage.participants.mute_video("ann");
    moments.expect(&[GREEN, BLUE]).await;
    stage.participants.unmute_video("ann");
    moments.expect(&[RED, GREEN, BLUE]).await;
    stage.participants.leave("bob");
    moments.expect(&[RED, BLUE]).await;

    let seen = moments.seen;
    let lasted = stage.stop().await - running.active_at;
    let recording = stage.fetch(&running).await;
    for (seconds, colours) in seen {
        tiles_show(&recording, seconds, &colours);
    }
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
    both_streams_last(&recording, lasted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_in_which_nobody_publishes_yet_is_recorded_black_until_somebody_does() {
    const BLACK: [u8; 3] = [0, 0, 0];
    let mut stage = Stage::open("quiet").await;
    stage.participants.join("listener", Act::Silent);
    let running = stage.record().await;
    let mut moments = Moments { running: &running, seen: Vec::new() };

    moments.expect(&[BLACK]).await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    moments.expect(&[RED]).await;

    let seen = moments.seen;
    let lasted = stage.stop().await - running.active_at;
    let recording = stage.fetch(&running).await;
    for (seconds, colours) in seen {
        tiles_show(&recording, seconds, &colours);
    }
    both_streams_last(&recording, lasted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_client_ever_sees_the_recorder() {
    let mut stage = Stage::open("hidden").await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    stage.participants.join("watcher", Act::Silent);
    stage.record().await;
    // One who comes while it records gets the list of participants; one who was there, an event for each.
    stage.participants.join("late", Act::Silent);
    tokio::time::sleep(LIVEKIT_UPDATE_INTERVAL + KEPT).await;
    for (who, expected) in [("watcher", ["ann", "late"]), ("late", ["ann", "watcher"])] {
        let others = stage.participants.others(who);
        assert_eq!(others["present"], serde_json::json!(expected), "{who}: {others}");
        for seen in others["seen"].as_array().expect("a list") {
            assert!(
                ["ann", "watcher", "late"].contains(&seen.as_str().unwrap_or_default()),
                "{who}: {others}"
            );
        }
    }
    stage.stop().await;
}
