//! Proof 6: a large recording is in the bucket, in parts, while it still runs; a small one is readable too.

use std::time::Duration;

use crate::picture::{plain, the_streams_are_h264_and_aac};
use crate::support::participants::Act;
use crate::support::stage::{Stage, object_key};

const RECORDED: Duration = Duration::from_secs(60);
/// More than the three parts of 5 MiB that S3 allows as the smallest.
const LARGE: u64 = 15_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_recording_is_uploaded_in_parts_while_it_runs() {
    let mut stage = Stage::open("busy").await;
    for name in ["ann", "bob", "cid", "dan"] {
        stage.participants.join(name, Act::Noise);
    }
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    let parts = stage.minio.unfinished_parts(&object_key("busy", &running.started_at));
    stage.stop().await;
    let recording = stage.fetch(&running).await;

    assert!(!parts.is_empty(), "no part was in the bucket before stop");
    let size = std::fs::metadata(recording.path()).expect("the download is a file").len();
    assert!(size > LARGE, "only {size} bytes: the pictures were not busy enough to prove anything");
    the_streams_are_h264_and_aac(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_recording_is_readable_by_a_presigned_url() {
    let mut stage = Stage::open("small").await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    the_streams_are_h264_and_aac(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    assert!(stage.minio.unfinished_parts(&object_key("small", &running.started_at)).is_empty());
}
