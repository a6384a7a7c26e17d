//! Signed calls of the REST API. The signatures are made by `tests/py/sign.py`, the second implementation of
//! the scheme; a [`Call`] can be spoiled before it is sent.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::Method;
use serde_json::Value;

use super::tools;

#[derive(Clone)]
pub struct Caller {
    base: String,
    key: &'static str,
    secret: &'static str,
    http: reqwest::Client,
}

/// A request, complete and signed; every field may be changed.
#[derive(Clone)]
pub struct Call {
    pub method: Method,
    pub path: String,
    pub body: Vec<u8>,
    pub key: Option<String>,
    pub timestamp: Option<String>,
    pub signature: Option<String>,
}

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub content_type: String,
    pub bytes: Vec<u8>,
    pub text: String,
    /// Null if the text is none of JSON's.
    pub json: Value,
}

impl Caller {
    /// No call of the API waits for media, so one that takes this long hangs.
    const LIMIT: Duration = Duration::from_secs(20);

    pub fn new(base: String, key: &'static str, secret: &'static str) -> Self {
        let http = reqwest::Client::builder()
            .timeout(Self::LIMIT)
            .no_proxy()
            .build()
            .expect("a client without options");
        Self { base, key, secret, http }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.sign(Method::GET, path, "")).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.sign(Method::DELETE, path, "")).await
    }

    /// A POST with a JSON body, or with none where `body` is empty.
    pub async fn post(&self, path: &str, body: &str) -> Answer {
        self.send(self.sign(Method::POST, path, body)).await
    }

    pub fn sign(&self, method: Method, path: &str, body: &str) -> Call {
        self.sign_at(unix_seconds(), method, path, body)
    }

    pub fn sign_at(&self, timestamp: i64, method: Method, path: &str, body: &str) -> Call {
        let timestamp = timestamp.to_string();
        let signature =
            signature(self.secret, &["request", method.as_str(), path, &timestamp], body.as_bytes());
        Call {
            method,
            path: path.to_owned(),
            body: body.as_bytes().to_vec(),
            key: Some(self.key.to_owned()),
            timestamp: Some(timestamp),
            signature: Some(signature),
        }
    }

    pub async fn send(&self, call: Call) -> Answer {
        let mut request = self.http.request(call.method, format!("{}{}", self.base, call.path));
        let headers = [
            ("X-Api-Key", call.key),
            ("X-RTCstack-Timestamp", call.timestamp),
            ("X-RTCstack-Signature", call.signature),
        ];
        for (name, value) in headers {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        if !call.body.is_empty() {
            request = request.header("Content-Type", "application/json").body(call.body);
        }
        Answer::read(request.send().await.expect("egressd answers")).await
    }
}

impl Answer {
    async fn read(response: reqwest::Response) -> Self {
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let (status, content_type) =
            (response.status().as_u16(), content_type.unwrap_or_default().to_owned());
        let bytes = response.bytes().await.expect("an answer has a whole body").to_vec();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let is_json = content_type.ends_with("json");
        let json = match is_json {
            true => serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{status} without JSON ({error}): {text}")),
            false => Value::Null,
        };
        Self { status, content_type, bytes, text, json }
    }

    /// The keys of the JSON object, sorted.
    pub fn keys(&self) -> Vec<&str> {
        keys(&self.json)
    }
}

/// The keys of a JSON object, sorted.
pub fn keys(object: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = object.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    keys.sort_unstable();
    keys
}

/// The hex that `sign.py` makes of `arguments` and `body`.
pub fn signature(secret: &str, arguments: &[&str], body: &[u8]) -> String {
    let mut child = tools::python("sign.py")
        .args(arguments)
        .env("SIGN_SECRET", secret)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("Python can be started");
    child.stdin.take().expect("standard input is a pipe").write_all(body).expect("sign.py reads its input");
    let done = child.wait_with_output().expect("sign.py ends");
    assert!(done.status.success(), "sign.py ended with {}", done.status);
    String::from_utf8(done.stdout).expect("hex is ASCII").trim().to_owned()
}

pub fn unix_seconds() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is past 1970");
    now.as_secs().try_into().expect("seconds fit in 63 bits")
}
