//! The API over real connections, with a recorder in memory. Requests are written out byte by byte, so
//! that what is signed and sent is what the test says.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::ids::{EgressId, RoomName};
use crate::webhook::TargetPolicy;

const BODY_LIMIT: usize = 1000;
const STARTED_AT: &str = "2024-04-21T10:00:00.000Z";

/// Knows every room but `nowhere`, cannot reach LiveKit for `unreachable`, and has no place for `full`.
#[derive(Default)]
struct InMemory(Mutex<HashMap<RoomName, EgressId>>);

impl Recorder for InMemory {
    fn start(&self, room: RoomName) -> BoxFuture<'_, Result<Started, RecorderError>> {
        let result = match room.as_str() {
            "nowhere" => Err(RecorderError::RoomNotFound),
            "unreachable" => Err(RecorderError::LivekitUnreachable),
            "full" => Err(RecorderError::NoCapacity {
                retry_after: Duration::from_secs(7),
            }),
            "broken" => Err(RecorderError::Internal("/var/lib/secret".into())),
            _ => {
                let mut recordings = self.0.lock().unwrap();
                let created = !recordings.contains_key(&room);
                let id = recordings.entry(room).or_insert_with(EgressId::random);
                Ok(Started {
                    egress_id: id.clone(),
                    started_at: STARTED_AT.parse().unwrap(),
                    status: if created {
                        StartStatus::Starting
                    } else {
                        StartStatus::Active
                    },
                    created,
                })
            }
        };
        async { result }.boxed()
    }

    fn stop<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<EgressId, RecorderError>> {
        let stopped = self.0.lock().unwrap().remove(room);
        async { stopped.ok_or(RecorderError::NothingToStop) }.boxed()
    }

    fn active<'a>(
        &'a self,
        room: &'a RoomName,
    ) -> BoxFuture<'a, Result<Option<ActiveRecording>, RecorderError>> {
        let egress_id = self.0.lock().unwrap().get(room).cloned();
        let active = egress_id.map(|egress_id| ActiveRecording {
            egress_id,
            started_at: STARTED_AT.parse().unwrap(),
        });
        async { Ok(active) }.boxed()
    }
}

struct Api {
    address: SocketAddr,
    cancel: CancellationToken,
    served: tokio::task::JoinHandle<io::Result<()>>,
    _dir: TempDir,
}

#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Api {
    async fn start() -> Self {
        Self::with_limit(RateLimit::default()).await
    }

    async fn with_limit(rate_limit: RateLimit) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("egressd.db")).unwrap();
        let keys = vec![ApiKey {
            key: "key".into(),
            secret: "s3cr3t".into(),
        }];
        let state = ApiState {
            recorder: Arc::new(InMemory::default()),
            webhooks: Registry::new(store.clone(), TargetPolicy::PublicOnly),
            store,
            settings: ApiSettings {
                keys: ApiKeys::new(keys),
                rate_limit,
                cors_origins: vec!["https://app.example".to_owned()],
                body_limit: BODY_LIMIT,
            },
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let served = tokio::spawn(serve(listener, state, cancel.clone()));
        Self {
            address,
            cancel,
            served,
            _dir: dir,
        }
    }

    /// Sends these bytes and reads until the connection is closed.
    async fn raw(&self, request: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    async fn with_headers(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        self.with_headers(method, target, &signed(method, target, body), body)
            .await
    }

    async fn get(&self, target: &str) -> Answer {
        self.call("GET", target, "").await
    }

    async fn post(&self, target: &str, body: &str) -> Answer {
        self.call("POST", target, body).await
    }
}

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(": "));
        headers.find_map(|(key, value)| (key == name).then_some(value))
    }

    /// The status and detail of a problem, whose other keys must fit them.
    fn problem(&self, slug: &str) -> (u16, String) {
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json"),
            "{self:?}"
        );
        let json = self.json();
        let keys: Vec<_> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert_eq!(json["type"], format!("https://rtcstack.dev/errors/{slug}"));
        assert_eq!(json["status"], self.status);
        (self.status, json["detail"].as_str().unwrap().to_owned())
    }
}

fn signed(method: &str, target: &str, body: &str) -> String {
    let now = Timestamp::now().as_second();
    let hash = hex::encode(Sha256::digest(body));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"s3cr3t").unwrap();
    mac.update(format!("{method}\n{target}\n{now}\n{hash}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!(
        "X-Api-Key: key\r\nX-RTCstack-Timestamp: {now}\r\nX-RTCstack-Signature: {signature}\r\n"
    )
}

