//! Proof 5: `egress_ended` has its six keys, tells the truth about the object, and is signed; and what other events there
//! are.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};

use crate::picture::plain;
use crate::support::hooks::Receiver;
use crate::support::rest::{keys, signature};
use crate::support::stage::{Options, Stage, object_key};

const SECRET: &str = "a-webhook-secret";
const RECORDED: Duration = Duration::from_secs(6);
/// A recording this short is in the bucket at once; the rest is for a busy machine.
const DELIVERED: Duration = Duration::from_secs(60);
/// The event's duration is in whole seconds, rounded.
const ROUNDING_S: f64 = 0.5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn egress_ended_tells_exactly_what_lies_in_the_bucket() {
    let mut stage = Stage::open_with("hooked", Options::HALF).await;
    let receiver = Receiver::start().await;
    let id = register(&stage, &receiver).await;
    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    tokio::time::sleep(RECORDED).await;
    stage.stop().await;

    let delivery = receiver.first(DELIVERED).await;
    // The promise is that the file is complete before the event is sent: no waiting for it here.
    let key = object_key("hooked", &running.started_at);
    let head = stage.minio.head(&key);
    let event = delivery.json();
    assert_eq!(keys(&event), ["duration", "egressId", "event", "file", "roomId", "size"]);
    assert_eq!((&event["event"], &event["roomId"]), (&"egress_ended".into(), &"hooked".into()));
    assert_eq!(
        (&event["egressId"], &event["file"]),
        (&running.egress_id.as_str().into(), &key.as_str().into())
    );
    assert_eq!(event["size"], head["size"]);
    assert_eq!(head["contentType"], "video/mp4");

    let recording = stage.fetch(&running).await;
    let told = event["duration"].as_u64().expect("whole seconds") as f64;
    let lasts = recording.duration("v");
    assert!((told - lasts).abs() <= ROUNDING_S, "{told} s were told, the file lasts {lasts} s");

    let expected = format!("sha256={}", signature(SECRET, &["body"], &delivery.body));
    assert_eq!(delivery.header("x-rtcstack-webhook-signature"), expected);
    assert_eq!(delivery.header("x-rtcstack-webhook-event"), "egress_ended");
    assert!(!delivery.header("x-rtcstack-webhook-delivery").is_empty());
    assert_eq!(delivery.header("content-type"), "application/json");

    assert_eq!(receiver.all().len(), 1, "one end, one event");
    a_test_arrives_signed(&stage, &receiver, &id).await;
    delete(&stage, &id).await;
}

/// `*` by default: every event there is, each once and in its order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_webhook_of_the_configuration_is_told_everything_in_its_order_and_outlives_a_restart() {
    let receiver = Receiver::start().await;
    // Settings are those of a test that knows them beforehand; the receiver's port is found when it starts.
    let url: &'static str = receiver.url().to_owned().leak();
    let settings = vec![("WEBHOOK_URL", url), ("WEBHOOK_SECRET", SECRET)].leak();
    let mut stage = Stage::open_with("configured", Options { settings, ..Options::HALF }).await;
    let listed = stage.caller().get("/v1/webhooks").await.json;
    let webhook = &listed["webhooks"][0];
    assert_eq!(keys(webhook), ["createdAt", "events", "id", "static", "url"]);
    assert_eq!((&webhook["url"], &webhook["static"]), (&url.into(), &true.into()));

    stage.participants.join("ann", plain("vp8", [200, 40, 40], 400));
    let running = stage.record().await;
    let change = stage.caller().sign(Method::PATCH, &stage.path(""), r#"{"layout":"speaker-light"}"#);
    assert_eq!(stage.caller().send(change).await.status, 200);
    tokio::time::sleep(Duration::from_secs(2)).await;
    stage.stop().await;
    receiver.until(6, DELIVERED).await;
    let told: Vec<Value> = receiver.all().iter().map(|delivery| delivery.json()).collect();
    everything_was_told(&told);
    let of_it = |event: &Value| event["egressId"] == running.egress_id && event["roomId"] == "configured";
    assert!(told.iter().all(of_it), "{told:#?}");
    for delivery in receiver.all() {
        let expected = format!("sha256={}", signature(SECRET, &["body"], &delivery.body));
        assert_eq!(delivery.header("x-rtcstack-webhook-signature"), expected);
    }

    let one = format!("/v1/webhooks/{}", word(webhook, "id"));
    // What the service dies before it has noted would rightly come again.
    until_delivered(&stage, &one, 6).await;
    stage.service.start_again().await;
    assert_eq!(stage.caller().get("/v1/webhooks").await.json, listed, "the same as before the restart");
    assert_eq!(stage.caller().delete(&one).await.status, 409);
    until_delivered(&stage, &one, 6).await;
    assert_eq!(receiver.all().len(), 6, "nothing was told twice");
}

