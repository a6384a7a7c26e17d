//! The bucket as a store, against a real MinIO.

mod minio;

use std::sync::Arc;

use super::*;
use crate::storage::MIN_PART_SIZE;
use minio::{Minio, free_address};

const A_MINUTE: Duration = Duration::from_secs(60);

fn key(text: &str) -> ObjectKey {
    text.parse().expect("a valid key")
}

fn filled(byte: u8, len: u64) -> Bytes {
    vec![byte; len as usize].into()
}

/// A bucket of the test's own, created by `ensure_ready`.
async fn bucket(name: &str) -> (Arc<Minio>, S3) {
    let minio = tokio::task::spawn_blocking(Minio::shared).await.expect("MinIO");
    let s3 = S3::new(&minio.config(name));
    s3.ensure_ready().await.expect("the bucket is created");
    (minio, s3)
}

/// What anybody gets who has the URL, without the SDK.
async fn fetch(s3: &S3, key: &ObjectKey) -> reqwest::Response {
    let url = s3.presigned_get(key, A_MINUTE).await.expect("a URL");
    reqwest::get(url.expect("a URL")).await.expect("an answer")
}

async fn body(s3: &S3, key: &ObjectKey) -> Bytes {
    let answer = fetch(s3, key).await;
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("the body")
}

/// MinIO lists unfinished uploads by the exact key only.
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
    let mut upload = s3.begin(&key).await.expect("an upload");
    let parts =
        [(2, filled(b'2', MIN_PART_SIZE)), (3, filled(b'3', 7)), (1, filled(b'1', MIN_PART_SIZE + 1))];
    for (number, bytes) in parts.clone() {
        upload.put_part(number, bytes).await.expect("a part");
    }
    assert_eq!(s3.size(&key).await.expect("an answer"), None);
    upload.complete().await.expect("complete");

    let size = 2 * MIN_PART_SIZE + 8;
    assert_eq!(s3.size(&key).await.expect("an answer"), Some(size));
    let answer = fetch(&s3, &key).await;
    assert_eq!(answer.headers()["content-type"], "video/mp4");
    let expected = [&parts[2].1[..], &parts[0].1, &parts[1].1].concat();
    assert!(answer.bytes().await.expect("the body") == expected);
    assert_eq!(unfinished(&s3, &key).await, 0);
}

#[tokio::test]
async fn a_small_object_is_put_in_one_step() {
    let (_minio, s3) = bucket("single").await;
    let key = key("room/x.mp4");
    let small = Bytes::from_static(b"small");
    s3.put(&key, small.clone()).await.expect("stored");
    assert_eq!(body(&s3, &key).await, small);
    assert_eq!(s3.size(&key).await.expect("an answer"), Some(5));
}

#[tokio::test]
async fn an_existing_object_is_overwritten_neither_by_a_put_nor_by_an_upload() {
    let (_minio, s3) = bucket("existing").await;
    let key = key("room/x.mp4");
    let first = Bytes::from_static(b"first");
    s3.put(&key, first.clone()).await.expect("stored");

    let put = s3.put(&key, Bytes::from_static(b"second")).await;
    assert!(matches!(put, Err(StorageError::AlreadyExists { .. })), "{put:?}");
    let mut upload = s3.begin(&key).await.expect("an upload");
    let third = Bytes::from_static(b"third");
    upload.put_part(1, third).await.expect("a part");
    let completed = upload.complete().await;
    assert!(matches!(completed, Err(StorageError::AlreadyExists { .. })), "{completed:?}");

    assert_eq!(body(&s3, &key).await, first);
    assert_eq!(unfinished(&s3, &key).await, 0);
}

#[tokio::test]
async fn the_store_itself_refuses_to_overwrite() {
    let (_minio, s3) = bucket("conditional").await;
    let key = key("room/x.mp4");
    let upload = S3Upload::begin(&s3, &key).await;
    let mut upload = upload.expect("an upload");
    let part = Bytes::from_static(b"upload");
    upload.put_part(1, part).await.expect("a part");
    // Somebody else is faster, after we looked.
    s3.put(&key, Bytes::from_static(b"first")).await.expect("stored");
    let request = upload.complete_request().expect("a whole upload");
    let refused = request.if_none_match("*").send().await.map_err(Fault::from);
    let fault = refused.expect_err("the key is taken");
    assert!(fault.is_precondition_failed(), "{fault:?}");
}

