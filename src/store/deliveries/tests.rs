//! The outbox and its log, tried on a real database file. Time is an argument everywhere.

use std::time::Duration;

use super::*;
use crate::store::tests::{EVENT, complete, ended, new_recording, now, opened, started, webhook};
use crate::store::{AttemptRow, DeliveryQuery, DeliveryState, DeliveryStatus, Inserted, NewRecording};

fn after(seconds: u64) -> Timestamp {
    now() + Duration::from_secs(seconds)
}

/// Returns the timing of an attempt that took half a second.
fn begun_at(at: Timestamp) -> Timing {
    Timing { at, took: Duration::from_millis(500) }
}

fn answered_500(retry_at: Option<Timestamp>) -> FailedAttempt {
    FailedAttempt { status: Some(500), reason: "the receiver answered 500".to_owned(), retry_at }
}

/// Adds a recording of its own room, which has begun.
async fn begun(store: &Store, room: &str) -> EgressId {
    let new = NewRecording { room: room.parse().unwrap(), key: format!("{room}/1.mp4"), ..new_recording() };
    let Inserted::New(row) = store.insert_recording(new).await.unwrap() else {
        panic!("{room} is being recorded");
    };
    let event = OutboxEvent { name: "egress_started", body: "{}".to_owned() };
    store.media_started(&row.egress_id, now(), event).await.unwrap();
    row.egress_id
}

async fn ends(store: &Store, id: &EgressId) {
    store.end_recording(id, complete(), ended()).await.unwrap();
}

async fn due(store: &Store, at: Timestamp) -> Vec<DueDelivery> {
    store.due_deliveries(at, 100).await.unwrap()
}

fn events<'a>(due: &'a [DueDelivery], webhook: &WebhookId) -> Vec<&'a str> {
    due.iter().filter(|due| due.webhook == *webhook).map(|due| due.event.as_str()).collect()
}

fn all_of(webhook: &WebhookId) -> DeliveryQuery {
    DeliveryQuery { webhook: webhook.clone(), status: None, before: None, limit: 100 }
}

#[tokio::test]
async fn a_failed_attempt_is_due_again_at_its_time_until_it_is_given_up() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    ends(&store, &id).await;
    let first = due(&store, now()).await.remove(0);

    store.delivery_failed(&first, begun_at(now()), answered_500(Some(after(5)))).await.unwrap();
    assert!(due(&store, now()).await.is_empty());
    assert_eq!(store.next_due(now()).await.unwrap(), Some(after(5)));
    let again = due(&store, after(5)).await.remove(0);
    assert_eq!((&again.id, again.failures), (&first.id, 1));

    store.delivery_failed(&again, begun_at(after(5)), answered_500(None)).await.unwrap();
    assert_eq!(store.next_due(now()).await.unwrap(), None);
    let kept = store.all_deliveries(&hook).await.remove(0);
    let took = Duration::from_millis(500);
    assert_eq!(kept.state, DeliveryState::Failed { at: after(5) + took });
    let reason = Some("the receiver answered 500".to_owned());
    let attempt = |at| AttemptRow { at, took, status: Some(500), reason: reason.clone() };
    assert_eq!(kept.attempts, [attempt(now()), attempt(after(5))]);
}

#[tokio::test]
async fn a_later_event_of_a_recording_waits_for_the_earlier_and_only_where_it_is_late() {
    let (_dir, store) = opened();
    let (slow, quick) = (webhook(&store, &["*"]).await, webhook(&store, &["*"]).await);
    let (one, two) = (begun(&store, "one").await, begun(&store, "two").await);
    for delivery in due(&store, now()).await {
        if delivery.webhook == quick {
            store.delivery_succeeded(&delivery, begun_at(now()), 200).await.unwrap();
        }
    }
    let first_of_slow = due(&store, now()).await.remove(0);
    store.delivery_failed(&first_of_slow, begun_at(now()), answered_500(Some(after(5)))).await.unwrap();
    ends(&store, &one).await;
    ends(&store, &two).await;

    // The second recording's start is due at the slow one, and the ends at the quick one.
    let now_due = due(&store, after(1)).await;
    assert_eq!(events(&now_due, &slow), ["egress_started"]);
    assert_eq!(events(&now_due, &quick), ["egress_ended", "egress_ended"]);

    // A delivery that was delivered or given up delays no others.
    let again = due(&store, after(5)).await;
    let again = again.iter().find(|due| due.id == first_of_slow.id).unwrap();
    store.delivery_failed(again, begun_at(after(5)), answered_500(None)).await.unwrap();
    let now_due = due(&store, after(6)).await;
    let expected = ["egress_started", "egress_ended"];
    assert_eq!(events(&now_due, &slow), expected, "the start of the other, the end of the one");
}

#[tokio::test]
async fn no_webhook_takes_the_turn_of_another_however_much_is_due_to_it() {
    let (_dir, store) = opened();
    let busy = webhook(&store, &["egress_started"]).await;
    let calm = webhook(&store, &[EVENT]).await;
    for n in 0..6 {
        begun(&store, &format!("room-{n}")).await;
    }
    let id = begun(&store, "last").await;
    ends(&store, &id).await;
    let turn = store.due_deliveries(after(60), 3).await.unwrap();
    let of = |hook: &WebhookId| turn.iter().filter(|due| due.webhook == *hook).count();
    assert_eq!((of(&busy), of(&calm)), (3, 1));
}

