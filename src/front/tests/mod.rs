//! The API over real connections, with a recorder in memory. Requests are written byte by byte, so that
//! exactly what a test says is signed and sent.

mod connections;
mod console;
mod dashboard;
mod deliveries;
mod document;
mod gate;
mod livekit;
mod recording;
mod recordings;
mod webhooks;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Mutex;

use bytes::Bytes;
use futures_util::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use metrics_exporter_prometheus::PrometheusBuilder;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::admission::{Shortage, Space};
use crate::control::{
    ActiveRecording, CallFuture, ControlError, FileUrl, ListedRecording, Listing, Overview, Reading,
    RecordingState, StartStatus, Started, UrlTerms,
};
use crate::health::{Admission, Readiness, Status};
use crate::ids::{EgressId, RoomName, RoomSid};
use crate::livekit::LivekitError;
use crate::media::{Corner, Decorations, FitChoice, Layout, Theme, View, Watermark};
use crate::options::{AskedOptions, NoWatermark, RecordingOptions, ViewChange};
use crate::report::QualityReport;
use crate::store::{Destination, Phase, RecordingRow, SavedFile, Store};
use crate::store::{Position, RecordingQuery};
use crate::upload::{Trouble, UploadStatus};
use crate::webhook::TargetPolicy;

const BODY_LIMIT: usize = 1000;
const LIVEKIT_SECRET: &str = "a-secret-of-thirty-two-characters";
const STARTED_AT: &str = "2024-04-21T10:00:00.000Z";

/// Knows every room but `nowhere`, cannot reach LiveKit for `unreachable`, and has no capacity for `full`.
/// Knows one past recording, too.
#[derive(Default)]
struct InMemory(Mutex<HashMap<RoomName, EgressId>>);

const PAST: &str = "EG_abcdefghijkl";

impl Recorder for InMemory {
    fn start(&self, room: RoomName, asked: AskedOptions) -> CallFuture<'_, Started> {
        if asked.watermark.is_some() {
            return async { Err(ControlError::NoWatermark(NoWatermark)) }.boxed();
        }
        let result = match room.as_str() {
            "nowhere" => Err(ControlError::RoomNotFound),
            "unreachable" => Err(ControlError::Livekit(LivekitError::UnknownKey)),
            "full" => Err(ControlError::NoCapacity {
                shortage: Shortage::Slots,
                retry_after: Duration::from_secs(7),
            }),
            "broken" => Err(ControlError::SpoolFolder {
                path: "/var/lib/secret".into(),
                source: std::io::Error::other("no such file"),
            }),
            _ => {
                let mut recordings = self.0.lock().unwrap();
                let created = !recordings.contains_key(&room);
                let id = recordings.entry(room).or_insert_with(EgressId::random);
                Ok(Started {
                    egress_id: id.clone(),
                    started_at: STARTED_AT.parse().unwrap(),
                    status: if created { StartStatus::Starting } else { StartStatus::Active },
                    created,
                })
            }
        };
        async { result }.boxed()
    }

    fn stop<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, EgressId> {
        let stopped = self.0.lock().unwrap().remove(room);
        async { stopped.ok_or(ControlError::NothingToStop) }.boxed()
    }

    fn room_finished<'a>(&'a self, name: &'a RoomName, room: &'a RoomSid) -> CallFuture<'a, bool> {
        let ended = room.as_str() == "RM_recorded" && self.0.lock().unwrap().remove(name).is_some();
        async move { Ok(ended) }.boxed()
    }

    fn active<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, Option<ActiveRecording>> {
        let egress_id = self.0.lock().unwrap().get(room).cloned();
        let active =
            egress_id.map(|egress_id| ActiveRecording { egress_id, started_at: STARTED_AT.parse().unwrap() });
        async { Ok(active) }.boxed()
    }

    fn change_view<'a>(&'a self, room: &'a RoomName, _change: ViewChange) -> CallFuture<'a, ActiveRecording> {
        async { self.active(room).await?.ok_or(ControlError::NothingToStop) }.boxed()
    }

    fn recording<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Option<RecordingState>> {
        async { Ok((id.as_str() == PAST).then(past_recording)) }.boxed()
    }

    fn recordings(&self, query: RecordingQuery) -> CallFuture<'_, Listing> {
        async move { Ok(listing(&query)) }.boxed()
    }

    fn file_url<'a>(&'a self, id: &'a EgressId, terms: UrlTerms) -> CallFuture<'a, FileUrl> {
        let url = match id.as_str() {
            PAST => {
                let expires_at = STARTED_AT.parse::<Timestamp>().unwrap() + terms.valid_for;
                let query = match terms.reading {
                    Reading::Play => "sig",
                    Reading::Save => "save&sig",
                };
                Ok(FileUrl { url: format!("https://store.example/x?{query}"), expires_at })
            }
            "EG_unfinished00" => Err(ControlError::NotFinished),
            "EG_failed000000" => Err(ControlError::NoFile),
            "EG_folder000000" => Err(ControlError::NotInABucket),
            "EG_storegone000" => Err(ControlError::StoreGone),
            _ => Err(ControlError::NoSuchRecording),
        };
        async { url }.boxed()
    }

    fn preview<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Bytes> {
        let preview = match id.as_str() {
            PAST => Err(ControlError::NotActive),
            "EG_active000000" => Ok(Bytes::from_static(b"jpeg")),
            "EG_starting0000" => Err(ControlError::NoFrame),
            "EG_busy00000000" => Err(ControlError::NoPreview),
            _ => Err(ControlError::NoSuchRecording),
        };
        async { preview }.boxed()
    }

    fn readiness(&self) -> CallFuture<'_, Readiness> {
        let ready = Readiness {
            livekit: Status::Good,
            encoders: Status::Good,
            space: Space::Ample,
            admission: Admission::Free,
            store_trouble: stuck_upload().trouble,
        };
        async { Ok(ready) }.boxed()
    }

    fn overview(&self) -> CallFuture<'_, Overview> {
        let upload = (PAST.parse().unwrap(), stuck_upload());
        async { Ok(Overview { uploads: vec![upload], ..Overview::default() }) }.boxed()
    }
}

