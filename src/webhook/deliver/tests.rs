//! Deliveries over real connections to a receiver on the loopback interface.

use std::net::TcpListener as StdListener;
use std::path::Path;

use futures_util::FutureExt;
use tempfile::TempDir;
use tokio::net::TcpListener;

use super::*;
use crate::ids::{EgressId, RoomName, WebhookId};
use crate::options::RecordingOptions;
use crate::store::{
    DeliveryRow, DeliveryState, DeliveryStatus, Ending, Exclusivity, Inserted, NewRecording, Outcome,
    WebhookRow, WebhookSource,
};
use crate::webhook::event::egress_ended;
use crate::webhook::sender::DELIVERY_HEADER;
use crate::webhook::signature::signature;
use crate::webhook::testing::{answer, header};
use crate::webhook::{Registry, Trial, WebhookChange};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const ERROR: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

/// A store with one webhook and one delivery that is due.
struct Outbox {
    dir: TempDir,
    store: Store,
    webhook: WebhookId,
    body: String,
}

impl Outbox {
    async fn to(url: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = open(dir.path());
        let webhook = register(&store, url).await;
        let body = end_a_recording(&store).await;
        Self { dir, store, webhook, body }
    }

    /// Makes the attempts that are due at `now`; returns the delivery with its result.
    async fn deliver(&self, targets: TargetPolicy, now: Timestamp) -> DeliveryRow {
        let mut deliverer = Deliverer::new(self.store.clone(), targets).unwrap();
        deliverer.start_due(now).await.unwrap();
        deliverer.drain().await;
        self.delivery().await
    }

    async fn delivery(&self) -> DeliveryRow {
        self.store.all_deliveries(&self.webhook).await.remove(0)
    }
}

fn statuses(delivery: &DeliveryRow) -> Vec<Option<u16>> {
    delivery.attempts.iter().map(|attempt| attempt.status).collect()
}

fn last_reason(delivery: &DeliveryRow) -> String {
    delivery.attempts.last().unwrap().reason.clone().unwrap()
}

fn open(dir: &Path) -> Store {
    Store::open(&dir.join("egressd.db")).unwrap()
}

async fn register(store: &Store, url: &str) -> WebhookId {
    let webhook = WebhookId::random();
    let row = WebhookRow {
        id: webhook.clone(),
        url: url.to_owned(),
        secret: "whsec".into(),
        events: vec!["*".to_owned()],
        created_at: Timestamp::now(),
        source: WebhookSource::Api,
    };
    store.insert_webhook(row).await.unwrap();
    webhook
}

async fn end_a_recording(store: &Store) -> String {
    let egress_id = EgressId::random();
    let room: RoomName = "room".parse().unwrap();
    let new = NewRecording {
        egress_id: egress_id.clone(),
        room: room.clone(),
        exclusivity: Exclusivity::Exclusive,
        started_at: Timestamp::now(),
        key: "room/1.mp4".to_owned(),
        options: RecordingOptions::default(),
    };
    assert!(matches!(store.insert_recording(new).await.unwrap(), Inserted::New(_)));
    let outcome = Outcome::Failed { error: "nothing came".to_owned(), saved: None };
    let event = egress_ended(&egress_id, &room, &outcome);
    let body = event.body.clone();
    let ending = Ending { outcome, ended_at: Timestamp::now() };
    store.end_recording(&egress_id, ending, event).await.unwrap();
    body
}

async fn receiver() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook?a=1", listener.local_addr().unwrap());
    (listener, url)
}

/// Returns whether there was a connection. The attempt must be over when this is called.
fn was_reached(listener: &StdListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    listener.accept().is_ok()
}