#[tokio::test]
async fn what_is_sent_again_is_due_at_once_under_its_id_with_all_attempts_before_it() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    ends(&store, &id).await;
    let first = due(&store, now()).await.remove(0);
    store.delivery_failed(&first, begun_at(now()), answered_500(None)).await.unwrap();

    let row = store.resend_delivery(&hook, &first.id, after(100)).await.unwrap().unwrap();
    assert_eq!(row.state, DeliveryState::Pending { next_attempt_at: after(100) });
    assert_eq!(row.attempts.len(), 1, "what was tried before is not forgotten");
    let again = due(&store, after(100)).await.remove(0);
    assert_eq!((&again.id, &again.body, again.failures), (&first.id, &first.body, 0));

    // Requested again during an attempt: the failure of that attempt does not delay it.
    store.resend_delivery(&hook, &first.id, after(101)).await.unwrap();
    store.delivery_failed(&again, begun_at(after(100)), answered_500(Some(after(400)))).await.unwrap();
    let third = due(&store, after(101)).await.remove(0);
    assert_eq!(third.failures, 0);
    store.delivery_succeeded(&third, begun_at(after(101)), 204).await.unwrap();
    let row = store.delivery(&hook, &first.id).await.unwrap().unwrap();
    assert_eq!(row.state.status(), DeliveryStatus::Delivered);
    assert_eq!(
        row.attempts.iter().map(|attempt| attempt.status).collect::<Vec<_>>(),
        [Some(500), Some(500), Some(204)]
    );

    let other = webhook(&store, &["*"]).await;
    assert_eq!(
        store.resend_delivery(&other, &first.id, now()).await.unwrap(),
        None,
        "it is not this webhook's"
    );
}

#[tokio::test]
async fn the_last_twenty_attempts_are_kept() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    let id = started(&store).await.egress_id;
    ends(&store, &id).await;
    let delivery = due(&store, now()).await.remove(0);
    for n in 0..25 {
        store.delivery_failed(&delivery, begun_at(after(n)), answered_500(Some(after(n)))).await.unwrap();
    }
    let attempts = store.delivery(&hook, &delivery.id).await.unwrap().unwrap().attempts;
    assert_eq!((attempts.len(), attempts[0].at, attempts[19].at), (20, after(5), after(24)));
}

#[tokio::test]
async fn deliveries_are_listed_newest_first_page_by_page_and_by_state() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    for n in 0..5 {
        let id = begun(&store, &format!("room-{n}")).await;
        if n % 2 == 0 {
            let delivery = due(&store, now()).await.pop().unwrap();
            store.delivery_succeeded(&delivery, begun_at(now()), 200).await.unwrap();
            assert_eq!(store.delivery(&hook, &delivery.id).await.unwrap().unwrap().egress_id, id);
        }
    }
    let all = store.all_deliveries(&hook).await;
    let (mut listed, mut query) = (Vec::new(), DeliveryQuery { limit: 2, ..all_of(&hook) });
    loop {
        let page = store.deliveries(query.clone()).await.unwrap();
        listed.extend(page.rows);
        let Some(next) = page.next else { break };
        query.before = Some(next);
    }
    listed.reverse();
    assert_eq!(listed, all);

    let of = |status| DeliveryQuery { status: Some(status), ..all_of(&hook) };
    for (status, expected) in
        [(DeliveryStatus::Delivered, 3), (DeliveryStatus::Pending, 2), (DeliveryStatus::Failed, 0)]
    {
        let rows = store.deliveries(of(status)).await.unwrap().rows;
        assert_eq!(rows.len(), expected, "{status:?}");
        assert!(rows.iter().all(|row| row.state.status() == status));
    }
}

#[tokio::test]
async fn what_is_over_is_forgotten_when_old_or_too_much_and_what_is_pending_never() {
    let (_dir, store) = opened();
    let hook = webhook(&store, &["*"]).await;
    for n in 0..6 {
        begun(&store, &format!("room-{n}")).await;
    }
    for (n, delivery) in (0..5).zip(due(&store, now()).await) {
        store.delivery_succeeded(&delivery, begun_at(after(n)), 200).await.unwrap();
    }
    let numbers = async || store.all_deliveries(&hook).await.iter().map(|row| row.number).collect::<Vec<_>>();
    assert_eq!(store.forget_deliveries(after(2), 100).await.unwrap(), 2);
    assert_eq!(numbers().await, [3, 4, 5, 6]);
    assert_eq!(store.forget_deliveries(after(0), 1).await.unwrap(), 2);
    assert_eq!(numbers().await, [5, 6]);
    assert_eq!(store.forget_deliveries(after(1_000_000), 0).await.unwrap(), 1);
    assert_eq!(numbers().await, [6], "it is still to be delivered");
}
