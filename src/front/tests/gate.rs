//! What stands in front of the calls: authentication, limits, CORS, and paths that do not exist.

use super::*;

#[tokio::test]
async fn a_call_without_credentials_is_refused_before_its_body_is_read() {
    let api = Api::start().await;
    let answer = api
        .raw("POST /v1/webhooks HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 10\r\n\r\n")
        .await;
    assert_eq!(answer.problem("unauthorized").0, 401);
}

#[tokio::test]
async fn a_wrong_signature_is_a_403() {
    let api = Api::start().await;
    let headers = signed("GET", "/v1/webhooks", "");
    let answer = api.with_headers("POST", "/v1/webhooks", &headers, "").await;
    assert_eq!(answer.problem("forbidden").0, 403);
}

#[tokio::test]
async fn a_body_past_the_limit_is_a_413_announced_or_not() {
    let api = Api::start().await;
    let body = "x".repeat(BODY_LIMIT + 1);
    let announced = api.post("/v1/webhooks", &body).await;
    assert_eq!(announced.problem("payload-too-large").0, 413);

    let headers = signed("POST", "/v1/webhooks", &body);
    let chunked = format!(
        "POST /v1/webhooks HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        body.len()
    );
    assert_eq!(api.raw(&chunked).await.problem("payload-too-large").0, 413);

    let largest = "x".repeat(BODY_LIMIT);
    assert_eq!(api.post("/v1/webhooks", &largest).await.problem("bad-request").0, 400);
}

#[tokio::test]
async fn a_key_over_its_rate_limit_is_told_when_to_come_back() {
    let window = Duration::from_secs(3600);
    let api = Api::with_limit(RateLimit { max: 2, window }).await;
    assert_eq!(api.get("/v1/webhooks").await.status, 200);
    assert_eq!(api.get("/v1/webhooks").await.status, 200);
    let answer = api.get("/v1/webhooks").await;
    assert_eq!(answer.problem("rate-limited").0, 429);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    assert_eq!(api.get("/v1/health").await.status, 200);
}

#[tokio::test]
async fn both_key_pairs_are_good_at_the_same_time_and_no_mix_of_them() {
    let api = Api::start().await;
    let get = async |key, secret| {
        let headers = signed_by(key, secret, "GET", "/v1/webhooks", "");
        api.with_headers("GET", "/v1/webhooks", &headers, "").await
    };
    assert_eq!(get("key", "s3cr3t").await.status, 200);
    assert_eq!(get("second", "s3cr3t-2").await.status, 200);
    assert_eq!(get("second", "s3cr3t").await.problem("forbidden").0, 403);
    assert_eq!(get("third", "s3cr3t").await.problem("unauthorized").0, 401);
}

#[tokio::test]
async fn a_signature_is_good_as_often_as_it_is_sent_unless_replays_are_refused() {
    let headers = signed("GET", "/v1/webhooks", "");
    let again = async |api: &Api| api.with_headers("GET", "/v1/webhooks", &headers, "").await;
    let api = Api::start().await;
    assert_eq!([again(&api).await.status, again(&api).await.status], [200, 200]);

    let settings = ApiSettings { refuse_replays: true, ..settings(RateLimit::default()) };
    let strict = Api::set(settings, TargetPolicy::PublicOnly).await;
    // A second may have passed: a timestamp from before the service's start is refused, too.
    let headers = signed("GET", "/v1/webhooks", "");
    let again = async || strict.with_headers("GET", "/v1/webhooks", &headers, "").await;
    assert_eq!(again().await.status, 200);
    let used = (403, "X-RTCstack-Signature was used before".to_owned());
    assert_eq!(again().await.problem("forbidden"), used);
    let prefixed = headers.replace("Signature: ", "Signature: sha256=");
    let answer = strict.with_headers("GET", "/v1/webhooks", &prefixed, "").await;
    assert_eq!(answer.problem("forbidden"), used, "in its other form, too");
}

#[tokio::test]
async fn a_head_request_is_signed_as_such_and_answered_without_a_body() {
    let api = Api::start().await;
    let answer = api.call("HEAD", "/v1/webhooks", "").await;
    assert_eq!((answer.status, &*answer.body), (200, ""));
    let as_get = api.with_headers("HEAD", "/v1/webhooks", &signed("GET", "/v1/webhooks", ""), "").await;
    assert_eq!(as_get.status, 403);
}

#[tokio::test]
async fn what_is_answered_to_a_key_is_kept_by_nobody() {
    let api = Api::start().await;
    assert_eq!(api.get("/v1/webhooks").await.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn the_health_check_needs_no_key() {
    let api = Api::start().await;
    let answer = api.with_headers("GET", "/v1/health", "", "").await;
    // A store that does not answer prevents no recording: recordings wait for it.
    let expected = concat!(
        r#"{"status":"degraded","components":{"database":{"status":"ok"},"livekit":{"status":"ok"},"#,
        r#""encoders":{"status":"ok"},"store":{"status":"degraded","reason":"the store does not answer"},"#,
        r#""disk":{"status":"ok"},"capacity":{"status":"ok"}}}"#,
    );
    assert_eq!((answer.status, &*answer.body), (200, expected));
}

#[tokio::test]
async fn metrics_are_told_to_who_has_a_key() {
    let api = Api::start().await;
    assert_eq!(api.with_headers("GET", "/metrics", "", "").await.problem("unauthorized").0, 401);
    let answer = api.get("/metrics").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
}

#[tokio::test]
async fn what_is_not_there_is_a_404_and_a_wrong_method_a_405_that_lists_the_right_ones() {
    let api = Api::start().await;
    for target in [
        "/",
        "/v1/webhooks/",
        "/v1/recordings//url",
        "/v2/webhooks",
        "/v1/rooms/a",
        "/v1/rooms/a/b/recording",
    ] {
        assert_eq!(api.get(target).await.problem("not-found").0, 404, "{target}");
    }
    let unsigned = api.with_headers("GET", "/v1/anything", "", "").await;
    assert_eq!(unsigned.problem("unauthorized").0, 401);

    let cases = [
        ("GET", "/v1/rooms/a/recording/start", "post"),
        ("POST", "/v1/rooms/a/recording", "get,head,patch"),
        ("DELETE", "/v1/webhooks", "post,get,head"),
        ("POST", "/v1/health", "get,head"),
    ];
    for (method, target, allow) in cases {
        let answer = api.call(method, target, "").await;
        assert_eq!(answer.problem("bad-request").0, 405, "{target}");
        assert_eq!(answer.header("allow"), Some(allow), "{target}");
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_is_listed() {
    let api = Api::start().await;
    let health = async |origin: &str| {
        api.with_headers("GET", "/v1/health", &format!("Origin: {origin}\r\n"), "").await
    };
    assert_eq!(health("https://evil.example").await.problem("forbidden").0, 403);
    let listed = health("https://app.example").await;
    assert_eq!(listed.status, 200);
    assert_eq!(listed.header("access-control-allow-origin"), Some("https://app.example"));

    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = api.with_headers("OPTIONS", "/v1/webhooks", preflight, "").await;
    assert_eq!(answer.status, 204);
    assert!(answer.header("access-control-allow-headers").unwrap().contains("x-api-key"));
}

#[tokio::test]
async fn serving_ends_when_it_is_cancelled() {
    let api = Api::start().await;
    assert_eq!(api.get("/v1/health").await.status, 200);
    api.cancel.cancel();
    api.served.await.unwrap();
}
