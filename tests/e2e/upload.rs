//! Proof 6: a large recording is in the bucket, in parts, while it still runs; a small one is readable too.

use std::time::Duration;

use serde_json::json;

use crate::picture::{plain, the_streams_are_h264_and_aac};
use crate::support::participants::Act;
use crate::support::probe::Recording;
use crate::support::stage::{Options, Running, Stage, object_key};

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
    let mut stage = Stage::open_with("small", Options::HALF).await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    let early = stage.caller().get(&url_path(&running, "")).await;
    assert_eq!((early.status, &early.json["title"]), (409, &"Conflict".into()), "{early:?}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    stage.stop().await;
    let recording = stage.fetch(&running).await;
    the_streams_are_h264_and_aac(&recording);
    assert_eq!(recording.complaints(), "", "FFmpeg decodes the whole file in silence");
    assert!(stage.minio.unfinished_parts(&object_key("small", &running.started_at)).is_empty());
    stage.report(&running).await;
    its_url_gives_the_file_until_it_expires(&stage, &running, &recording).await;
    the_list_shows_it_as_it_is(&stage, &running).await;
}

fn url_path(running: &Running, query: &str) -> String {
    format!("/v1/recordings/{}/url{query}", running.egress_id)
}

/// The client here knows nothing of S3: the address alone opens the file.
async fn its_url_gives_the_file_until_it_expires(stage: &Stage, running: &Running, recording: &Recording) {
    let http = reqwest::Client::builder().no_proxy().build().expect("a client without options");
    let url = async |query: &str| {
        let answer = stage.caller().get(&url_path(running, query)).await;
        assert_eq!((answer.status, answer.keys()), (200, vec!["expiresAt", "url"]), "{answer:?}");
        answer.json["url"].as_str().expect("an address").to_owned()
    };
    let whole = http.get(url("").await).send().await.expect("MinIO answers");
    assert_eq!((whole.status().as_u16(), &whole.headers()["content-type"] == "video/mp4"), (200, true));
    let bytes = whole.bytes().await.expect("a whole file");
    assert!(bytes == std::fs::read(recording.path()).expect("the download is a file"), "another file");
    let start = http.get(url("?expiresIn=604800").await).header("range", "bytes=4-7").send().await;
    let start = start.expect("MinIO answers");
    assert_eq!(start.status().as_u16(), 206);
    assert_eq!(start.bytes().await.expect("four bytes").as_ref(), b"ftyp");

    let brief = url("?expiresIn=1").await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(http.get(brief).send().await.expect("MinIO answers").status().as_u16(), 403);
}

async fn the_list_shows_it_as_it_is(stage: &Stage, running: &Running) {
    let mut one = stage.caller().get(&format!("/v1/recordings/{}", running.egress_id)).await.json;
    one.as_object_mut().expect("an object").remove("quality").expect("a report");
    let listed = stage.caller().get("/v1/recordings?roomId=small&status=complete&limit=1").await;
    assert_eq!((listed.status, listed.json), (200, json!({"recordings": [one], "nextCursor": null})));
    let others = stage.caller().get("/v1/recordings?roomId=large").await;
    assert_eq!(others.json, json!({"recordings": [], "nextCursor": null}));
}
