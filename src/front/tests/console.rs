//! The web console's files: who gets them, and with which headers.

use super::*;

#[tokio::test]
async fn the_page_needs_no_key_and_forbids_what_it_does_not_need() {
    let api = Api::start().await;
    let page = api.with_headers("GET", "/console", "", "").await;
    assert_eq!(page.status, 200);
    assert!(page.body.starts_with("<!doctype html>"), "{}", page.body);
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.contains("default-src 'none'; script-src 'self'; style-src 'self';"), "{policy}");
    assert!(policy.contains("media-src http://store.example:9000;"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    for (name, value) in [
        ("content-type", "text/html; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "deny"),
        ("referrer-policy", "no-referrer"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-cache"),
    ] {
        assert_eq!(page.header(name), Some(value), "{name}");
    }
    let script = api.with_headers("GET", "/console/main.js", "", "").await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert_eq!(script.header("content-security-policy"), page.header("content-security-policy"));
}

#[tokio::test]
async fn the_page_can_learn_what_a_key_may_do() {
    let api = Api::with_limit(RateLimit { max: 7, window: Duration::from_millis(1500) }).await;
    let pace = api.with_headers("GET", "/console/pace.json", "", "").await;
    assert_eq!((pace.status, pace.body.as_str()), (200, r#"{"calls":7,"seconds":1.5}"#));
}

#[tokio::test]
async fn a_file_that_a_browser_has_is_not_sent_again() {
    let api = Api::start().await;
    let first = api.with_headers("GET", "/console/console.css", "", "").await;
    let tag = first.header("etag").unwrap();
    let again =
        api.with_headers("GET", "/console/console.css", &format!("If-None-Match: {tag}\r\n"), "").await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)));
}

#[tokio::test]
async fn what_is_no_file_of_the_console_is_a_problem() {
    let api = Api::start().await;
    for target in ["/console/mod.rs", "/console/..%2Fmod.rs", "/console/index.html", "/console/%00"] {
        let answer = api.with_headers("GET", target, "", "").await;
        assert_eq!(answer.problem("not-found").0, 404, "{target}");
    }
    assert_eq!(api.with_headers("POST", "/console", "", "").await.problem("bad-request").0, 405);
    let slash = api.with_headers("GET", "/console/", "", "").await;
    assert_eq!((slash.status, slash.header("location")), (308, Some("../console")));
}

#[tokio::test]
async fn a_console_that_is_switched_off_is_not_there() {
    let api = Api::without_console().await;
    assert_eq!(api.with_headers("GET", "/console", "", "").await.problem("unauthorized").0, 401);
    assert_eq!(api.get("/console").await.problem("not-found").0, 404);
}
