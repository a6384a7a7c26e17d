//! What a running recording shows of itself: the pixels of its preview, as FFmpeg decodes them, and its metrics.

use std::time::Duration;

use crate::picture::{COLOUR_TOLERANCE, every_frame_is_a_thirtieth_of_a_second_after_the_one_before, plain};
use crate::support::grid;
use crate::support::probe::Frame;
use crate::support::stage::{Running, Stage};

const RED: [u8; 3] = [200, 40, 40];
const GREEN: [u8; 3] = [40, 160, 60];
/// For somebody who joined or left to be seen, or not to be seen any more, in a preview.
const SEEN_WITHIN: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_preview_of_a_running_recording_is_its_picture_as_it_is_now() {
    let mut stage = Stage::open("preview").await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    let running = stage.record().await;
    shows(&stage, &running, &[(grid::centre(0, 1), RED)]).await;
    stage.participants.join("bob", plain("h264", GREEN, 700));
    let (ann, bob) = (grid::centre(0, 2), grid::centre(1, 2));
    shows(&stage, &running, &[(ann, RED), (bob, GREEN)]).await;

    let metrics = async || stage.caller().get("/metrics").await.text;
    let frames =
        format!("egressd_recording_frames_total{{egress_id=\"{}\",room=\"preview\"}} ", running.egress_id);
    let made = metrics().await.lines().find_map(|line| line.strip_prefix(&frames)?.parse::<u64>().ok());
    assert!(made.is_some_and(|made| made > 0), "{}", metrics().await);
    let cpu = metrics().await.lines().any(|line| line.starts_with("egressd_recording_cpu_seconds_total{"));
    assert!(cpu, "{}", metrics().await);

    stage.stop().await;
    let path = path(&running.egress_id);
    stage.until(&running, SEEN_WITHIN, |state| state["status"] == "complete").await;
    assert_eq!(stage.caller().get(&path).await.status, 409, "a recording that has ended shows nothing");
    let gone = async {
        while metrics().await.contains(&running.egress_id) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    assert!(tokio::time::timeout(SEEN_WITHIN, gone).await.is_ok(), "nor has it series any more");
    assert_eq!(stage.caller().get(&self::path("EG_aaaaaaaaaaaa")).await.status, 404);
    let recording = stage.fetch(&running).await;
    every_frame_is_a_thirtieth_of_a_second_after_the_one_before(&recording);
}

/// Waits until a preview has these colours in these places.
async fn shows(stage: &Stage, running: &Running, places: &[((u32, u32), [u8; 3])]) {
    let search = async {
        loop {
            let shows = |frame: Frame| places.iter().all(|(place, rgb)| near(frame.colour(*place), *rgb));
            if preview(stage, running).await.is_some_and(shows) {
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let found = tokio::time::timeout(SEEN_WITHIN, search).await;
    assert!(found.is_ok(), "no preview shows {places:?}; the last one is {}", file(stage).display());
}

/// None before the first frame, and while the machine is busy.
async fn preview(stage: &Stage, running: &Running) -> Option<Frame> {
    let answer = stage.caller().get(&path(&running.egress_id)).await;
    if matches!(answer.status, 409 | 503) {
        return None;
    }
    assert_eq!((answer.status, answer.content_type.as_str()), (200, "image/jpeg"), "{}", answer.text);
    std::fs::write(file(stage), &answer.bytes).expect("the test's folder can be written to");
    Some(Frame::of_jpeg(&file(stage)))
}

fn path(egress_id: &str) -> String {
    format!("/v1/recordings/{egress_id}/preview.jpg")
}

fn file(stage: &Stage) -> std::path::PathBuf {
    stage.folder().join("preview.jpg")
}

fn near(found: [u8; 3], expected: [u8; 3]) -> bool {
    found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= COLOUR_TOLERANCE)
}
