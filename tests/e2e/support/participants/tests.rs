//! Participants publish what they were asked to, as LiveKit sees it. Nobody records here.

use std::time::{Duration, Instant};

use super::*;
use crate::support::publication::{Layers, Picture};
use crate::support::servers::Network;

const ROOM: &str = "publishers";
const LARGE: Publication = Publication { size: (1280, 720), ..Publication::DEFAULT };

const LIMIT: Duration = Duration::from_secs(20);

/// A publication, and what LiveKit must make of it: the codec, and the heights of its layers.
const KINDS: [(Publication, &str, &[u64]); 7] = [
    (Publication { picture: Picture::Noise, ..Publication::DEFAULT }, "video/VP8", &[360]),
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_codec_is_published_in_the_layers_that_were_asked_for() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let livekit = LiveKit::start(folder.path(), Network::Direct).await;
    let mut participants = Participants::start(folder.path(), &livekit, ROOM);
    for (publication, codec, heights) in KINDS {
        participants.join("ann", Act::Publish(publication));
        let camera = track(&livekit, "CAMERA").await;
        assert_eq!(camera["mime_type"], codec, "{publication:?}");
        let layers = camera["layers"].as_array().expect("a list of layers");
        let mut found: Vec<u64> = layers.iter().filter_map(|layer| layer["height"].as_u64()).collect();
        found.sort_unstable();
        assert_eq!(found, heights, "{publication:?}");
        participants.leave("ann");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_does_as_it_is_told() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let livekit = LiveKit::start(folder.path(), Network::Direct).await;
    let mut participants = Participants::start(folder.path(), &livekit, ROOM);
    let quarters = Publication { dtx: true, picture: Picture::Quarters([1, 2, 3]), ..LARGE };
    participants.join_as("ann", "Ann of Green Gables", Act::Publish(quarters));
    assert_eq!(livekit.participants(ROOM).await[0]["name"], "Ann of Green Gables");
    let microphone = track(&livekit, "MICROPHONE").await;
    assert_eq!(microphone["audio_features"], json!([]), "not TF_NO_DTX: {microphone}");
    participants.mute_microphone("ann");
    until(async || track(&livekit, "MICROPHONE").await["muted"] == true).await;
    participants.unmute_microphone("ann");
    participants.share_screen("ann", Publication { picture: Picture::Flash, ..LARGE });
    assert_eq!(track(&livekit, "SCREEN_SHARE").await["height"], 720);
    participants.unshare_screen("ann");
    // LiveKit's list does not tell of these; that the commands are understood is what is seen here.
    participants.resize("ann", (361, 641));
    participants.rotate("ann", 90);
    participants.silence("ann");
    participants.speak("ann");
    assert_eq!(livekit.participants(ROOM).await[0]["tracks"].as_array().map(Vec::len), Some(2));
}

/// The only participant's track from a source, once LiveKit has it.
async fn track(livekit: &LiveKit, source: &str) -> Value {
    let mut found = Value::Null;
    until(async || {
        let participants = livekit.participants(ROOM).await;
        let tracks = participants[0]["tracks"].as_array().into_iter().flatten();
        found = tracks.into_iter().find(|track| track["source"] == source).cloned().unwrap_or_default();
        !found.is_null()
    })
    .await;
    found
}

/// Waits for what LiveKit does of its own accord a moment later.
async fn until(mut done: impl AsyncFnMut() -> bool) {
    let begin = Instant::now();
    while !done().await {
        assert!(begin.elapsed() < LIMIT, "LiveKit does not come to know of it");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