#[tokio::test]
async fn a_recording_is_started_shown_and_stopped_in_the_contracts_words() {
    let api = Api::start().await;
    let started = api.post("/v1/rooms/room-abc/recording/start", "").await;
    assert_eq!(started.status, 201);
    assert_eq!(started.header("content-type"), Some("application/json"));
    let id = started.json()["egressId"].as_str().unwrap().to_owned();
    assert_eq!(
        started.body,
        format!(r#"{{"egressId":"{id}","status":"starting","startedAt":"{STARTED_AT}"}}"#)
    );

    let again = api.post("/v1/rooms/room-abc/recording/start", "{}").await;
    assert_eq!(again.status, 200);
    assert_eq!(
        again.body,
        format!(r#"{{"egressId":"{id}","status":"active","startedAt":"{STARTED_AT}"}}"#)
    );
    let shown = api.get("/v1/rooms/room-abc/recording").await;
    assert_eq!(
        shown.body,
        format!(r#"{{"active":true,"egressId":"{id}","startedAt":"{STARTED_AT}"}}"#)
    );

    let stopped = api.post("/v1/rooms/room-abc/recording/stop", "").await;
    assert_eq!(stopped.status, 200);
    assert_eq!(
        stopped.body,
        format!(r#"{{"egressId":"{id}","status":"stopping"}}"#)
    );
    assert_eq!(
        api.get("/v1/rooms/room-abc/recording").await.body,
        r#"{"active":false}"#
    );
}

#[tokio::test]
async fn a_stop_of_nothing_is_a_404_in_the_contracts_words() {
    let api = Api::start().await;
    let answer = api.post("/v1/rooms/room/recording/stop", "").await;
    assert_eq!(
        answer.body,
        r#"{"type":"https://rtcstack.dev/errors/not-found","title":"Not Found","status":404,"detail":"No active recording for this room"}"#
    );
}

#[tokio::test]
async fn a_start_that_cannot_be_says_why() {
    let api = Api::start().await;
    let start = async |room: &str| {
        api.post(&format!("/v1/rooms/{room}/recording/start"), "")
            .await
    };
    assert_eq!(start("nowhere").await.problem("not-found").0, 404);
    assert_eq!(start("unreachable").await.problem("unavailable").0, 503);
    let full = start("full").await;
    assert_eq!(full.problem("unavailable").0, 503);
    assert_eq!(full.header("retry-after"), Some("7"));
    let (status, detail) = start("broken").await.problem("internal");
    assert_eq!(status, 500);
    assert!(!detail.contains("secret"), "{detail}");
}

#[tokio::test]
async fn an_option_that_cannot_be_honoured_starts_nothing() {
    let api = Api::start().await;
    let answer = api
        .post("/v1/rooms/room/recording/start", r#"{"wdith":1}"#)
        .await;
    assert_eq!(
        answer.problem("bad-request"),
        (400, "Unknown key \"wdith\"".to_owned())
    );
    assert_eq!(
        api.get("/v1/rooms/room/recording").await.body,
        r#"{"active":false}"#
    );
}

#[tokio::test]
async fn a_room_name_is_percent_decoded_and_signed_as_sent() {
    let api = Api::start().await;
    for room in ["Z%C3%BCrich%20a", "a+b", "%2e%2e%2e", "x?query=%2F"] {
        let (name, query) = room.split_once('?').unwrap_or((room, ""));
        let target = format!("/v1/rooms/{name}/recording/start?{query}");
        assert_eq!(api.post(&target, "").await.status, 201, "{target}");
    }
}

#[tokio::test]
async fn a_room_name_that_is_none_is_a_400() {
    let api = Api::start().await;
    let long = "x".repeat(257);
    for room in [
        "", "a%2Fb", "%ff", "%00", "a%0Ab", ".", "..", "%2e%2E", &long,
    ] {
        let answer = api.get(&format!("/v1/rooms/{room}/recording")).await;
        assert_eq!(answer.problem("bad-request").0, 400, "{room}");
    }
}

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
    assert_eq!(
        api.post("/v1/webhooks", &largest)
            .await
            .problem("bad-request")
            .0,
        400
    );
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
async fn the_health_check_needs_no_key() {
    let api = Api::start().await;
    let answer = api.with_headers("GET", "/v1/health", "", "").await;
    assert_eq!((answer.status, &*answer.body), (200, r#"{"status":"ok"}"#));
}

#[tokio::test]
async fn what_is_not_there_is_a_404_and_a_wrong_method_a_405_that_lists_the_right_ones() {
    let api = Api::start().await;
    for target in [
        "/",
        "/v2/webhooks",
        "/v1/rooms/a",
        "/v1/rooms/a/b/recording",
    ] {
        assert_eq!(
            api.get(target).await.problem("not-found").0,
            404,
            "{target}"
        );
    }
    let unsigned = api.with_headers("GET", "/v1/anything", "", "").await;
    assert_eq!(unsigned.problem("unauthorized").0, 401);

    let cases = [
        ("GET", "/v1/rooms/a/recording/start", "post"),
        ("POST", "/v1/rooms/a/recording", "get,head"),
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
async fn a_webhook_is_registered_listed_shown_and_removed_and_its_secret_never_shown() {
    let api = Api::start().await;
    let body =
        r#"{"url":"https://1.1.1.1/hook","secret":"whsec_abc","events":["egress_ended","*","*"]}"#;
    let made = api.post("/v1/webhooks", body).await;
    assert_eq!(made.status, 201);
    let json = made.json();
    let (id, created_at) = (
        json["id"].as_str().unwrap(),
        json["createdAt"].as_str().unwrap(),
    );
    let expected = format!(
        r#"{{"id":"{id}","url":"https://1.1.1.1/hook","events":["egress_ended","*"],"createdAt":"{created_at}"}}"#
    );
    assert_eq!(made.body, expected);
    assert!(id.starts_with("wh_"));
    assert_eq!(created_at.len(), STARTED_AT.len());

    let one = format!("/v1/webhooks/{id}");
    assert_eq!(api.get(&one).await.body, expected);
    assert_eq!(
        api.get("/v1/webhooks").await.body,
        format!(r#"{{"webhooks":[{expected}]}}"#)
    );
    let removed = api.call("DELETE", &one, "").await;
    assert_eq!((removed.status, &*removed.body), (204, ""));
    assert_eq!(api.get(&one).await.problem("not-found").0, 404);
    assert_eq!(
        api.call("DELETE", &one, "").await.problem("not-found").0,
        404
    );
    assert_eq!(api.get("/v1/webhooks").await.body, r#"{"webhooks":[]}"#);
}

#[tokio::test]
async fn a_secret_that_was_made_here_is_shown_once() {
    let api = Api::start().await;
    let body = r#"{"url":"https://1.1.1.1/","events":["*"]}"#;
    let made = api.post("/v1/webhooks", body).await.json();
    assert_eq!(made["secret"].as_str().unwrap().len(), 32);
    let id = made["id"].as_str().unwrap();
    assert!(
        api.get(&format!("/v1/webhooks/{id}"))
            .await
            .json()
            .get("secret")
            .is_none()
    );
}

#[tokio::test]
async fn a_webhook_that_cannot_be_is_refused_with_its_fault() {
    let api = Api::start().await;
    let cases = [
        (r#"{"events":["*"]}"#, "url is missing"),
        (r#"{"url":"https://1.1.1.1/"}"#, "events is missing"),
        (
            r#"{"url":"https://1.1.1.1/","events":[]}"#,
            "events must name at least one event",
        ),
        (
            r#"{"url":"https://1.1.1.1/","events":["egress_*"]}"#,
            "events: \"egress_*\" is no event; expected egress_started, egress_updated, egress_ended or *",
        ),
        (
            r#"{"url":"https://1.1.1.1/","events":"*"}"#,
            "events must be an array of strings",
        ),
        (r#"{"url":7,"events":["*"]}"#, "url must be a string"),
        (
            r#"{"url":"https://1.1.1.1/","secret":"","events":["*"]}"#,
            "secret must not be empty",
        ),
        (
            r#"{"url":"ftp://1.1.1.1/","events":["*"]}"#,
            "url must be an absolute http or https URL with a host",
        ),
        (
            r#"{"url":"/hook","events":["*"]}"#,
            "url must be an absolute http or https URL with a host",
        ),
        (
            r#"{"url":"http://localhost/","events":["*"]}"#,
            "url leads to a loopback, link-local or private address, which is not allowed here",
        ),
        (
            r#"{"url":"http://169.254.169.254/","events":["*"]}"#,
            "url leads to a loopback, link-local or private address, which is not allowed here",
        ),
        (
            r#"{"url":"https://1.1.1.1/","events":["*"],"name":"x"}"#,
            "Unknown key \"name\"",
        ),
    ];
    for (body, detail) in cases {
        let answer = api.post("/v1/webhooks", body).await;
        assert_eq!(
            answer.problem("bad-request"),
            (400, detail.to_owned()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_unless_it_is_listed() {
    let api = Api::start().await;
    let health = async |origin: &str| {
        api.with_headers("GET", "/v1/health", &format!("Origin: {origin}\r\n"), "")
            .await
    };
    assert_eq!(
        health("https://evil.example").await.problem("forbidden").0,
        403
    );
    let listed = health("https://app.example").await;
    assert_eq!(listed.status, 200);
    assert_eq!(
        listed.header("access-control-allow-origin"),
        Some("https://app.example")
    );

    let preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n";
    let answer = api
        .with_headers("OPTIONS", "/v1/webhooks", preflight, "")
        .await;
    assert_eq!(answer.status, 204);
    assert!(
        answer
            .header("access-control-allow-headers")
            .unwrap()
            .contains("x-api-key")
    );
}

#[tokio::test]
async fn serving_ends_when_it_is_cancelled() {
    let api = Api::start().await;
    assert_eq!(api.get("/v1/health").await.status, 200);
    api.cancel.cancel();
    api.served.await.unwrap().unwrap();
}
