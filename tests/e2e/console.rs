//! The web console in a Chromium: a recording from sign-in to the player, by clicks.

use serde_json::json;

use crate::picture::plain;
use crate::support::stage::Stage;
use crate::support::tools;

/// A room whose name a careless page would run.
const ROOM: &str = "<img src=x onerror=alert(1)>";

#[test]
fn what_of_the_console_needs_no_browser_is_right() {
    tools::output(&mut tools::node("console.test.mjs"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recording_is_started_watched_stopped_and_played_by_clicks() {
    let mut stage = Stage::open(ROOM).await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let mut browser = stage.console();
    let seen = tokio::task::spawn_blocking(move || tools::json(&mut browser)).await.expect("no panic");

    assert_eq!(seen["complaints"], json!([]), "{seen}");
    assert_eq!(seen["wrongSecret"], "The secret does not belong to this API key.");
    assert!(seen["empty"].as_str().is_some_and(|text| text.contains("Nothing is being recorded")), "{seen}");
    assert_eq!(seen["noSuchRoom"], "No such room in LiveKit.");
    assert_eq!(seen["title"], ROOM);
    assert_eq!(seen["picture"], json!([1280, 720]));
    assert_eq!(seen["people"], "\u{2068}ann\u{2069}");
    assert_eq!(seen["finished"], "Complete");
    assert_eq!(
        (&seen["film"]["videoWidth"], &seen["film"]["videoHeight"]),
        (&json!(1280), &json!(720)),
        "{seen}"
    );
    assert!(seen["download"].as_str().is_some_and(|name| name.ends_with(".mp4")), "{seen}");
    // Neither the key nor the secret is left anywhere, nor is anything that was shown.
    assert_eq!(
        seen["kept"].as_array().map(|kept| kept[..3].to_vec()),
        Some(vec![0.into(), 0.into(), "".into()])
    );
    assert!(seen["kept"][3].as_str().is_some_and(|address| address.ends_with("/console")), "{seen}");
    assert_eq!(seen["afterwards"], 0);

    let listed = stage.caller().get("/v1/recordings").await;
    let recording = &listed.json["recordings"][0];
    assert_eq!(
        (&recording["roomId"], &recording["status"]),
        (&json!(ROOM), &json!("complete")),
        "{listed:?}"
    );
    assert_eq!(recording["options"]["layout"], "speaker", "the layout was changed by the console");
}
