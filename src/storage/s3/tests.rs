//! The bucket as a store, against a real MinIO.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;

use super::*;
use crate::storage::testing::minio::{Minio, free_address};
use crate::storage::{Checksum, MIN_PART_SIZE, Source, Step};

const A_MINUTE: Duration = Duration::from_secs(60);

fn key(text: &str) -> ObjectKey {
    text.parse().expect("a valid key")
}

fn filled(byte: u8, len: u64) -> Bytes {
    vec![byte; len as usize].into()
}

fn body_of(bytes: impl Into<Bytes>) -> Body {
    Body::of_bytes(bytes.into())
}

async fn size(s3: &S3, key: &ObjectKey) -> Option<u64> {
    s3.find(key).await.expect("an answer").map(|found| found.size)
}

/// Returns a bucket for one test, created by `ensure_ready`.
async fn bucket(name: &str) -> (Arc<Minio>, S3) {
    let minio = tokio::task::spawn_blocking(Minio::shared).await.expect("MinIO");
    let s3 = S3::new(&minio.config(name));
    s3.ensure_ready().await.expect("the bucket is created");
    (minio, s3)
}

/// Fetches the object by its URL without the SDK, as anybody could.
async fn fetch(s3: &S3, key: &ObjectKey) -> reqwest::Response {
    fetch_to(s3, key, Reading::Play).await
}

async fn fetch_to(s3: &S3, key: &ObjectKey, reading: Reading) -> reqwest::Response {
    let url = s3.presigned_get(key, UrlTerms { valid_for: A_MINUTE, reading }).await.expect("a URL");
    reqwest::get(url.expect("a URL")).await.expect("an answer")
}

async fn body(s3: &S3, key: &ObjectKey) -> Bytes {
    let answer = fetch(s3, key).await;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the body")
}

/// Counts the unfinished uploads. MinIO lists them by the exact key only.
async fn unfinished(s3: &S3, key: &ObjectKey) -> usize {
    let request = s3.client.list_multipart_uploads().bucket(&s3.bucket);
    let listed = request.prefix(key.as_str()).send().await.expect("a list");
    listed.uploads().len()
}

#[tokio::test]
async fn a_missing_bucket_is_created_and_an_existing_one_is_fine() {
    let (minio, _) = bucket("created").await;
    let again = S3::new(&minio.config("created"));
    again.ensure_ready().await.expect("there already");
}

#[tokio::test]
async fn a_bucket_of_another_region_is_created_with_its_location() {
    let (minio, _) = bucket("regions").await;
    let mut config = minio.config("elsewhere");
    config.region = "eu-central-1".to_owned();
    let s3 = S3::new(&config);
    s3.ensure_ready().await.expect("the bucket is created");
    s3.ensure_ready().await.expect("there already");
}

