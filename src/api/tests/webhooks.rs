//! The calls that register, show and remove webhooks.

use super::*;

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
    let api = Api::start().await;
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