#[tokio::test]
async fn a_completion_whose_answer_was_lost_succeeds_when_it_is_repeated() {
    let (_minio, s3) = bucket("lost").await;
    let key = key("room/x.mp4");
    let mut upload = S3Upload::begin(&s3, &key).await.expect("an upload");
    let bytes = Bytes::from_static(b"once");
    upload.put_part(1, bytes.clone()).await.expect("a part");
    let request = upload.complete_request().expect("a whole upload");
    request.send().await.expect("the answer that nobody saw");

    Box::new(upload).complete().await.expect("the object is ours");
    assert_eq!(body(&s3, &key).await, bytes);
}

#[tokio::test]
async fn a_dropped_upload_is_resumed_with_the_parts_it_had() {
    let (_minio, s3) = bucket("resumed").await;
    let key = key("room/x.mp4");
    let mut upload = s3.begin(&key).await.expect("an upload");
    let media = filled(b'2', 9);
    upload.put_part(2, media).await.expect("a part");
    let id = upload.id().to_owned();
    drop(upload);

    let mut resumed = s3.resume(&key, &id).await.expect("the upload");
    assert_eq!((resumed.part_size(1), resumed.part_size(2)), (None, Some(9)));
    let head = filled(b'1', MIN_PART_SIZE);
    resumed.put_part(1, head).await.expect("a part");
    resumed.complete().await.expect("complete");
    assert_eq!(s3.size(&key).await.expect("an answer"), Some(MIN_PART_SIZE + 9));
}

#[tokio::test]
async fn an_aborted_upload_leaves_nothing_and_is_not_resumed() {
    let (_minio, s3) = bucket("aborted").await;
    let key = key("room/x.mp4");
    let mut upload = s3.begin(&key).await.expect("an upload");
    let part = Bytes::from_static(b"part");
    upload.put_part(1, part).await.expect("a part");
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
async fn an_object_is_not_joined_while_a_part_is_missing() {
    let (_minio, s3) = bucket("missing").await;
    let key = key("room/x.mp4");
    let mut upload = s3.begin(&key).await.expect("an upload");
    let media = Bytes::from_static(b"media");
    upload.put_part(2, media).await.expect("a part");
    let joined = upload.complete().await;
    assert!(matches!(joined, Err(StorageError::MissingPart { part: 1, .. })), "{joined:?}");
    assert_eq!(unfinished(&s3, &key).await, 0);
}

#[tokio::test]
async fn a_part_that_is_too_small_is_named_when_the_upload_is_completed() {
    let (_minio, s3) = bucket("small").await;
    let key = key("room/x.mp4");
    let mut upload = s3.begin(&key).await.expect("an upload");
    for number in [1, 2] {
        let small = Bytes::from_static(b"small");
        upload.put_part(number, small).await.expect("a part");
    }
    let error = upload.complete().await.expect_err("too small");
    assert!(error.to_string().contains("EntityTooSmall"), "{error}");
    assert_eq!(unfinished(&s3, &key).await, 0);
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
    };
    let error = S3::new(&config).ensure_ready().await.expect_err("refused");
    assert!(error.is_transient(), "{error:?}");
    assert!(error.to_string().contains(&config.endpoint), "{error}");
}

#[tokio::test]
async fn a_url_that_would_live_longer_than_s3_allows_is_refused() {
    let (_minio, s3) = bucket("urls").await;
    let eight_days = 8 * 24 * 60 * A_MINUTE;
    let error = s3.presigned_get(&key("x.mp4"), eight_days).await;
    let error = error.expect_err("too long");
    assert!(matches!(error, StorageError::Rejected { .. }), "{error:?}");
}
