//! One upload with all that it needs: a spool of the real writer, a database, a store, and its extent.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admission::Space;
use crate::ids::EgressId;
use crate::media::{AudioSetup, EncodedSample, Size, StreamKind, StreamSetup};
use crate::mp4::{FragmentWriter, MovieConfig, SpoolReader};
use crate::options::RecordingOptions;
use crate::storage::testing::minio::Minio;
use crate::storage::{Cutting, Folder, Reading, S3, S3Config, Storage, UrlTerms};
use crate::store::{Exclusivity, Inserted, NewRecording, Store};
use crate::upload::retry::RetryPolicy;
use crate::upload::spool::Extent;
use crate::upload::status::{UploadStatus, Uploads};
use crate::upload::transfer::{Fallback, Stores};
use crate::upload::{UploadError, UploadOptions, Uploaded, Uploader};

pub const KEY: &str = "room/2024-04-21T10-00-00.mp4";
/// Far more than anything here takes. A test that takes longer has failed.
pub const PATIENCE: Duration = Duration::from_secs(120);
const LOOK_EVERY: Duration = Duration::from_millis(10);
const MIB: usize = 1 << 20;

pub struct Scene {
    pub store: Store,
    pub egress_id: EgressId,
    pub spool: PathBuf,
    pub stores: Stores,
    pub extent: watch::Sender<Extent>,
    pub space: watch::Sender<Space>,
    pub uploads: Uploads,
    pub recorded: Vec<u8>,
    pub folder: TempDir,
}

impl Scene {
    /// Returns a recording of so many MiB that has just begun.
    pub async fn new(primary: Arc<dyn Storage>, mib: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let store = Store::open(&folder.path().join("egressd.db")).expect("a database");
        let egress_id = EgressId::random();
        let new = NewRecording {
            egress_id: egress_id.clone(),
            room: "room".parse().expect("a room"),
            exclusivity: Exclusivity::Exclusive,
            started_at: Timestamp::now(),
            key: KEY.into(),
            options: RecordingOptions::default(),
        };
        let inserted = store.insert_recording(new).await.expect("written down");
        assert!(matches!(inserted, Inserted::New(_)));
        let (spool, recorded) = (folder.path().join("spool.mp4"), recorded(mib));
        std::fs::write(&spool, &recorded).expect("a spool");
        Self {
            store,
            egress_id,
            spool,
            stores: Stores { primary, fallback: None },
            extent: watch::Sender::new(Extent::Growing(0)),
            space: watch::Sender::new(Space::Ample),
            uploads: Uploads::default(),
            recorded,
            folder,
        }
    }

    /// The folder that gets the recording as soon as the store does not respond.
    pub fn with_fallback(&mut self) -> PathBuf {
        let root = self.folder.path().join("fallback");
        let storage = Arc::new(Folder::new(&root));
        self.stores.fallback = Some(Fallback { storage, after: Duration::ZERO });
        root
    }

    pub fn start(&self) -> JoinHandle<Result<Uploaded, UploadError>> {
        let options = UploadOptions {
            stores: self.stores.clone(),
            database: self.store.clone(),
            egress_id: self.egress_id.clone(),
            key: KEY.into(),
            spool: self.spool.clone(),
            extent: self.extent.subscribe(),
            retry: RetryPolicy {
                first_pause: Duration::from_millis(20),
                longest_pause: Duration::from_millis(100),
            },
            space: self.space.subscribe(),
            status: self.uploads.add(self.egress_id.clone()),
        };
        tokio::spawn(Uploader::new(options).run())
    }

    /// Makes all bytes final but the last so many.
    pub fn record_but(&self, rest: usize) {
        self.extent.send_replace(Extent::Growing((self.recorded.len() - rest) as u64));
    }

    pub fn end(&self) {
        self.extent.send_replace(Extent::Whole);
    }

