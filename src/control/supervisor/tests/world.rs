//! Everything that a supervisor needs: a LiveKit with one room, a database, a store, a spool of the real
//! writer, and a program that fakes the worker.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::livekit::FakeLivekit;
use crate::admission::{Load, Measurements, Slots, Space};
use crate::control::{
    ControlError, Handle, Identity, Limits, Running, Shared, Shutdown, Supervisor, WorkerProgram,
};
use crate::health::SharedStatus;
use crate::ids::{EgressId, RoomName, WebhookId};
use crate::livekit::LivekitAccess;
use crate::media::{AudioSetup, EncodedSample, Size, StreamKind, StreamSetup};
use crate::mp4::{FragmentWriter, MovieConfig, SpoolReader};
use crate::options::{AskedOptions, RecordingOptions};
use crate::storage::{Folder, Storage};
use crate::store::{Exclusivity, NewRecording, RecordingRow, Store, WebhookRow, WebhookSource};
use crate::upload::{RetryPolicy, Stores, Trouble, UploadStatus, Uploads};

/// Far more than anything here takes. A test that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(5);
const FRAME_RATE: u32 = 30;
/// x264's configuration of a 1280x720 High profile stream.
const AVCC: &str = "0164001fffe1001d6764001facb402802dd80b50101014000003000400000300f23c60ca8001000468ef3cb0";
/// AAC-LC, 48 kHz, stereo.
const AUDIO_SPECIFIC_CONFIG: [u8; 2] = [0x11, 0x90];

/// The settings of the world. A test changes those that it is about.
pub struct Setting {
    pub plan: &'static str,
    pub spool: Vec<u8>,
    pub storage: Option<Arc<dyn Storage>>,
    pub max_recordings: Option<u32>,
    pub resume_within: Duration,
    pub shutdown_grace: Duration,
    pub limits: Limits,
    pub defaults: RecordingOptions,
    pub retry: RetryPolicy,
    /// LiveKit's rooms; `None` if LiveKit does not respond.
    pub livekit_rooms: Option<&'static str>,
}

pub struct World {
    pub store: Store,
    pub handle: Handle,
    pub recordings: PathBuf,
    pub spools: PathBuf,
    webhook: WebhookId,
    pub shutdown: Shutdown,
    pub livekit: FakeLivekit,
    pub load: watch::Sender<Arc<Load>>,
    pub space: watch::Sender<Space>,
    supervisor: JoinHandle<()>,
    setting: Setting,
    folder: TempDir,
}