#[tokio::test]
async fn a_delivery_carries_the_exact_body_its_signature_its_event_and_its_id() {
    let (listener, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    let deliver = outbox.deliver(TargetPolicy::AnyAddress, Timestamp::now());
    let (request, delivery) = tokio::join!(answer(&listener, OK), deliver);

    assert!(request.starts_with("POST /hook?a=1 HTTP/1.1\r\n"), "{request}");
    assert!(request.ends_with(&format!("\r\n\r\n{}", outbox.body)), "{request}");
    let expected = signature(&"whsec".into(), outbox.body.as_bytes());
    assert_eq!(header(&request, "X-RTCstack-Webhook-Signature"), Some(&*expected));
    assert_eq!(header(&request, "X-RTCstack-Webhook-Event"), Some("egress_ended"));
    assert_eq!(header(&request, "X-RTCstack-Webhook-Delivery"), Some(delivery.id.as_str()));
    assert_eq!(header(&request, "Content-Type"), Some("application/json"));
    assert_eq!(delivery.state.status(), DeliveryStatus::Delivered);
    assert_eq!(statuses(&delivery), [Some(200)]);
}

#[tokio::test]
async fn a_delivery_that_was_answered_500_is_made_again_with_the_same_id() {
    let (listener, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    let before = Timestamp::now();
    let deliver = outbox.deliver(TargetPolicy::AnyAddress, before);
    let (first, delivery) = tokio::join!(answer(&listener, ERROR), deliver);

    assert_eq!(statuses(&delivery), [Some(500)]);
    let DeliveryState::Pending { next_attempt_at } = delivery.state else {
        panic!("{delivery:?}");
    };
    assert!(next_attempt_at.duration_since(before).as_millis() >= 4999);
    assert!(outbox.store.due_deliveries(before, 10).await.unwrap().is_empty());

    let deliver = outbox.deliver(TargetPolicy::AnyAddress, next_attempt_at);
    let (second, delivery) = tokio::join!(answer(&listener, OK), deliver);
    assert_eq!(delivery.state.status(), DeliveryStatus::Delivered);
    let id = |request| header(request, DELIVERY_HEADER).unwrap().to_owned();
    assert_eq!(id(&first), id(&second));
}

/// The waits are the documented ones: nothing is due a moment earlier.
#[tokio::test]
async fn a_receiver_that_fails_three_times_is_told_after_5_s_30_s_and_5_min() {
    let (listener, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    let mut now = Timestamp::now();
    for wait_s in [5, 30, 300] {
        let deliver = outbox.deliver(TargetPolicy::AnyAddress, now);
        let (_, delivery) = tokio::join!(answer(&listener, ERROR), deliver);
        let DeliveryState::Pending { next_attempt_at } = delivery.state else { panic!("{delivery:?}") };
        let noted = delivery.attempts.last().unwrap();
        let wait = next_attempt_at.duration_since(noted.at + noted.took);
        assert!((wait_s * 1000 - 1..wait_s * 2000).contains(&wait.as_millis()), "{wait_s} s: {wait:?}");
        let just_before = next_attempt_at - Duration::from_millis(1);
        assert!(outbox.store.due_deliveries(just_before, 10).await.unwrap().is_empty());
        now = next_attempt_at;
    }
    let deliver = outbox.deliver(TargetPolicy::AnyAddress, now);
    let (_, delivery) = tokio::join!(answer(&listener, OK), deliver);
    assert_eq!(delivery.state.status(), DeliveryStatus::Delivered);
    assert_eq!(statuses(&delivery), [Some(500), Some(500), Some(500), Some(200)]);
}

#[tokio::test]
async fn a_delivery_is_given_up_after_four_attempts_and_kept() {
    let (listener, url) = receiver().await;
    drop(listener);
    let outbox = Outbox::to(&url).await;
    let mut now = Timestamp::now();
    loop {
        match outbox.deliver(TargetPolicy::AnyAddress, now).await {
            DeliveryRow { state: DeliveryState::Pending { next_attempt_at }, .. } => {
                now = next_attempt_at;
            }
            delivery => {
                assert_eq!(delivery.state.status(), DeliveryStatus::Failed);
                assert_eq!(statuses(&delivery), [None; 4]);
                assert!(last_reason(&delivery).contains("could not be reached"));
                return;
            }
        }
    }
}

/// The kernel accepts the connection and nobody answers. The time limit is short here.
#[tokio::test]
async fn a_receiver_that_does_not_answer_in_time_is_a_failed_attempt() {
    let silent = StdListener::bind("127.0.0.1:0").unwrap();
    let outbox = Outbox::to(&format!("http://{}/", silent.local_addr().unwrap())).await;
    let targets = TargetPolicy::AnyAddress;
    let mut deliverer = Deliverer::new(outbox.store.clone(), targets).unwrap();
    deliverer.sender = Sender::with_timeout(targets, Duration::from_millis(20)).unwrap();

    deliverer.start_due(Timestamp::now()).await.unwrap();
    deliverer.drain().await;
    let delivery = outbox.delivery().await;
    assert_eq!(statuses(&delivery), [None]);
    let error = last_reason(&delivery);
    assert!(error.contains("did not answer within"), "{error}");
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = StdListener::bind("127.0.0.1:0").unwrap();
    let redirect = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{}/\r\ncontent-length: 0\r\n\r\n",
        elsewhere.local_addr().unwrap()
    );
    let (listener, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    let deliver = outbox.deliver(TargetPolicy::AnyAddress, Timestamp::now());
    let (_, delivery) = tokio::join!(answer(&listener, &redirect), deliver);

    assert_eq!(statuses(&delivery), [Some(307)]);
    assert!(matches!(delivery.state, DeliveryState::Pending { .. }));
    assert!(!was_reached(&elsewhere));
}

#[tokio::test]
async fn an_address_that_is_not_public_is_never_connected_to() {
    let inside = StdListener::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "localhost"] {
        let outbox = Outbox::to(&format!("http://{host}:{port}/")).await;
        let delivery = outbox.deliver(TargetPolicy::PublicOnly, Timestamp::now()).await;
        let error = last_reason(&delivery);
        assert!(error.starts_with("url leads to") && !error.contains("127.0.0.1"), "{host}: {error}");
        assert!(!was_reached(&inside), "{host}");
    }
}

#[tokio::test]
async fn what_was_pending_at_a_restart_is_delivered_after_it() {
    let (listener, url) = receiver().await;
    let Outbox { dir, store, webhook, body } = Outbox::to(&url).await;
    drop(store);

    let store = open(dir.path());
    let cancel = CancellationToken::new();
    let deliverer = Deliverer::new(store.clone(), TargetPolicy::AnyAddress).unwrap();
    let running = tokio::spawn(deliverer.run(cancel.clone()));
    let request = answer(&listener, OK).await;
    cancel.cancel();
    running.await.unwrap();

    assert!(request.ends_with(&body));
    let delivery = store.all_deliveries(&webhook).await.remove(0);
    assert_eq!(delivery.state.status(), DeliveryStatus::Delivered);
}

#[tokio::test]
async fn a_running_deliverer_is_woken_by_a_new_event() {
    let (listener, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    let cancel = CancellationToken::new();
    let deliverer = Deliverer::new(outbox.store.clone(), TargetPolicy::AnyAddress).unwrap();
    let running = tokio::spawn(deliverer.run(cancel.clone()));
    answer(&listener, OK).await;

    let second = end_a_recording(&outbox.store).await;
    let request = answer(&listener, OK).await;
    assert!(request.ends_with(&second));
    cancel.cancel();
    running.await.unwrap();
}

/// More events wait for this receiver than are sent at a time.
#[tokio::test]
async fn a_receiver_that_hangs_holds_up_no_other() {
    let (hangs, url) = receiver().await;
    let outbox = Outbox::to(&url).await;
    for _ in 0..2 * IN_FLIGHT_PER_WEBHOOK {
        end_a_recording(&outbox.store).await;
    }
    let cancel = CancellationToken::new();
    let deliverer = Deliverer::new(outbox.store.clone(), TargetPolicy::AnyAddress).unwrap();
    let running = tokio::spawn(deliverer.run(cancel.clone()));
    let mut unanswered = Vec::new();
    for _ in 0..IN_FLIGHT_PER_WEBHOOK {
        unanswered.push(hangs.accept().await.unwrap());
    }

    let (listener, url) = receiver().await;
    register(&outbox.store, &url).await;
    let last = end_a_recording(&outbox.store).await;
    assert!(answer(&listener, OK).await.ends_with(&last));
    assert!(hangs.accept().now_or_never().is_none(), "no more than so many at a time");
    running.abort();
}

#[tokio::test]
async fn what_is_pending_goes_to_where_its_webhook_is_by_then() {
    let (old, url) = receiver().await;
    drop(old);
    let outbox = Outbox::to(&url).await;
    let (listener, url) = receiver().await;
    let registry = Registry::new(outbox.store.clone(), TargetPolicy::AnyAddress).unwrap();
    let change = WebhookChange { url: Some(url), secret: Some("another".into()), events: None };
    registry.change(&outbox.webhook, change).await.unwrap();
    let deliver = outbox.deliver(TargetPolicy::AnyAddress, Timestamp::now());
    let (request, delivery) = tokio::join!(answer(&listener, OK), deliver);
    assert_eq!(delivery.state.status(), DeliveryStatus::Delivered);
    let expected = signature(&"another".into(), outbox.body.as_bytes());
    assert_eq!(header(&request, "X-RTCstack-Webhook-Signature"), Some(&*expected));
}

#[tokio::test]
async fn a_test_reaches_no_address_that_is_not_public_and_tells_none() {
    let inside = StdListener::bind("127.0.0.1:0").unwrap();
    let port = inside.local_addr().unwrap().port();
    for host in ["127.0.0.1", "localhost"] {
        let outbox = Outbox::to(&format!("http://{host}:{port}/")).await;
        let registry = Registry::new(outbox.store.clone(), TargetPolicy::PublicOnly).unwrap();
        let trial = registry.try_out(&outbox.webhook, Timestamp::now()).await.unwrap();
        let Trial::Failed { status: None, reason } = trial else { panic!("{trial:?}") };
        assert!(reason.starts_with("url leads to") && !reason.contains("127.0.0.1"), "{host}: {reason}");
        assert!(!was_reached(&inside), "{host}");
        let deliveries = outbox.store.all_deliveries(&outbox.webhook).await;
        assert_eq!(deliveries.len(), 1, "a test is not written down");
    }
}
