//! Webhooks of the configuration, without and with faults.

use secrecy::ExposeSecret;

use super::*;
use crate::config::tests::{faults, good, with, with_file};
use crate::webhook::EventName;

const TWO: &str = r#"
    [[webhooks]]
    name = "billing"
    url = "https://billing.example/hook"
    secret = "hush-billing"
    events = ["egress_ended", "egress_ended"]

    [[webhooks]]
    name = "log"
    url = "https://log.example/"
    secret = "hush-log"
"#;

#[test]
fn one_webhook_can_be_set_by_environment_variables() {
    let config = good(with(&[
        (URL, "https://app.example/hook?token=x"),
        (SECRET, "hush-webhook"),
        (EVENTS, "egress_started, egress_ended"),
    ]));
    let [webhook] = &config.webhook.fixed[..] else { panic!("{:?}", config.webhook) };
    assert_eq!(webhook.url, "https://app.example/hook?token=x");
    assert_eq!(webhook.secret.expose_secret(), "hush-webhook");
    let expected = [EventName::EgressStarted, EventName::EgressEnded].map(EventFilter::Only);
    assert_eq!(webhook.events, expected);
    assert!(!format!("{config:?}").contains("hush"));
}

#[test]
fn any_number_can_be_in_the_file_each_with_an_id_that_its_name_makes() {
    let config = good(with_file(&[(URL, "https://app.example/"), (SECRET, "hush")], TWO));
    let urls: Vec<_> = config.webhook.fixed.iter().map(|webhook| webhook.url.as_str()).collect();
    assert_eq!(urls, ["https://app.example/", "https://billing.example/hook", "https://log.example/"]);
    let events: Vec<_> = config.webhook.fixed.iter().map(|webhook| webhook.events.clone()).collect();
    let ended = EventFilter::Only(EventName::EgressEnded);
    assert_eq!(events, [vec![EventFilter::All], vec![ended], vec![EventFilter::All]]);

    let ids = |config: crate::config::Config| -> Vec<_> {
        config.webhook.fixed.into_iter().map(|webhook| webhook.id).collect()
    };
    let moved = TWO.replace("billing.example", "other.example");
    let other_order = good(with_file(&[], &moved));
    assert_eq!(ids(other_order), ids(config)[1..], "the address and the others do not matter");
}

#[test]
fn every_fault_of_a_webhook_is_told_by_its_place_and_key() {
    let file = r#"
        [[webhooks]]
        name = "a"
        url = "https://10.0.0.1/hush"
        secret = ""
        events = ["egress_*"]

        [[webhooks]]
        name = "a"
        url = "ftp://example.com/hush"
        secret = 7
        headers = "x"
    "#;
    let private = "expected an absolute http or https URL that is not of a private address (WEBHOOK_ALLOW_PRIVATE allows them)";
    let told = faults(with_file(&[], file));
    let expected = [
        ("webhooks[1].url", private),
        ("webhooks[1].secret", "expected the secret that its events are signed with"),
        ("webhooks[1].events", "is \"egress_*\", expected egress_started, egress_updated, egress_ended or *"),
        ("webhooks[2].name", "is \"a\", as that of another webhook"),
        ("webhooks[2].url", private),
        ("webhooks[2].headers", "is not a key of it; they are name, url, secret, events"),
    ];
    let told: Vec<_> = told.iter().map(|fault| (&*fault.name, &*fault.what)).collect();
    assert_eq!(told, expected);

    for (file, name) in [
        ("webhooks = \"https://a.example\"", "webhooks"),
        ("webhooks = [1]", "webhooks[1]"),
        ("[[webhooks]]\nname = \"a\"\nurl = \"https://a.example\"", "webhooks[1].secret"),
        ("[[webhooks]]\nurl = \"https://a.example\"\nsecret = \"s\"", "webhooks[1].name"),
        (
            "[[webhooks]]\nname = \"a\"\nurl = \"https://a.example\"\nsecret = \"s\"\nevents = []",
            "webhooks[1].events",
        ),
    ] {
        let told = faults(with_file(&[], file));
        assert_eq!(told.iter().map(|fault| &*fault.name).collect::<Vec<_>>(), [name], "{file}");
    }
}

#[test]
fn a_webhook_that_is_half_set_in_the_environment_is_a_fault() {
    for (set, fault) in [
        (vec![(SECRET, "hush")], URL),
        (vec![(EVENTS, "*")], URL),
        (vec![(URL, "https://a.example/")], SECRET),
        (vec![(URL, "http://localhost"), (SECRET, "hush"), (EVENTS, "none")], EVENTS),
        (vec![(URL, "http://127.0.0.1/hush"), (SECRET, "hush")], URL),
        (vec![(URL, "a.example"), (SECRET, "hush")], URL),
    ] {
        let told = faults(with(&set));
        assert_eq!(told.iter().map(|fault| &*fault.name).collect::<Vec<_>>(), [fault], "{set:?}");
        assert!(!told[0].what.contains("hush"));
    }
    let allowed = [(URL, "http://127.0.0.1/"), (SECRET, "s"), ("WEBHOOK_ALLOW_PRIVATE", "true")];
    assert_eq!(good(with(&allowed)).webhook.fixed.len(), 1);
}
