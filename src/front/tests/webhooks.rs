//! The calls that register, show, change, try and remove webhooks.

use serde_json::{Value, json};

use super::*;
use crate::ids::WebhookId;
use crate::webhook::{EventFilter, StaticWebhook, testing};

#[tokio::test]
async fn a_webhook_is_registered_listed_shown_and_removed_and_its_secret_never_shown() {
    let api = Api::start().await;
    let body = r#"{"url":"https://1.1.1.1/hook","secret":"whsec_abc","events":["egress_ended","*","*"]}"#;
    let made = api.post("/v1/webhooks", body).await;
    assert_eq!(made.status, 201);
    let json = made.json();
    let (id, created_at) = (json["id"].as_str().unwrap(), json["createdAt"].as_str().unwrap());
    let expected = format!(
        r#"{{"id":"{id}","url":"https://1.1.1.1/hook","events":["egress_ended","*"],"createdAt":"{created_at}"}}"#
    );
    assert_eq!(made.body, expected);
    assert!(id.starts_with("wh_"));
    assert_eq!(created_at.len(), STARTED_AT.len());

    let one = format!("/v1/webhooks/{id}");
    assert_eq!(api.get(&one).await.body, expected);
    assert_eq!(api.get("/v1/webhooks").await.body, format!(r#"{{"webhooks":[{expected}]}}"#));
    let removed = api.call("DELETE", &one, "").await;
    assert_eq!((removed.status, &*removed.body), (204, ""));
    assert_eq!(api.get(&one).await.problem("not-found").0, 404);
    assert_eq!(api.call("DELETE", &one, "").await.problem("not-found").0, 404);
    assert_eq!(api.get("/v1/webhooks").await.body, r#"{"webhooks":[]}"#);
}

#[tokio::test]
async fn a_secret_that_was_made_here_is_shown_once() {
    let api = Api::start().await;
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    let made = api.post("/v1/webhooks", body).await.json();
    assert_eq!(made["secret"].as_str().unwrap().len(), 32);
    let id = made["id"].as_str().unwrap();
    assert!(api.get(&format!("/v1/webhooks/{id}")).await.json().get("secret").is_none());
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused_with_its_fault() {
    let api = Api::with_body_limit(10_000).await;
    let long_url =
        json!({"url": format!("https://1.1.1.1/{}", "x".repeat(2048)), "events": ["*"]}).to_string();
    let long_secret =
        json!({"url": "https://1.1.1.1/", "secret": "x".repeat(1025), "events": ["*"]}).to_string();
    let cases = [
        (r#"{"events":["*"]}"#, "url is missing"),
        (r#"{"url":"https://1.1.1.1/"}"#, "events is missing"),
        (r#"{"url":"https://1.1.1.1/","events":[]}"#, "events must name at least one event"),
        (
            r#"{"url":"https://1.1.1.1/","events":["egress_*"]}"#,
            "events: \"egress_*\" is no event; expected egress_started, egress_updated, egress_ended or *",
        ),
        (r#"{"url":"https://1.1.1.1/","events":"*"}"#, "events must be an array of strings"),
        (r#"{"url":7,"events":["*"]}"#, "url must be a string"),
        (r#"{"url":"https://1.1.1.1/","secret":"","events":["*"]}"#, "secret must not be empty"),
        (&long_url, "url must not be longer than 2048 bytes"),
        (&long_secret, "secret must not be longer than 1024 bytes"),
        (
            r#"{"url":"ftp://1.1.1.1/","events":["*"]}"#,
            "url must be an absolute http or https URL with a host",
        ),
        (r#"{"url":"/hook","events":["*"]}"#, "url must be an absolute http or https URL with a host"),
        (
            r#"{"url":"http://localhost/","events":["*"]}"#,
            "url leads to a loopback, link-local or private address, which is not allowed here",
        ),
        (
            r#"{"url":"http://169.254.169.254/","events":["*"]}"#,
            "url leads to a loopback, link-local or private address, which is not allowed here",
        ),
        (r#"{"url":"https://1.1.1.1/","events":["*"],"name":"x"}"#, "Unknown key \"name\""),
    ];
    for (body, detail) in cases {
        let answer = api.post("/v1/webhooks", body).await;
        assert_eq!(answer.problem("bad-request"), (400, detail.to_owned()), "{body}");
    }
}

impl Api {
    async fn webhook(&self, url: &str) -> String {
        let body = json!({"url": url, "secret": "whsec_abc", "events": ["egress_ended"]}).to_string();
        let made = self.post("/v1/webhooks", &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("/v1/webhooks/{}", made.json()["id"].as_str().unwrap())
    }
}

#[tokio::test]
async fn a_webhook_is_replaced_as_a_whole_and_changed_in_part() {
    let api = Api::start().await;
    let one = api.webhook("https://1.1.1.1/hook").await;
    let mut expected = api.get(&one).await.json();

    let replaced =
        api.call("PUT", &one, r#"{"url":"https://1.0.0.1/","events":["*","egress_started"]}"#).await;
    expected["url"] = "https://1.0.0.1/".into();
    expected["events"] = json!(["*", "egress_started"]);
    assert_eq!((replaced.status, replaced.json()), (200, expected.clone()));
    assert_eq!(api.get(&one).await.json(), expected);

    let changed = api.call("PATCH", &one, r#"{"events":["egress_updated"]}"#).await;
    expected["events"] = json!(["egress_updated"]);
    assert_eq!((changed.status, changed.json()), (200, expected.clone()));
    let changed = api.call("PATCH", &one, r#"{"secret":"another"}"#).await;
    assert_eq!((changed.status, changed.json()), (200, expected.clone()), "a secret is not shown");
    assert_eq!(api.get("/v1/webhooks").await.json(), json!({"webhooks": [expected]}));
}

#[tokio::test]
async fn a_change_that_cannot_be_changes_nothing_and_says_why() {
    let api = Api::start().await;
    let one = api.webhook("https://1.1.1.1/hook").await;
    let before = api.get(&one).await.json();
    let private = "url leads to a loopback, link-local or private address, which is not allowed here";
    let cases = [
        ("PUT", r#"{"url":"https://1.0.0.1/"}"#, "events is missing"),
        ("PUT", r#"{"events":["*"]}"#, "url is missing"),
        ("PUT", r#"{"url":"https://1.0.0.1/","events":["*"],"id":"x"}"#, "Unknown key \"id\""),
        ("PATCH", "{}", "There is nothing to change: url, secret and events are missing"),
        ("PATCH", r#"{"url":"http://10.0.0.1/","events":["*"]}"#, private),
        ("PATCH", r#"{"url":"https://1.0.0.1/","events":[]}"#, "events must name at least one event"),
        ("PATCH", r#"{"url":"https://1.0.0.1/","secret":""}"#, "secret must not be empty"),
        ("PATCH", r#"{"secret":null}"#, "secret must be a string"),
        (
            "PATCH",
            r#"{"events":["test"]}"#,
            "events: \"test\" is no event; expected egress_started, egress_updated, egress_ended or *",
        ),
    ];
    for (method, body, detail) in cases {
        let answer = api.call(method, &one, body).await;
        assert_eq!(answer.problem("bad-request"), (400, detail.to_owned()), "{body}");
    }
    assert_eq!(api.get(&one).await.json(), before);
}

#[tokio::test]
async fn a_webhook_of_the_configuration_is_listed_and_marked_and_no_call_changes_it() {
    let api = Api::start().await;
    let id = WebhookId::of_name("billing");
    let fixed = StaticWebhook {
        id: id.clone(),
        url: "https://billing.example/".to_owned(),
        secret: "hush".into(),
        events: vec![EventFilter::All],
    };
    let registry = Registry::new(api.store.clone(), TargetPolicy::PublicOnly).unwrap();
    registry.adopt(vec![fixed], STARTED_AT.parse().unwrap()).await.unwrap();
    let one = format!("/v1/webhooks/{id}");
    let expected = json!({
        "id": id, "url": "https://billing.example/", "events": ["*"], "createdAt": STARTED_AT, "static": true,
    });
    assert_eq!(api.get(&one).await.json(), expected);
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    let detail = "This webhook is set by the service's configuration: calls cannot change or remove it";
    for (method, body) in [("PUT", body), ("PATCH", r#"{"secret":"x"}"#), ("DELETE", "")] {
        let answer = api.call(method, &one, body).await;
        assert_eq!(answer.problem("conflict"), (409, detail.to_owned()), "{method}");
    }
    assert_eq!(api.get("/v1/webhooks").await.json(), json!({"webhooks": [expected]}));
    assert_eq!(api.get(&format!("{one}/deliveries")).await.status, 200);
}

#[tokio::test]
async fn a_hundred_webhooks_can_be_registered_and_no_more() {
    let api = Api::with_limit(RateLimit { max: 1000, ..RateLimit::default() }).await;
    let mut last = String::new();
    for _ in 0..100 {
        last = api.webhook("https://1.1.1.1/").await;
    }
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    let detail = "There are 100 webhooks already, as many as may be: remove one first";
    assert_eq!(api.post("/v1/webhooks", body).await.problem("conflict"), (409, detail.to_owned()));
    assert_eq!(api.call("DELETE", &last, "").await.status, 204);
    assert_eq!(api.post("/v1/webhooks", body).await.status, 201);
}

#[tokio::test]
async fn a_webhook_that_there_is_none_of_can_be_neither_changed_nor_tried() {
    let api = Api::start().await;
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    for id in ["wh_abcdefghijklmnop", "7"] {
        let one = format!("/v1/webhooks/{id}");
        assert_eq!(api.call("PUT", &one, body).await.problem("not-found").0, 404);
        assert_eq!(api.call("PATCH", &one, body).await.problem("not-found").0, 404);
        assert_eq!(api.post(&format!("{one}/test"), "").await.problem("not-found").0, 404);
    }
    assert_eq!(api.get("/v1/webhooks").await.json(), json!({"webhooks": []}));
}

#[tokio::test]
async fn a_test_is_sent_signed_at_once_and_its_fate_is_told() {
    let api = Api::trusting().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let one = api.webhook(&format!("http://{}/hook", listener.local_addr().unwrap())).await;
    api.call("PATCH", &one, r#"{"secret":"another"}"#).await;
    let test = format!("{one}/test");
    let ok = "HTTP/1.1 204 No Content\r\n\r\n";
    let (request, answer) = tokio::join!(testing::answer(&listener, ok), api.post(&test, ""));
    assert_eq!((answer.status, &*answer.body), (200, r#"{"delivered":true,"statusCode":204}"#));

    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let event: Value = serde_json::from_str(body).unwrap();
    assert_eq!((&event["event"], event.as_object().unwrap().len()), (&json!("test"), 3));
    assert!(one.ends_with(event["webhookId"].as_str().unwrap()));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"another").unwrap();
    mac.update(body.as_bytes());
    let signature =
        format!("x-rtcstack-webhook-signature: sha256={}", hex::encode(mac.finalize().into_bytes()));
    for header in [&*signature, "x-rtcstack-webhook-event: test", "x-rtcstack-webhook-delivery: dl_"] {
        assert!(head.to_lowercase().contains(header), "{header} is not in {head}");
    }

    let error = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let (_, answer) = tokio::join!(testing::answer(&listener, error), api.post(&test, ""));
    let reason = "the receiver answered 500 Internal Server Error";
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"delivered": false, "statusCode": 500, "reason": reason}))
    );

    drop(listener);
    let answer = api.post(&test, "").await;
    assert_eq!((answer.status, &answer.json()["delivered"]), (200, &json!(false)));
    assert_eq!(answer.json()["statusCode"], Value::Null);
    let reason = answer.json()["reason"].as_str().unwrap().to_owned();
    assert!(
        reason.starts_with("the receiver could not be reached: ") && !reason.contains("127.0.0.1"),
        "{reason}"
    );
}