/// Returns the past recording if the query includes it. Claims that more follow if the query's limit is 1.
fn listing(query: &RecordingQuery) -> Listing {
    let RecordingState { row, upload, .. } = past_recording();
    let place = Position { started_at: row.started_at, egress_id: row.egress_id.clone() };
    let is_wanted = query.after != Some(place.clone())
        && query.room.as_ref().is_none_or(|room| *room == row.room)
        && query.phases.is_none_or(|phases| phases.hold(row.phase));
    if !is_wanted {
        return Listing { recordings: vec![], next: None };
    }
    Listing { recordings: vec![ListedRecording { row, upload }], next: (query.limit == 1).then_some(place) }
}

/// Returns the upload status of a recording that cannot be fetched yet.
fn stuck_upload() -> UploadStatus {
    let since = STARTED_AT.parse().unwrap();
    let trouble = Trouble { reason: "the store does not answer".to_owned(), since, attempts: 3 };
    UploadStatus {
        stored_bytes: 5,
        waiting_bytes: 7,
        since: Some(since),
        trouble: Some(trouble),
        ..UploadStatus::default()
    }
}

fn past_recording() -> RecordingState {
    let time = |text: &str| text.parse().unwrap();
    let watermark = Watermark { file: "/etc/logo.png".into(), corner: Corner::TopLeft, opacity: 0.5 };
    let options = RecordingOptions {
        view: View { layout: Layout::Speaker, theme: Theme::Light, fit: FitChoice::Contain },
        decorations: Decorations { names: true, watermark: Some(watermark), ..Decorations::default() },
        ..RecordingOptions::default()
    };
    let key = "room/2024-04-21T10-00-00.mp4".to_owned();
    RecordingState {
        row: RecordingRow {
            egress_id: PAST.parse().unwrap(),
            room: "room".parse().unwrap(),
            phase: Phase::Complete,
            started_at: time(STARTED_AT),
            key: key.clone(),
            options,
            zero: None,
            first_media_at: Some(time("2024-04-21T10:00:01.5Z")),
            end_status: None,
            ended_at: Some(time("2024-04-21T11:00:00Z")),
            saved: Some(SavedFile { key, duration_s: 3598, size: 512_000_000, store: Destination::Primary }),
            error: None,
        },
        quality: Some(QualityReport::default()),
        upload: None,
    }
}