#[tokio::test]
async fn part_one_may_be_uploaded_last() {
    let (_minio, s3) = bucket("parts").await;
    let key = key("room é/2024-04-21T10-00-00.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let parts =
        [(2, filled(b'2', MIN_PART_SIZE)), (3, filled(b'3', 7)), (1, filled(b'1', MIN_PART_SIZE + 1))];
    for (number, bytes) in parts.clone() {
        upload.put_part(number, body_of(bytes)).await.expect("a part");
    }
    assert_eq!(size(&s3, &key).await, None);
    let expected = [&parts[2].1[..], &parts[0].1, &parts[1].1].concat();
    let whole = Checksum::of(&expected);
    upload.complete(whole).await.expect("complete");

    let found = s3.find(&key).await.expect("an answer").expect("an object");
    assert_eq!((found.size, found.crc64), (whole.size(), Some(whole.crc64())));
    let answer = fetch(&s3, &key).await;
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    assert!(answer.bytes().await.expect("the body") == expected);
    assert_eq!(unfinished(&s3, &key).await, 0);
}

#[tokio::test]
async fn a_small_object_is_put_in_one_step() {
    let (_minio, s3) = bucket("single").await;
    let key = key("room/x.mp4");
    let small = Bytes::from_static(b"small");
    s3.put(&key, body_of(small.clone())).await.expect("stored");
    assert_eq!(body(&s3, &key).await, small);
    let found = s3.find(&key).await.expect("an answer").expect("an object");
    assert_eq!((found.size, found.crc64), (5, Some(Checksum::of(&small).crc64())));
}

#[tokio::test]
async fn an_existing_object_is_overwritten_neither_by_a_put_nor_by_an_upload() {
    let (_minio, s3) = bucket("existing").await;
    let key = key("room/x.mp4");
    let first = Bytes::from_static(b"first");
    s3.put(&key, body_of(first.clone())).await.expect("stored");

    let put = s3.put(&key, body_of(Bytes::from_static(b"second"))).await;
    assert!(matches!(put, Err(StorageError::AlreadyExists { .. })), "{put:?}");
    let upload = s3.begin(&key).await.expect("an upload");
    let third = Bytes::from_static(b"third");
    upload.put_part(1, body_of(third)).await.expect("a part");
    let completed = upload.complete(Checksum::of(b"third")).await;
    assert!(matches!(completed, Err(StorageError::AlreadyExists { .. })), "{completed:?}");

    assert_eq!(body(&s3, &key).await, first);
    assert_eq!(s3.abort_all(&key, None).await.expect("aborted"), 1);
    assert_eq!(unfinished(&s3, &key).await, 0);
}

#[tokio::test]
async fn the_store_itself_refuses_to_overwrite() {
    let (_minio, s3) = bucket("conditional").await;
    let key = key("room/x.mp4");
    let upload = S3Upload::begin(&s3, &key).await;
    let upload = upload.expect("an upload");
    let part = Bytes::from_static(b"upload");
    upload.put_part(1, body_of(part)).await.expect("a part");
    // Another writer creates the object after our lookup.
    s3.put(&key, body_of(Bytes::from_static(b"first"))).await.expect("stored");
    let request = upload.complete_request(Checksum::of(b"upload")).expect("a whole upload");
    let refused = request.if_none_match("*").send().await.map_err(Fault::from);
    let fault = refused.expect_err("the key is taken");
    assert!(fault.is_precondition_failed(), "{fault:?}");
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_succeeds_when_it_is_repeated() {
    let (_minio, s3) = bucket("lost").await;
    let key = key("room/x.mp4");
    let upload = S3Upload::begin(&s3, &key).await.expect("an upload");
    let bytes = Bytes::from_static(b"once");
    upload.put_part(1, body_of(bytes.clone())).await.expect("a part");
    let request = upload.complete_request(Checksum::of(b"once")).expect("a whole upload");
    request.send().await.expect("the answer that nobody saw");

    Arc::new(upload).complete(Checksum::of(b"once")).await.expect("the object is ours");
    assert_eq!(body(&s3, &key).await, bytes);
}

#[tokio::test]
async fn a_dropped_upload_is_resumed_with_the_parts_it_had() {
    let (_minio, s3) = bucket("resumed").await;
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let media = filled(b'2', 9);
    upload.put_part(2, body_of(media)).await.expect("a part");
    let id = upload.id().to_owned();
    drop(upload);

    let resumed = s3.resume(&key, &id).await.expect("the upload");
    let held = resumed.held(2).expect("the part");
    assert_eq!((held.size, held.crc64), (9, Some(Checksum::of(&[b'2'; 9]).crc64())));
    assert_eq!(resumed.held(1), None);
    let head = filled(b'1', MIN_PART_SIZE);
    let whole = Checksum::of(&head).followed_by(Checksum::of(&[b'2'; 9]));
    resumed.put_part(1, body_of(head)).await.expect("a part");
    resumed.complete(whole).await.expect("complete");
    assert_eq!(size(&s3, &key).await, Some(MIN_PART_SIZE + 9));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_and_is_not_resumed() {
    let (_minio, s3) = bucket("aborted").await;
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let part = Bytes::from_static(b"part");
    upload.put_part(1, body_of(part)).await.expect("a part");
    let id = upload.id().to_owned();
    assert_eq!(unfinished(&s3, &key).await, 1);
    upload.abort().await.expect("aborted");
    assert_eq!(unfinished(&s3, &key).await, 0);

    for id in [id.as_str(), "nonsense"] {
        let resumed = s3.resume(&key, id).await.map(|upload| upload.id().to_owned());
        assert!(matches!(resumed, Err(StorageError::UnknownUpload { .. })), "{resumed:?}");
    }
}

#[tokio::test]
async fn a_store_that_knows_no_crc_verifies_by_md5_and_tells_a_resumed_part_by_it() {
    let (_minio, s3) = bucket("md5").await;
    s3.integrity.set(Integrity::Md5).expect("nothing was asked yet");
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let (first, last) = (filled(b'1', MIN_PART_SIZE), filled(b'2', 9));
    upload.put_part(1, body_of(first.clone())).await.expect("a part");
    upload.put_part(2, body_of(filled(b'x', 9))).await.expect("a part");
    let id = upload.id().to_owned();
    let resumed = s3.resume(&key, &id).await.expect("the upload");
    // One part is as it should be; the other is not.
    resumed.put_part(1, body_of(first.clone())).await.expect("there already");
    resumed.put_part(2, body_of(last.clone())).await.expect("replaced");
    let expected = [&first[..], &last].concat();
    resumed.complete(Checksum::of(&expected)).await.expect("complete");
    assert!(body(&s3, &key).await == expected);

    let put = "room/put.mp4".parse().expect("a key");
    s3.put(&put, body_of(last.clone())).await.expect("stored");
    assert_eq!(body(&s3, &put).await, last);
}

#[tokio::test]
async fn the_store_says_with_the_first_upload_that_it_knows_the_checksum() {
    let (_minio, s3) = bucket("asked").await;
    let upload = s3.begin(&key("room/x.mp4")).await.expect("an upload");
    assert_eq!(s3.integrity.get(), Some(&Integrity::Crc64));
    upload.abort().await.expect("aborted");
}

#[tokio::test]
async fn the_store_itself_refuses_a_part_and_an_object_of_another_checksum() {
    let (_minio, s3) = bucket("broken").await;
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let error = upload.put_part(1, Changing::body().await).await.expect_err("refused");
    assert!(matches!(error, StorageError::Rejected { .. }), "{error:?}");
    upload.put_part(1, body_of(&b"right"[..])).await.expect("a part");
    let error = upload.complete(Checksum::of(b"wrong")).await.expect_err("refused");
    assert!(matches!(error, StorageError::Rejected { .. }), "{error:?}");
    assert_eq!(size(&s3, &key).await, None);
}

/// Returns other bytes at the second reading; the checksum is of the first.
struct Changing(AtomicU8);

impl Changing {
    async fn body() -> Body {
        Body::new(Arc::new(Self(AtomicU8::new(0)))).await.expect("read once")
    }
}

impl Source for Changing {
    fn size(&self) -> u64 {
        100
    }

    fn read_at(&self, _offset: u64, buf: &mut [u8]) -> std::io::Result<()> {
        buf.fill(self.0.fetch_add(1, Ordering::SeqCst));
        Ok(())
    }
}

#[tokio::test]
async fn the_unfinished_uploads_of_a_key_are_removed_but_for_the_one_that_is_owned() {
    let (_minio, s3) = bucket("orphans").await;
    let (ours, others) = (key("room/x.mp4"), key("room/x.mp4.mp4"));
    let owned = s3.begin(&ours).await.expect("an upload");
    s3.begin(&ours).await.expect("an orphan");
    s3.begin(&others).await.expect("somebody else's");
    assert_eq!(s3.abort_all(&ours, Some(owned.id())).await.expect("aborted"), 1);
    assert_eq!((unfinished(&s3, &ours).await, unfinished(&s3, &others).await), (1, 1));
    assert_eq!(s3.abort_all(&ours, None).await.expect("aborted"), 1);
    assert_eq!((unfinished(&s3, &ours).await, unfinished(&s3, &others).await), (0, 1));
}

#[tokio::test]
async fn an_object_is_not_joined_while_a_part_is_missing() {
    let (_minio, s3) = bucket("missing").await;
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    let media = Bytes::from_static(b"media");
    upload.put_part(2, body_of(media)).await.expect("a part");
    let joined = upload.complete(Checksum::of(b"media")).await;
    assert!(matches!(joined, Err(StorageError::MissingPart { part: 1, .. })), "{joined:?}");
    assert_eq!(unfinished(&s3, &key).await, 1);
}

#[tokio::test]
async fn a_part_that_is_too_small_is_named_when_the_upload_is_completed() {
    let (_minio, s3) = bucket("small").await;
    let key = key("room/x.mp4");
    let upload = s3.begin(&key).await.expect("an upload");
    for number in [1, 2] {
        let small = Bytes::from_static(b"small");
        upload.put_part(number, body_of(small)).await.expect("a part");
    }
    let error = upload.complete(Checksum::of(b"smallsmall")).await.expect_err("too small");
    assert!(error.to_string().contains("EntityTooSmall"), "{error}");
    assert_eq!(unfinished(&s3, &key).await, 1);
}

#[tokio::test]
async fn wrong_credentials_are_told_apart_without_showing_the_secret() {
    let (minio, _) = bucket("credentials").await;
    let mut wrong_key = minio.config("credentials");
    wrong_key.access_key = "nobody".to_owned();
    let mut wrong_secret = minio.config("credentials");
    wrong_secret.secret_key = "hush-wrong".into();
    let cases = [(wrong_key, "InvalidAccessKeyId"), (wrong_secret, "SignatureDoesNotMatch")];
    for (config, code) in cases {
        let error = S3::new(&config).ensure_ready().await.expect_err("refused");
        assert!(matches!(error, StorageError::Denied { .. }), "{error:?}");
        assert!(error.to_string().contains(code), "{error}");
        assert!(!error.is_transient());
        assert!(!format!("{error:?}").contains("hush"), "{error:?}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_may_answer_later() {
    let config = S3Config {
        endpoint: format!("http://{}", free_address()),
        region: DEFAULT_REGION.to_owned(),
        bucket: "nowhere".to_owned(),
        access_key: "access".to_owned(),
        secret_key: "hush".into(),
        cutting: Cutting::Growing,
    };
    let error = S3::new(&config).ensure_ready().await.expect_err("refused");
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains(&config.endpoint), "{error}");
}

#[tokio::test]
async fn a_url_that_would_live_longer_than_s3_allows_is_refused() {
    let (_minio, s3) = bucket("urls").await;
    let eight_days = 8 * 24 * 60 * A_MINUTE;
    let terms = UrlTerms { valid_for: eight_days, reading: Reading::Play };
    let error = s3.presigned_get(&key("x.mp4"), terms).await;
    let error = error.expect_err("too long");
    assert!(matches!(error, StorageError::Rejected { .. }), "{error:?}");
}

#[tokio::test]
async fn a_url_says_whether_a_browser_is_to_save_the_file() {
    let (_minio, s3) = bucket("downloads").await;
    let key = key("a room/x.mp4");
    s3.put(&key, body_of(Bytes::from_static(b"a film"))).await.expect("stored");
    let disposition = async |reading| {
        let answer = fetch_to(&s3, &key, reading).await;
        assert_eq!(answer.status(), 200);
        answer.headers().get("content-disposition").map(|value| value.to_str().expect("ASCII").to_owned())
    };
    assert_eq!(disposition(Reading::Play).await, None);
    assert_eq!(disposition(Reading::Save).await.as_deref(), Some("attachment"));
}

#[tokio::test]
async fn a_trial_goes_through_everything_and_leaves_nothing() {
    let (_minio, s3) = bucket("tried").await;
    let tried = s3.try_out().await;
    let steps: Vec<_> = tried.iter().map(|tried| tried.step).collect();
    assert_eq!(steps, [Step::Reach, Step::Write, Step::Read, Step::Parts, Step::Remove]);
    assert!(tried.iter().all(Tried::is_good), "{tried:?}");
    let left = s3.client.list_objects_v2().bucket(&s3.bucket).send().await.expect("a list");
    assert_eq!(left.contents().len(), 0);
}

#[tokio::test]
async fn a_trial_creates_no_bucket() {
    let (minio, _) = bucket("other").await;
    let missing = S3::new(&minio.config("missing"));
    for _ in 0..2 {
        let tried = missing.try_out().await;
        let [Tried { step: Step::Reach, outcome: Err(StorageError::BucketGone { .. }) }] = &tried[..] else {
            panic!("{tried:?}");
        };
    }
}

#[tokio::test]
async fn a_name_that_the_store_does_not_take_is_refused_as_a_name() {
    let (_minio, s3) = bucket("names").await;
    for room in ["x".repeat(256), "..\\..\\evil".to_owned()] {
        let refused = key(&format!("{room}/x.mp4"));
        let put = s3.put(&refused, body_of(&b"small"[..])).await;
        assert!(matches!(put, Err(StorageError::KeyRefused { .. })), "{put:?}");
        let found = s3.find(&refused).await;
        assert!(matches!(found, Err(StorageError::KeyRefused { .. })), "{found:?}");
        let in_parts = in_parts(&s3, &refused).await;
        assert!(matches!(in_parts, Err(StorageError::KeyRefused { .. })), "{in_parts:?}");
    }
}

/// MinIO says only with the first part that a name is too long.
async fn in_parts(s3: &S3, key: &ObjectKey) -> Result<(), StorageError> {
    let upload = s3.begin(key).await?;
    upload.put_part(1, body_of(&b"small"[..])).await?;
    upload.complete(Checksum::of(b"small")).await
}
