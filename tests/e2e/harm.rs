//! Receivers of webhooks that hang, reset, fail, redirect, flood and drip: each has what is documented, and nobody else
//! notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::picture::plain;
use crate::support::hooks::Receiver;
use crate::support::hostile::{Harm, Hostile};
use crate::support::stage::{Options, Stage};

const RECORDED: Duration = Duration::from_secs(3);
/// An attempt ends after this.
const ATTEMPT_MS: u64 = 10_000;
/// All that is waited for comes within 40 s; the rest is for a busy machine.
const LIMIT: Duration = Duration::from_secs(150);
const FLOOD: u64 = 100 << 20;
/// What the kernel takes in on both sides of a connection before its writer has to wait.
const BUFFERED: u64 = 32 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn receivers_that_mean_harm_get_what_is_documented_and_delay_nobody() {
    let mut stage = Stage::open_with("harm", Options::HALF).await;
    let (well, inside) = (Receiver::start().await, Receiver::start().await);
    let hangs = Hostile::start(Harm::Hangs).await;
    let resets = Hostile::start(Harm::Resets).await;
    let fails = Hostile::start(Harm::Fails { times: 3 }).await;
    let redirects = Hostile::start(Harm::RedirectsTo { url: inside.url().to_owned() }).await;
    let floods = Hostile::start(Harm::Floods { bytes: FLOOD }).await;
    let drips = Hostile::start(Harm::Drips).await;
    let mut logs = Vec::new();
    for hostile in [&hangs, &resets, &fails, &redirects, &floods, &drips] {
        logs.push(Log::of(&stage, hostile.url()).await);
    }
    let [hanging, resetting, failing, redirecting, flooding, dripping] = &logs[..] else {
        unreachable!("there are six")
    };
    Log::of(&stage, well.url()).await;

    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;
    well.until(2, LIMIT).await;
    let told: Vec<_> = well.all().iter().map(|delivery| delivery.json()["event"].clone()).collect();
    assert_eq!(told, ["egress_started", "egress_ended"]);
    // Nothing has become of the one that hangs yet, and its end waits behind its start.
    let [started, ended] = hanging.both(&stage).await;
    assert_eq!((&started["status"], &ended["status"]), (&json!("pending"), &json!("pending")));
    assert_eq!(ended["attempts"], json!([]));

    let started = hanging.attempted(&stage).await;
    assert_eq!(started["attempts"][0]["statusCode"], Value::Null);
    assert_eq!(started["attempts"][0]["reason"], "the receiver did not answer within 10 s");
    assert!(duration_of(&started) >= ATTEMPT_MS, "{started}");
    let started = resetting.attempted(&stage).await;
    let reason = started["attempts"][0]["reason"].as_str().unwrap_or_default();
    assert!(reason.starts_with("the receiver could not be reached: "), "{started}");
    let started = redirecting.attempted(&stage).await;
    assert_eq!((&started["attempts"][0]["statusCode"], inside.all().len()), (&json!(307), 0));

    for log in [flooding, dripping] {
        let both = log.until(&stage, |both| both.iter().all(|one| one["status"] == "delivered")).await;
        assert!(both.iter().all(|one| one["attempts"][0]["statusCode"] == 200), "{both:?}");
    }
    assert!(floods.bytes() < 2 * BUFFERED, "{} bytes were taken", floods.bytes());
    assert!(duration_of(&dripping.both(&stage).await[0]) >= ATTEMPT_MS, "it drips for as long as it is let");
    what_failed_three_times_is_delivered(&stage, failing, &fails).await;
    assert!(hangs.calls() <= 3 && resets.calls() >= 1);
}

/// Its second attempt comes by itself after 5 s, those after it sooner than after 30 s and 5 min, since they are asked for.
async fn what_failed_three_times_is_delivered(stage: &Stage, log: &Log, receiver: &Hostile) {
    let begin = Instant::now();
    while receiver.calls() < 4 {
        let [started, _] = log.both(stage).await;
        let id = started["id"].as_str().expect("an id");
        if started["attempts"].as_array().is_some_and(|attempts| attempts.len() >= 2)
            && started["status"] == "pending"
        {
            let again = stage.caller().post(&format!("{}/{id}/resend", log.path), "").await;
            assert_eq!((again.status, &again.json["id"]), (202, &started["id"]));
        }
        assert!(begin.elapsed() < LIMIT, "{started}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let [started, ended] = log.until(stage, |both| both.iter().all(|one| one["status"] == "delivered")).await;
    let codes: Vec<_> =
        started["attempts"].as_array().into_iter().flatten().map(|attempt| &attempt["statusCode"]).collect();
    assert_eq!(codes, [500, 500, 500, 204]);
    let id = |delivery: &Value| delivery["id"].as_str().unwrap_or_default().to_owned();
    let (first, last) =
        ((id(&started), "egress_started".to_owned()), (id(&ended), "egress_ended".to_owned()));
    let expected = [first.clone(), first.clone(), first.clone(), first, last];
    assert_eq!(receiver.deliveries(), expected, "one id, and nothing before what came earlier");
}

/// How long the first attempt took.
fn duration_of(delivery: &Value) -> u64 {
    delivery["attempts"][0]["durationMs"].as_u64().unwrap_or_else(|| panic!("no attempt: {delivery}"))
}

/// The deliveries of one webhook: that of the start, and that of the end.
struct Log {
    path: String,
}

impl Log {
    async fn of(stage: &Stage, url: &str) -> Self {
        let events = ["egress_started", "egress_ended"];
        let body = json!({"url": url, "secret": "s", "events": events}).to_string();
        let made = stage.caller().post("/v1/webhooks", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        Self { path: format!("/v1/webhooks/{}/deliveries", made.json["id"].as_str().expect("an id")) }
    }

    async fn both(&self, stage: &Stage) -> [Value; 2] {
        let answer = stage.caller().get(&self.path).await;
        let newest_first = answer.json["deliveries"].as_array().cloned().unwrap_or_default();
        let [ended, started] = <[Value; 2]>::try_from(newest_first).unwrap_or_else(|_| panic!("{answer:?}"));
        [started, ended]
    }

    async fn until(&self, stage: &Stage, is: impl Fn(&[Value; 2]) -> bool) -> [Value; 2] {
        let begin = Instant::now();
        loop {
            let both = self.both(stage).await;
            if is(&both) {
                return both;
            }
            assert!(begin.elapsed() < LIMIT, "it does not come to that: {both:#?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The start, once it was attempted.
    async fn attempted(&self, stage: &Stage) -> Value {
        let [started, _] = self.until(stage, |[started, _]| started["attempts"] != json!([])).await;
        started
    }
}
