//! Participants publish what they were asked to, as LiveKit sees it. Nobody records here.

use std::time::{Duration, Instant};

use super::*;
use crate::support::publication::Layers;
use crate::support::servers::Network;
use crate::support::stage::Stage;

const ROOM: &str = "publishers";
const LARGE: Publication = Publication { size: (1280, 720), ..Publication::DEFAULT };

const LIMIT: Duration = Duration::from_secs(20);

/// A publication, and what LiveKit must make of it: the codec, and the heights of its layers.
const KINDS: [(Publication, &str, &[u64]); 7] = [
    (Publication { picture: Picture::Flash, ..Publication::DEFAULT }, "video/VP8", &[360]),
    (Publication { layers: Layers::Simulcast, ..LARGE }, "video/VP8", &[180, 360, 720]),
    (Publication { codec: "h264", layers: Layers::Simulcast, ..LARGE }, "video/H264", &[180, 360, 720]),
    (Publication { codec: "h264-high", ..LARGE }, "video/H264", &[720]),
    (
        Publication { codec: "vp9", layers: Layers::Scalable("L3T3_KEY"), ..LARGE },
        "video/VP9",
        &[180, 360, 720],
    ),
    (Publication { codec: "av1", layers: Layers::Single, ..LARGE }, "video/AV1", &[720]),
    (Publication { codec: "av1", layers: Layers::Scalable("L3T3"), ..LARGE }, "video/AV1", &[180, 360, 720]),
];

/// Likewise of a browser.
const BROWSER_KINDS: [(Publication, &str, &[u64]); 6] = [
    (Publication { picture: Picture::FakeCamera, ..Publication::DEFAULT }, "video/VP8", &[360]),
    (Publication { layers: Layers::Simulcast, ..LARGE }, "video/VP8", &[180, 360, 720]),
    (Publication { codec: "h264", layers: Layers::Simulcast, ..LARGE }, "video/H264", &[180, 360, 720]),
    (Publication { codec: "vp9", layers: Layers::Scalable("L1T3"), ..LARGE }, "video/VP9", &[720]),
    (
        Publication { codec: "vp9", layers: Layers::Scalable("L3T3_KEY"), ..LARGE },
        "video/VP9",
        &[180, 360, 720],
    ),
    (Publication { codec: "av1", layers: Layers::Scalable("L3T3"), ..LARGE }, "video/AV1", &[180, 360, 720]),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_client_publishes_each_codec_in_the_layers_that_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let livekit = LiveKit::start(folder.path(), Network::Direct).await;
    let mut participants = Participants::start(folder.path(), &livekit, ROOM);
    each_is_published(&mut participants, &livekit, &KINDS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_browsers_client_publishes_each_codec_in_the_layers_that_were_asked_for() {
    let mut stage = Stage::open(ROOM).await;
    stage.browser();
    let Stage { browser: Some(participants), livekit, .. } = &mut stage else { panic!("it was started") };
    each_is_published(participants, livekit, &BROWSER_KINDS).await;
    does_as_it_is_told(participants, livekit).await;
    participants.join("eve", Act::Publish(Publication { hertz: &[400, 700], dtx: true, ..LARGE }));
    let microphone = track(livekit, "eve", "MICROPHONE").await;
    assert_eq!(microphone["audio_features"], json!(["TF_STEREO"]), "{microphone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pythons_client_does_as_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let livekit = LiveKit::start(folder.path(), Network::Direct).await;
    let mut participants = Participants::start(folder.path(), &livekit, ROOM);
    participants.join("turned", Act::Publish(LARGE));
    participants.rotate("turned", 90);
    participants.leave("turned");
    does_as_it_is_told(&mut participants, &livekit).await;
}

async fn each_is_published(
    participants: &mut Participants,
    livekit: &LiveKit,
    kinds: &[(Publication, &str, &[u64])],
) {
    for (number, (publication, codec, heights)) in kinds.iter().enumerate() {
        let identity = format!("kind {number}");
        participants.join(&identity, Act::Publish(*publication));
        let camera = track(livekit, &identity, "CAMERA").await;
        assert_eq!(camera["mime_type"], *codec, "{publication:?}");
        let layers = camera["layers"].as_array().expect("a list of layers");
        let mut found: Vec<u64> = layers.iter().filter_map(|layer| layer["height"].as_u64()).collect();
        found.sort_unstable();
        assert_eq!(found, *heights, "{publication:?}");
        participants.leave(&identity);
    }
}

async fn does_as_it_is_told(participants: &mut Participants, livekit: &LiveKit) {
    let quarters = Publication { dtx: true, picture: Picture::Quarters([1, 2, 3]), ..LARGE };
    participants.join_as("ann", "Ann of Green Gables", Act::Publish(quarters));
    assert_eq!(participant(livekit, "ann").await["name"], "Ann of Green Gables");
    let microphone = track(livekit, "ann", "MICROPHONE").await;
    let features = microphone["audio_features"].as_array().expect("a list of features");
    assert!(!features.contains(&json!("TF_NO_DTX")), "{microphone}");
    participants.mute_microphone("ann");
    until(async || track(livekit, "ann", "MICROPHONE").await["muted"] == true).await;
    participants.unmute_microphone("ann");
    participants.share_screen("ann", LARGE);
    assert_eq!(track(livekit, "ann", "SCREEN_SHARE").await["height"], 720);
    participants.unshare_screen("ann");
    until(async || participant(livekit, "ann").await["tracks"].as_array().map(Vec::len) == Some(2)).await;
    // LiveKit's list does not tell of these; that the commands are understood is what is seen here.
    participants.resize("ann", (361, 641));
    participants.silence("ann");
    participants.speak("ann");
    participants.leave("ann");
}

/// A participant's track from a source, once LiveKit has it.
async fn track(livekit: &LiveKit, identity: &str, source: &str) -> Value {
    let mut found = Value::Null;
    until(async || {
        let participant = participant(livekit, identity).await;
        let mut tracks = participant["tracks"].as_array().into_iter().flatten();
        found = tracks.find(|track| track["source"] == source).cloned().unwrap_or_default();
        !found.is_null()
    })
    .await;
    found
}

async fn participant(livekit: &LiveKit, identity: &str) -> Value {
    let participants = livekit.participants(ROOM).await;
    let mut participants = participants.as_array().into_iter().flatten();
    participants.find(|participant| participant["identity"] == identity).cloned().unwrap_or_default()
}

/// Waits for what LiveKit does of its own accord a moment later.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !done().await {
        assert!(begin.elapsed() < LIMIT, "LiveKit does not come to know of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