    pub async fn until(&self, wanted: impl Fn(&UploadStatus) -> bool) -> UploadStatus {
        let look = async {
            loop {
                if let Some(status) = self.uploads.of(&self.egress_id).filter(&wanted) {
                    return status;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        tokio::time::timeout(PATIENCE, look).await.expect("it never came to that")
    }

    /// Uploads from the first byte to the last.
    pub async fn upload(&self) -> Uploaded {
        let task = self.start();
        self.record_but(0);
        self.end();
        done(task).await
    }

    /// Uploads like a service after a crash, when nothing more is recorded.
    pub async fn salvage(&self) -> Uploaded {
        self.end();
        done(self.start()).await
    }

    /// Returns the file as it must be, byte by byte.
    pub fn expected(&self) -> Vec<u8> {
        object(&self.recorded)
    }
}

pub async fn done(task: JoinHandle<Result<Uploaded, UploadError>>) -> Uploaded {
    result(task).await.expect("stored")
}

pub async fn result(task: JoinHandle<Result<Uploaded, UploadError>>) -> Result<Uploaded, UploadError> {
    tokio::time::timeout(PATIENCE, task).await.expect("it never ended").expect("no panic")
}

/// Returns a bucket that is reached at this address.
pub fn through(minio: &Minio, address: &str, bucket: &str) -> S3Config {
    S3Config { endpoint: format!("http://{address}"), ..minio.config(bucket) }
}

pub fn equal_parts(config: S3Config, part: u64, head: u64) -> S3 {
    S3::new(&S3Config { cutting: Cutting::Equal { part, head }, ..config })
}

/// Returns the object as the store returns it.
pub async fn fetched(storage: &dyn Storage) -> Vec<u8> {
    let key = KEY.parse().expect("a key");
    let terms = UrlTerms { valid_for: PATIENCE, reading: Reading::Play };
    let url = storage.presigned_get(&key, terms).await.expect("an answer").expect("a URL");
    let answer = reqwest::get(url).await.expect("an answer");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the object").to_vec()
}

/// Returns how often each part was sent.
pub fn counts(parts: &BTreeMap<u32, Vec<u64>>) -> Vec<(u32, usize)> {
    parts.iter().map(|(number, sent)| (*number, sent.len())).collect()
}

/// Returns a spool of so many MiB in which each byte depends on its position.
fn recorded(mib: usize) -> Vec<u8> {
    const PICTURE: usize = 200_000;
    let avcc = Bytes::from_static(&[
        0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1d, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xb4, 0x02, 0x80, 0x2d,
        0xd8, 0x0b, 0x50, 0x10, 0x10, 0x14, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf2, 0x3c,
        0x60, 0xca, 0x80, 0x01, 0x00, 0x04, 0x68, 0xef, 0x3c, 0xb0,
    ]);
    let audio = AudioSetup { specific_config: Bytes::from_static(&[0x11, 0x90]), priming: 1024 };
    let setup = StreamSetup { avcc: Some(avcc), audio: Some(audio) };
    let config = MovieConfig::new(Size { width: 1280, height: 720 }, 30, setup);
    let (mut writer, mut spool) = FragmentWriter::new(config);
    let mut sounds = 0;
    for n in 0..mib * MIB / PICTURE {
        while sounds * 1024 < (n + 1) * 1600 {
            spool.extend(writer.push(sample(StreamKind::Audio, sounds, 50)).unwrap_or_default());
            sounds += 1;
        }
        spool.extend(writer.push(sample(StreamKind::Video, n, PICTURE)).unwrap_or_default());
    }
    spool.extend(writer.finish().unwrap_or_default());
    spool
}

fn sample(stream: StreamKind, n: usize, bytes: usize) -> EncodedSample {
    let data = (0..bytes).map(|at| ((at ^ n).wrapping_mul(0x9E37_79B1) >> 9) as u8).collect();
    EncodedSample { stream, data, keyframe: stream == StreamKind::Audio || n.is_multiple_of(60) }
}

/// Returns the file of a spool that is uploaded without disturbance.
fn object(spool: &[u8]) -> Vec<u8> {
    let mut reader = SpoolReader::new();
    let ranges = reader.feed(spool).expect("a good spool");
    let mut object = reader.finish().expect("an index").head();
    for range in ranges {
        let (start, len) = (range.offset as usize, range.len as usize);
        object.extend(&spool[start..start + len]);
    }
    object
}
