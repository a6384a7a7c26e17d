//! Of each track comes the smallest layer that fills its tile, another one when the layout changes, and nothing while it
//! is not shown.

use std::time::Duration;

use serde_json::Value;

use crate::codecs::video_of;
use crate::report::change_view;
use crate::support::participants::{Act, Crowd, Participants};
use crate::support::stage::Stage;

const COUNT: u32 = 9;
/// What is encoded beforehand comes at this rate whatever the machine is busy with: the publishers starve no layer.
const FPS: u64 = 30;
/// Three layers each, of 180, 360 and 720 lines. Nobody speaks, so that the first to join has the stage all the time.
const CROWD: Crowd = Crowd { size: (1280, 720), simulcast: true, silent: true, ..Crowd::of("vp8", COUNT) };
/// How long a layout lasts.
const LASTS: Duration = Duration::from_secs(14);
/// A track that needs less gets what it had for four seconds more; every change waits for a keyframe, of which there is
/// one a second; and the recorder itself begins with what the SFU has.
const CHANGED_S: u64 = 7;

async fn join(stage: &Stage) -> Participants {
    let mut crowd = stage.crowd(CROWD);
    for number in 1..=COUNT {
        crowd.join(&number.to_string(), Act::Silent);
    }
    crowd
}

/// How many frames of a participant's camera came in each size.
#[derive(Debug)]
struct Frames {
    of_180: u64,
    of_360: u64,
    of_720: u64,
}

impl Frames {
    fn of(report: &Value, number: u32) -> Self {
        let track = video_of(report, &number.to_string());
        let layers = track["layers"].as_array().expect("a list of layers");
        let frames = |height: u64| -> u64 {
            let of_height = layers.iter().filter(|layer| layer["height"] == height);
            of_height.filter_map(|layer| layer["frames"].as_u64()).sum()
        };
        let frames = Self { of_180: frames(180), of_360: frames(360), of_720: frames(720) };
        println!("{number}: {frames:?}");
        frames
    }

    fn all(&self) -> u64 {
        self.of_180 + self.of_360 + self.of_720
    }
}

/// Nine cells of 421x234: 320x180 would have to be enlarged, 1280x720 is more than anybody sees.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_each_track_the_smallest_layer_that_fills_its_cell_comes() {
    let stage = Stage::open("layer").await;
    let _crowd = join(&stage).await;
    let running = stage.record().await;
    tokio::time::sleep(LASTS).await;
    stage.stop().await;
    let report = stage.report(&running).await;
    let all: Vec<Frames> = (1..=COUNT).map(|number| Frames::of(&report, number)).collect();
    let least = (LASTS.as_secs() - CHANGED_S) * FPS;
    for frames in &all {
        assert!(frames.of_360 >= least, "{frames:?}");
        assert!(frames.of_180 + frames.of_720 <= CHANGED_S * FPS, "{frames:?}");
    }
}

/// On the stage of 1060x720 a track needs 720 lines, in the column beside it 90. Then the one who speaks is all there is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn layers_change_with_the_layout_and_of_a_track_that_is_not_shown_nothing_comes() {
    let stage = Stage::open("layout").await;
    let _crowd = join(&stage).await;
    let running = stage.record().await;
    tokio::time::sleep(LASTS).await;
    for layout in ["speaker", "single-speaker"] {
        change_view(&stage, &format!(r#"{{"layout":"{layout}"}}"#)).await;
        tokio::time::sleep(LASTS).await;
    }
    stage.stop().await;
    let report = stage.report(&running).await;
    let mut all: Vec<Frames> = (1..=COUNT).map(|number| Frames::of(&report, number)).collect();
    // All who joined within the same second did so first.
    all.sort_by_key(|frames| std::cmp::Reverse(frames.of_720));
    let (settled, changing) = ((LASTS.as_secs() - CHANGED_S) * FPS, CHANGED_S * FPS);
    let (on_stage, others) = all.split_first().expect("there are nine");
    assert!(on_stage.of_360 >= settled && on_stage.of_720 >= 2 * settled, "{on_stage:?}");
    assert!(on_stage.of_180 <= changing, "{on_stage:?}");
    for frames in others {
        assert!(frames.of_360 >= settled && frames.of_180 >= settled, "{frames:?}");
        assert!(frames.of_720 <= changing, "{frames:?}");
        // Nothing more of the third layout than until it was sure to stay.
        assert!(frames.all() + settled <= on_stage.all(), "{frames:?}, on the stage {on_stage:?}");
    }
}