fn settings(rate_limit: RateLimit) -> ApiSettings {
    let pair = |key: &str, secret: &str| ApiKey { key: key.into(), secret: secret.into() };
    let keys = vec![pair("key", "s3cr3t"), pair("second", "s3cr3t-2")];
    ApiSettings {
        refuse_replays: false,
        metrics_here: true,
        connections: 100,
        timeouts: Timeouts::default(),
        keys: ApiKeys::new(keys),
        rate_limit,
        cors_origins: vec!["https://app.example".to_owned()],
        body_limit: BODY_LIMIT,
        console: Some(ConsoleSettings { stores: vec!["http://store.example:9000".to_owned()] }),
    }
}

struct Api {
    address: SocketAddr,
    cancel: CancellationToken,
    served: tokio::task::JoinHandle<()>,
    store: Store,
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
        Self::with(rate_limit, TargetPolicy::PublicOnly).await
    }

    async fn with_body_limit(body_limit: usize) -> Self {
        let settings = ApiSettings { body_limit, ..settings(RateLimit::default()) };
        Self::set(settings, TargetPolicy::PublicOnly).await
    }

    /// The API whose webhooks may point to this machine.
    async fn trusting() -> Self {
        Self::with(RateLimit::default(), TargetPolicy::AnyAddress).await
    }

    async fn without_console() -> Self {
        Self::set(ApiSettings { console: None, ..settings(RateLimit::default()) }, TargetPolicy::PublicOnly)
            .await
    }

    async fn with(rate_limit: RateLimit, targets: TargetPolicy) -> Self {
        Self::set(settings(rate_limit), targets).await
    }

    async fn set(settings: ApiSettings, targets: TargetPolicy) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("egressd.db")).unwrap();
        let state = ApiState {
            recorder: Arc::new(InMemory::default()),
            webhooks: Registry::new(store.clone(), targets).unwrap(),
            livekit: LivekitKey { key: "devkey".to_owned(), secret: LIVEKIT_SECRET.into() },
            metrics: PrometheusBuilder::new().build_recorder().handle(),
            settings,
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        let served = tokio::spawn(serve(listener, state, cancel.clone()));
        Self { address, cancel, served, store, _dir: dir }
    }

    /// Sends these bytes and reads until the connection is closed.
    async fn raw(&self, request: &str) -> Answer {
        let mut connection = TcpStream::connect(self.address).await.unwrap();
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut text = String::new();
        connection.read_to_string(&mut text).await.unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let answer = Answer {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        };
        let mut line = request.split(' ');
        document::check(line.next().unwrap(), line.next().unwrap(), &answer);
        answer
    }

    async fn with_headers(&self, method: &str, target: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.raw(&format!(
            "{method} {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
        ))
        .await
    }

    async fn call(&self, method: &str, target: &str, body: &str) -> Answer {
        self.with_headers(method, target, &signed(method, target, body), body).await
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

    /// Checks a problem's other keys; returns its status and detail.
    fn problem(&self, slug: &str) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let json = self.json();
        let keys: Vec<_> = json.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), 4, "{keys:?}");
        assert_eq!(json["type"], format!("https://rtcstack.dev/errors/{slug}"));
        assert_eq!(json["status"], self.status);
        (self.status, json["detail"].as_str().unwrap().to_owned())
    }
}

fn signed(method: &str, target: &str, body: &str) -> String {
    signed_by("key", "s3cr3t", method, target, body)
}

fn signed_by(key: &str, secret: &str, method: &str, target: &str, body: &str) -> String {
    let now = Timestamp::now().as_second();
    let hash = hex::encode(Sha256::digest(body));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{method}\n{target}\n{now}\n{hash}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!("X-Api-Key: {key}\r\nX-RTCstack-Timestamp: {now}\r\nX-RTCstack-Signature: {signature}\r\n")
}