impl Setting {
    pub fn new(plan: &'static str) -> Self {
        Self {
            plan,
            spool: spool(90, 200),
            storage: None,
            max_recordings: None,
            resume_within: Duration::ZERO,
            shutdown_grace: Duration::ZERO,
            limits: Limits::default(),
            defaults: RecordingOptions::default(),
            retry: RetryPolicy {
                first_pause: Duration::from_millis(1),
                longest_pause: Duration::from_millis(1),
            },
            livekit_rooms: Some(r#"{"rooms":[{"name":"room","sid":"RM_1"}]}"#),
        }
    }
}

impl World {
    pub async fn new(setting: Setting) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("egressd.db")).unwrap();
        let webhook = register(&store, &["egress_ended"]).await;
        Self::start(setting, folder, store, webhook).await
    }

    /// Kills the service, and starts it again on the same data.
    pub async fn killed_and_started_again(self, setting: Setting) -> Self {
        let Self { store, webhook, supervisor, folder, handle, .. } = self;
        supervisor.abort();
        assert!(supervisor.await.unwrap_err().is_cancelled());
        drop(handle);
        Self::start(setting, folder, store, webhook).await
    }

    async fn start(setting: Setting, folder: TempDir, store: Store, webhook: WebhookId) -> Self {
        let recordings = folder.path().join("recordings");
        let spools = folder.path().join("spool");
        let storage = match &setting.storage {
            Some(storage) => Arc::clone(storage),
            None => Arc::new(Folder::new(&recordings)),
        };
        storage.ensure_ready().await.unwrap();
        let (load, space) = (watch::Sender::default(), watch::Sender::new(Space::Ample));
        let livekit = FakeLivekit::start(setting.livekit_rooms).await;
        let shared = Shared {
            store: store.clone(),
            stores: Stores { primary: storage, fallback: None },
            livekit: LivekitAccess {
                url: "ws://livekit".into(),
                api_key: "key".into(),
                api_secret: "secret".into(),
                ca_file: None,
                give_up_after: Duration::from_secs(60),
            },
            program: program(&setting, folder.path()),
            spool_dir: spools.clone(),
            rooms: livekit.client(),
            max_recordings: setting.max_recordings.map(|max| max.try_into().unwrap()),
            resume_within: setting.resume_within,
            shutdown_grace: setting.shutdown_grace,
            slots: Slots::default(),
            idle_timeout: Duration::from_secs(300),
            disabled_codecs: Vec::new(),
            defaults: setting.defaults.clone(),
            limits: setting.limits.clone(),
            retry: setting.retry.clone(),
            uploads: Uploads::default(),
            running: Running::default(),
            measurements: Measurements { load: load.subscribe(), space: space.subscribe() },
            max_load_percent: 90,
            livekit_status: SharedStatus::of("LiveKit"),
            encoders_status: SharedStatus::of("encoders"),
            closed: CancellationToken::new(),
        };
        let (handle, supervisor) = Supervisor::new(shared).await.unwrap();
        let shutdown = Shutdown::default();
        let supervisor = tokio::spawn(supervisor.run(shutdown.clone()));
        Self {
            store,
            handle,
            recordings,
            spools,
            webhook,
            shutdown,
            livekit,
            load,
            space,
            supervisor,
            setting,
            folder,
        }
    }

    /// Adds a recording as it is when the service dies just after inserting it.
    pub async fn accept_only(&self) -> EgressId {
        let new = NewRecording {
            egress_id: EgressId::random(),
            room: room(),
            exclusivity: Exclusivity::Exclusive,
            started_at: jiff::Timestamp::now(),
            key: "room/accepted.mp4".into(),
            options: RecordingOptions::default(),
        };
        let id = new.egress_id.clone();
        self.store.insert_recording(new).await.unwrap();
        id
    }

    pub async fn start_recording(&self) -> EgressId {
        self.handle.start(Identity::Room, room(), AskedOptions::default()).await.unwrap().egress_id
    }

    /// Starts a recording, waits until the worker has recorded everything, and stops it.
    pub async fn record(&self) -> RecordingRow {
        let id = self.start_recording().await;
        self.until(&id, |row| row.first_media_at.is_some()).await;
        assert_eq!(self.handle.stop(&room()).await.unwrap(), id);
        self.ended(&id).await
    }

    pub async fn ended(&self, id: &EgressId) -> RecordingRow {
        self.until(id, |row| row.ended_at.is_some()).await
    }

    pub async fn until(&self, id: &EgressId, wanted: impl Fn(&RecordingRow) -> bool) -> RecordingRow {
        self.appeared(async || Some(self.store.recording(id).await.unwrap().unwrap()).filter(&wanted)).await
    }

    /// Waits for a warning in the recording's last quality report; returns it.
    pub async fn until_warned(&self, id: &EgressId) -> String {
        self.until_warned_of(id, "").await
    }

    /// Waits for a warning that contains this text; returns it.
    pub async fn until_warned_of(&self, id: &EgressId, what: &str) -> String {
        let warning = async || {
            let report = self.store.report(id).await.unwrap();
            let message = report.map(|report| report.warnings[0].message.clone());
            message.filter(|message| message.contains(what))
        };
        self.appeared(warning).await
    }

    /// Waits until the upload has failed so often; returns what keeps it from going on.
    pub async fn trouble(&self, id: &EgressId, attempts: u32) -> Trouble {
        let trouble = async || {
            let trouble = self.upload(id).await?.trouble;
            trouble.filter(|trouble| trouble.attempts >= attempts)
        };
        self.appeared(trouble).await
    }

    /// Waits until the upload has ended.
    pub async fn until_forgotten(&self, id: &EgressId) {
        self.comes_true(async || self.upload(id).await.is_none()).await;
    }

    async fn upload(&self, id: &EgressId) -> Option<UploadStatus> {
        self.handle.recording(id).await.unwrap().unwrap().upload
    }

    /// Locks the database until the result is dropped.
    pub fn unwritable(&self) -> impl Send + use<> {
        self.store.locked_from_outside(&self.folder.path().join("egressd.db"))
    }

    /// Returns the bodies of the pending `egress_ended` events.
    pub async fn told(&self) -> Vec<String> {
        let deliveries = self.store.all_deliveries(&self.webhook).await;
        deliveries.into_iter().map(|delivery| delivery.body).collect()
    }

    /// Adds another webhook, for these events.
    pub async fn webhook_for(&self, events: &[&str]) -> WebhookId {
        register(&self.store, events).await
    }

    /// Returns the pending events of a webhook.
    pub async fn told_to(&self, webhook: &WebhookId) -> Vec<serde_json::Value> {
        let deliveries = self.store.all_deliveries(webhook).await.into_iter();
        deliveries.map(|delivery| serde_json::from_str(&delivery.body).unwrap()).collect()
    }

    pub fn file(&self, row: &RecordingRow) -> Vec<u8> {
        let saved = row.saved.as_ref().expect("a file");
        std::fs::read(self.recordings.join(&saved.key)).unwrap()
    }

    pub fn spool_path(&self, id: &EgressId) -> PathBuf {
        self.spools.join(format!("{id}.mp4"))
    }

    /// Returns the file of a complete spool as it must be.
    pub fn expected_file(&self) -> Vec<u8> {
        object(&self.setting.spool)
    }

    /// Waits until a path exists.
    pub async fn appears(&self, path: impl Fn() -> bool) {
        self.comes_true(async || path()).await;
    }

    pub async fn comes_true(&self, condition: impl AsyncFn() -> bool) {
        self.appeared(async || condition().await.then_some(())).await;
    }

    /// Waits until `look` returns something; returns that.
    async fn appeared<T>(&self, look: impl AsyncFn() -> Option<T>) -> T {
        let found = async {
            loop {
                if let Some(found) = look().await {
                    return found;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("it never came to that")
    }

    pub fn spool_is_whole(&self, id: &EgressId) -> bool {
        let written = std::fs::metadata(self.spool_path(id)).map_or(0, |found| found.len());
        written == self.setting.spool.len() as u64
    }

    /// Waits until the supervisor that was told to end has ended.
    pub async fn gone(&mut self) {
        (&mut self.supervisor).await.unwrap();
    }
}

async fn register(store: &Store, events: &[&str]) -> WebhookId {
    let id = WebhookId::random();
    let row = WebhookRow {
        id: id.clone(),
        url: "http://127.0.0.1:9/".into(),
        secret: "secret".into(),
        events: events.iter().map(|&event| event.to_owned()).collect(),
        created_at: jiff::Timestamp::now(),
        source: WebhookSource::Api,
    };
    store.insert_webhook(row).await.unwrap();
    id
}

pub fn room() -> RoomName {
    "room".parse().unwrap()
}

pub fn error_of(row: &RecordingRow) -> &str {
    row.error.as_deref().expect("a failed recording")
}

pub fn is_full<T: std::fmt::Debug>(result: &Result<T, ControlError>) -> bool {
    matches!(result, Err(ControlError::NoCapacity { .. }))
}

/// Returns a spool of so many pictures of so many bytes each, with their sound.
pub fn spool(pictures: usize, bytes: usize) -> Vec<u8> {
    let audio = AudioSetup { specific_config: Bytes::from_static(&AUDIO_SPECIFIC_CONFIG), priming: 1024 };
    let avcc = Bytes::from(hex::decode(AVCC).unwrap());
    let setup = StreamSetup { avcc: Some(avcc), audio: Some(audio) };
    let config = MovieConfig::new(Size { width: 1280, height: 720 }, FRAME_RATE, setup);
    let (mut writer, mut spool) = FragmentWriter::new(config);
    let mut audio = 0;
    for n in 0..pictures {
        while audio * 1024 < (n + 1) * 1600 {
            spool.extend(writer.push(sample(StreamKind::Audio, audio, 50)).unwrap_or_default());
            audio += 1;
        }
        spool.extend(writer.push(sample(StreamKind::Video, n, bytes)).unwrap_or_default());
    }
    spool.extend(writer.finish().unwrap_or_default());
    spool
}

fn sample(stream: StreamKind, n: usize, bytes: usize) -> EncodedSample {
    let data = vec![n as u8; bytes].into();
    EncodedSample { stream, data, keyframe: stream == StreamKind::Audio || n == 0 }
}

pub fn object(spool: &[u8]) -> Vec<u8> {
    let mut reader = SpoolReader::new();
    let ranges = reader.feed(spool).unwrap();
    let mut object = reader.finish().unwrap().head();
    for range in ranges {
        let (start, len) = (range.offset as usize, range.len as usize);
        object.extend(&spool[start..start + len]);
    }
    object
}

fn program(setting: &Setting, folder: &Path) -> WorkerProgram {
    let (script, spool) = (folder.join("worker.py"), folder.join("made.mp4"));
    std::fs::write(&script, include_str!("fake_worker.py")).unwrap();
    std::fs::write(&spool, &setting.spool).unwrap();
    WorkerProgram {
        path: "python3".into(),
        args: vec![script.into(), setting.plan.into(), spool.into()],
        log_level: "info".into(),
    }
}
