//! The calls that show a webhook's deliveries, and that send one again.

use serde_json::{Value, json};

use super::*;
use crate::store::{Exclusivity, FailedAttempt, NewRecording, OutboxEvent, Timing};

impl Api {
    /// Registers a webhook and lets so many recordings announce their start to it.
    async fn webhook_told_of(&self, recordings: usize) -> String {
        let body = r#"{"url":"https://1.1.1.1/hook","events":["*"]}"#;
        let id = self.post("/v1/webhooks", body).await.json()["id"].as_str().unwrap().to_owned();
        for n in 0..recordings {
            let new = NewRecording {
                egress_id: EgressId::random(),
                room: format!("room-{n}").parse().unwrap(),
                exclusivity: Exclusivity::Exclusive,
                started_at: STARTED_AT.parse().unwrap(),
                key: format!("room-{n}/1.mp4"),
                options: RecordingOptions::default(),
            };
            let egress_id = new.egress_id.clone();
            self.store.insert_recording(new).await.unwrap();
            let event = OutboxEvent { name: "egress_started", body: format!("{{\"n\":{n}}}") };
            self.store.media_started(&egress_id, STARTED_AT.parse().unwrap(), event).await.unwrap();
        }
        format!("/v1/webhooks/{id}/deliveries")
    }

    /// Lets the oldest due delivery fail for good, as after its last attempt.
    async fn one_is_given_up(&self) -> String {
        let due = self.store.due_deliveries(Timestamp::now(), 1).await.unwrap().remove(0);
        let timing = Timing { at: STARTED_AT.parse().unwrap(), took: Duration::from_millis(250) };
        let reason = "the receiver answered 500 Internal Server Error".to_owned();
        let failed = FailedAttempt { status: Some(500), reason, retry_at: None };
        self.store.delivery_failed(&due, timing, failed).await.unwrap();
        due.id.to_string()
    }
}

#[tokio::test]
async fn a_delivery_is_shown_with_its_attempts_and_its_exact_body() {
    let api = Api::start().await;
    let log = api.webhook_told_of(1).await;
    let id = api.one_is_given_up().await;
    let shown = api.get(&format!("{log}/{id}")).await;
    let egress_id = shown.json()["egressId"].clone();
    let mut expected = json!({
        "id": id, "event": "egress_started", "egressId": egress_id, "status": "failed",
        "createdAt": STARTED_AT, "nextAttemptAt": null, "finishedAt": "2024-04-21T10:00:00.250Z",
        "attempts": [{
            "at": STARTED_AT, "durationMs": 250, "statusCode": 500,
            "reason": "the receiver answered 500 Internal Server Error",
        }],
        "body": "{\"n\":0}",
    });
    assert_eq!((shown.status, shown.json()), (200, expected.clone()));
    expected.as_object_mut().unwrap().remove("body");
    assert_eq!(api.get(&log).await.json(), json!({"deliveries": [expected], "nextCursor": null}));
}

#[tokio::test]
async fn deliveries_are_listed_page_by_page_and_by_status() {
    let api = Api::start().await;
    let log = api.webhook_told_of(3).await;
    let failed = api.one_is_given_up().await;
    let ids = |answer: &Value| -> Vec<String> {
        let all = answer["deliveries"].as_array().unwrap().iter();
        all.map(|delivery| delivery["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids(&api.get(&log).await.json());
    assert_eq!((all.len(), &all[2]), (3, &failed), "newest first");

    let page = api.get(&format!("{log}?limit=2")).await.json();
    let cursor = page["nextCursor"].as_str().unwrap();
    let rest = api.get(&format!("{log}?limit=2&cursor={cursor}")).await.json();
    assert_eq!([ids(&page), ids(&rest)].concat(), all);
    assert_eq!(rest["nextCursor"], Value::Null);

    assert_eq!(ids(&api.get(&format!("{log}?status=failed")).await.json()), [failed]);
    assert_eq!(ids(&api.get(&format!("{log}?status=pending")).await.json()), all[..2]);
    assert!(ids(&api.get(&format!("{log}?status=delivered")).await.json()).is_empty());
}

#[tokio::test]
async fn a_query_of_deliveries_that_cannot_be_is_refused_by_its_key() {
    let api = Api::start().await;
    let log = api.webhook_told_of(0).await;
    let cases = [
        ("status=lost", "status must be one of pending, delivered, failed"),
        ("limit=0", "limit must be a whole number from 1 to 100"),
        ("cursor=x", "cursor must be the nextCursor of an earlier answer"),
        ("state=failed", "Unknown key \"state\""),
    ];
    for (query, detail) in cases {
        let answer = api.get(&format!("{log}?{query}")).await;
        assert_eq!(answer.problem("bad-request"), (400, detail.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_delivery_that_was_given_up_is_sent_again_on_demand() {
    let api = Api::start().await;
    let log = api.webhook_told_of(1).await;
    let id = api.one_is_given_up().await;
    assert!(api.store.due_deliveries(Timestamp::now(), 9).await.unwrap().is_empty());
    let answer = api.post(&format!("{log}/{id}/resend"), "").await;
    let json = answer.json();
    assert_eq!((answer.status, &json["id"], &json["status"]), (202, &id.as_str().into(), &"pending".into()));
    assert_eq!((&json["finishedAt"], json["attempts"].as_array().unwrap().len()), (&Value::Null, 1));
    let due = api.store.due_deliveries(Timestamp::now(), 9).await.unwrap();
    assert_eq!(due.iter().map(|due| due.id.to_string()).collect::<Vec<_>>(), [id]);
}

#[tokio::test]
async fn what_there_is_none_of_is_not_found_and_another_webhooks_delivery_neither() {
    let api = Api::start().await;
    let (one, two) = (api.webhook_told_of(0).await, api.webhook_told_of(1).await);
    let id = api.get(&one).await.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(api.get(&format!("{one}/{id}")).await.status, 200, "both are told of it");
    let of_two = api.get(&two).await.json()["deliveries"][0]["id"].as_str().unwrap().to_owned();

    let delivery = "No such delivery of this webhook";
    for id in [of_two.as_str(), "dl_000000000000000000000000", "7"] {
        for answer in
            [api.get(&format!("{one}/{id}")).await, api.post(&format!("{one}/{id}/resend"), "").await]
        {
            assert_eq!(answer.problem("not-found"), (404, delivery.to_owned()), "{id}");
        }
    }
    for webhook in ["wh_abcdefghijklmnop", "7"] {
        let log = format!("/v1/webhooks/{webhook}/deliveries");
        for answer in [
            api.get(&log).await,
            api.get(&format!("{log}/{id}")).await,
            api.post(&format!("{log}/{id}/resend"), "").await,
        ] {
            assert_eq!(answer.problem("not-found"), (404, "No such webhook".to_owned()), "{webhook}");
        }
    }
}