async fn until_delivered(stage: &Stage, webhook: &str, number: usize) {
    let begin = Instant::now();
    loop {
        let log = stage.caller().get(&format!("{webhook}/deliveries?status=delivered")).await.json;
        if log["deliveries"].as_array().is_some_and(|deliveries| deliveries.len() == number) {
            return;
        }
        assert!(begin.elapsed() < DELIVERED, "{log}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Of a recording whose view was changed once.
fn everything_was_told(told: &[Value]) {
    let words: Vec<_> = told.iter().map(|event| [word(event, "event"), word(event, "status")]).collect();
    let updated = |status: &str| ["egress_updated".to_owned(), status.to_owned()];
    let untold = |event: &str| [event.to_owned(), String::new()];
    let mut expected = [
        updated("active"),
        untold("egress_started"),
        updated("active"),
        updated("stopping"),
        updated("uploading"),
        untold("egress_ended"),
    ];
    // Whether the view was changed before or after the first media is a matter of milliseconds.
    if words[1] != expected[1] {
        expected.swap(1, 2);
    }
    assert_eq!(words, expected);
    let updates: Vec<_> = told.iter().filter(|event| event["event"] == "egress_updated").collect();
    for update in &updates {
        assert_eq!(keys(update), ["egressId", "event", "fit", "layout", "roomId", "status", "updatedAt"]);
    }
    let layouts: Vec<_> = updates.iter().map(|update| word(update, "layout")).collect();
    assert_eq!(layouts, ["grid", "speaker-light", "speaker-light", "speaker-light"]);
    let started = told.iter().find(|event| event["event"] == "egress_started").expect("it was told");
    assert_eq!(keys(started), ["egressId", "event", "roomId", "startedAt"]);
}

fn word(object: &Value, key: &str) -> String {
    object[key].as_str().unwrap_or_default().to_owned()
}

async fn a_test_arrives_signed(stage: &Stage, receiver: &Receiver, id: &str) {
    let tried = stage.caller().post(&format!("/v1/webhooks/{id}/test"), "").await;
    assert_eq!((tried.status, &tried.json), (200, &json!({"delivered": true, "statusCode": 204})));
    let deliveries = receiver.all();
    let test = deliveries.last().expect("it was answered with 204");
    assert_eq!((deliveries.len(), &test.json()["event"]), (2, &"test".into()));
    let expected = format!("sha256={}", signature(SECRET, &["body"], &test.body));
    assert_eq!(test.header("x-rtcstack-webhook-signature"), expected);
    assert_eq!(test.header("x-rtcstack-webhook-event"), "test");
}

async fn register(stage: &Stage, receiver: &Receiver) -> String {
    let body = json!({"url": receiver.url(), "secret": SECRET, "events": ["egress_ended"]}).to_string();
    let made = stage.caller().post("/v1/webhooks", &body).await;
    assert_eq!((made.status, made.keys()), (201, vec!["createdAt", "events", "id", "url"]), "{made:?}");
    assert_eq!((&made.json["url"], &made.json["events"]), (&receiver.url().into(), &json!(["egress_ended"])));
    let listed = stage.caller().get("/v1/webhooks").await;
    assert_eq!(
        (listed.status, &listed.json),
        (200, &json!({"webhooks": [made.json]})),
        "a secret is never shown again"
    );
    made.json["id"].as_str().expect("an id").to_owned()
}

async fn delete(stage: &Stage, id: &str) {
    let gone = stage.caller().delete(&format!("/v1/webhooks/{id}")).await;
    assert!(matches!(gone.status, 200 | 204), "{gone:?}");
    let listed = stage.caller().get("/v1/webhooks").await;
    assert_eq!(listed.json, json!({"webhooks": []}));
}
