//! The health check: 200 only while a recording could be started, and which component is in its way.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::check::NO_PLUGINS;
use crate::picture::plain;
use crate::support::service::kill_hard;
use crate::support::stage::{Options, Stage};

const RED: [u8; 3] = [200, 40, 40];
/// A question may take five seconds, and the next one comes five seconds later. A busy machine takes its time.
const NOTICED: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_livekit_server_that_is_away_is_noticed_and_so_is_its_return() {
    let mut stage = Stage::open("away").await;
    let ok = json!({"status": "ok"});
    let all = ["database", "livekit", "encoders", "store", "disk", "capacity"];
    let components: Value = all.map(|name| (name.to_owned(), ok.clone())).into_iter().collect();
    assert_eq!(until(&stage, 200).await, json!({"status": "ok", "components": components}));
    kill_hard(stage.livekit.id());
    let health = until(&stage, 503).await;
    assert_eq!(health["status"], "unavailable");
    let reason = json!({"status": "unavailable", "reason": "no answer from LiveKit"});
    assert_eq!(health["components"]["livekit"], reason);
    assert_eq!(health["components"]["encoders"], ok);
    stage.livekit.start_again().await;
    assert_eq!(until(&stage, 200).await["components"]["livekit"], ok);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_has_no_place_left_says_so_until_it_has() {
    let settings = &[("EGRESSD_MAX_RECORDINGS", "1")];
    let mut stage = Stage::open_with("places", Options { settings, ..Options::default() }).await;
    stage.participants.join("ann", plain("vp8", RED, 400));
    until(&stage, 200).await;
    stage.record().await;
    let health = until(&stage, 503).await;
    let reason = json!({"status": "unavailable", "reason": "as many recordings run as are allowed"});
    assert_eq!(health["components"]["capacity"], reason);
    stage.stop().await;
    until(&stage, 200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_without_encoders_is_not_well() {
    let stage = Stage::open_with("encoders", Options { settings: &NO_PLUGINS, ..Options::default() }).await;
    let health = until(&stage, 503).await;
    let encoders = &health["components"]["encoders"];
    let reason = encoders["reason"].as_str().unwrap_or_default();
    assert_eq!(encoders["status"], "unavailable");
    assert!(reason.starts_with("cannot make the encoders"), "{reason}");
    assert_eq!(health["components"]["livekit"]["status"], "ok");
}

/// What the health check says once it answers so.
async fn until(stage: &Stage, status: u16) -> Value {
    let begin = Instant::now();
    loop {
        let answer = stage.caller().get("/v1/health").await;
        if answer.status == status {
            return answer.json;
        }
        assert!(begin.elapsed() < NOTICED, "still {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
