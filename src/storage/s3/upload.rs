//! One multipart upload to a bucket.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::operation::create_multipart_upload::CreateMultipartUploadOutput;
use aws_sdk_s3::types::{ChecksumAlgorithm, ChecksumType, CompletedMultipartUpload, CompletedPart};
use futures_util::future::BoxFuture;

use super::fault::Fault;
use super::sending::{self, Integrity, Md5Sum};
use super::{MARK, S3, Target};
use crate::storage::CONTENT_TYPE;
use crate::storage::body::Body;
use crate::storage::checksum::Checksum;
use crate::storage::error::{Action, StorageError};
use crate::storage::key::ObjectKey;
use crate::storage::upload::{self, HeldParts, Upload, random_mark};

/// "Processing of a CompleteMultipartUpload request could take several minutes" (S3 API reference).
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(600);
/// Separates the fields of our id. Marks and words consist of letters and digits.
const ID_SEPARATOR: char = '.';

#[derive(Clone)]
pub(super) struct S3Upload(Arc<Inner>);

struct Inner {
    store: S3,
    key: ObjectKey,
    id: Id,
    /// `id` as text.
    text: String,
    parts: Mutex<HeldParts<HeldPart>>,
}

/// What must be known to resume an upload.
struct Id {
    /// The mark by which the upload's object is recognised.
    mark: String,
    integrity: Integrity,
    upload_id: String,
}

#[derive(Clone)]
struct HeldPart {
    etag: String,
    size: u64,
    crc64: Option<u64>,
}

impl Id {
    fn to_text(&self) -> String {
        format!("{}{ID_SEPARATOR}{}{ID_SEPARATOR}{}", self.mark, self.integrity.as_str(), self.upload_id)
    }

    fn from_text(text: &str) -> Option<Self> {
        let (mark, rest) = text.split_once(ID_SEPARATOR)?;
        let (integrity, upload_id) = rest.split_once(ID_SEPARATOR)?;
        let integrity = Integrity::from_word(integrity)?;
        Some(Self { mark: mark.to_owned(), integrity, upload_id: upload_id.to_owned() })
    }
}

/// Returns S3's own id of an upload, from our id.
pub(super) fn upload_id_in(text: &str) -> Option<String> {
    Id::from_text(text).map(|id| id.upload_id)
}

impl S3Upload {
    /// Begins an upload. The store's answer to the first one says whether it knows CRC-64/NVME.
    pub async fn begin(store: &S3, key: &ObjectKey) -> Result<Self, StorageError> {
        let mark = random_mark();
        let known = store.integrity.get().copied();
        let created = match known {
            Some(Integrity::Md5) => create(store, key, &mark, Integrity::Md5).await?,
            Some(Integrity::Crc64) => create(store, key, &mark, Integrity::Crc64).await?,
            None => match create(store, key, &mark, Integrity::Crc64).await {
                Err(StorageError::Rejected { code, .. }) => {
                    tracing::info!(code, "the store does not know CRC-64/NVME, parts carry Content-MD5");
                    create(store, key, &mark, Integrity::Md5).await?
                }
                other => other?,
            },
        };
        let integrity = match created.checksum_algorithm() {
            Some(ChecksumAlgorithm::Crc64Nvme) => Integrity::Crc64,
            Some(_) | None => Integrity::Md5,
        };
        let integrity = *store.integrity.get_or_init(|| integrity);
        match created.upload_id() {
            Some(upload_id) => {
                Ok(Self::new(store, key, Id { mark, integrity, upload_id: upload_id.to_owned() }))
            }
            None => Err(StorageError::Rejected {
                action: Action::Begin { key: key.clone() },
                code: "no upload id".to_owned(),
                message: "the answer to CreateMultipartUpload lacks it".to_owned(),
            }),
        }
    }

    pub async fn resume(store: &S3, key: &ObjectKey, id: &str) -> Result<Self, StorageError> {
        let Some(id) = Id::from_text(id) else {
            return Err(StorageError::UnknownUpload { key: key.clone() });
        };
        let request = store.client.list_parts().bucket(&store.bucket);
        let request = request.key(key.as_str()).upload_id(&id.upload_id);
        let upload = Self::new(store, key, id);
        let mut listed = request.into_paginator().items().send();
        while let Some(part) = listed.next().await {
            let part =
                part.map_err(|error| Fault::from(error).of_upload(key, Action::Resume { key: key.clone() }))?;
            if let (Some(number), Some(etag), Some(size)) = (part.part_number(), part.e_tag(), part.size())
                && let (Ok(number), Ok(size)) = (number.try_into(), size.try_into())
            {
                let crc64 = part.checksum_crc64_nvme().and_then(sending::crc64_from_header);
                upload.hold(number, HeldPart { etag: etag.to_owned(), size, crc64 });
            }
        }
        let _known = store.integrity.set(upload.0.id.integrity);
        Ok(upload)
    }

    fn new(store: &S3, key: &ObjectKey, id: Id) -> Self {
        let (text, parts) = (id.to_text(), Mutex::new(HeldParts::new()));
        Self(Arc::new(Inner { store: store.clone(), key: key.clone(), id, text, parts }))
    }

    fn hold(&self, number: u32, part: HeldPart) {
        self.with_parts(|parts| parts.insert(number, part));
    }

    fn with_parts<T>(&self, work: impl FnOnce(&mut HeldParts<HeldPart>) -> T) -> T {
        // The lock is usable after a panic: no panic happens in the middle of a change.
        work(&mut self.0.parts.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn held_part(&self, number: u32) -> Option<HeldPart> {
        self.with_parts(|parts| parts.get(number).cloned())
    }

    async fn send_part(self, number: u32, body: Body) -> Result<(), StorageError> {
        let Inner { store, key, id, .. } = &*self.0;
        let action = Action::PutPart { key: key.clone(), part: number };
        let md5 = match id.integrity {
            Integrity::Crc64 => None,
            Integrity::Md5 => {
                let sum = Md5Sum::of(&body).await;
                Some(sum.map_err(|source| StorageError::File { action: action.clone(), source })?)
            }
        };
        if self.held_part(number).is_some_and(|held| held.is(&body, md5.as_ref())) {
            return Ok(());
        }
        let request = store.client.upload_part().bucket(&store.bucket);
        let request = request.key(key.as_str()).upload_id(&id.upload_id);
        // A number that does not fit into the SDK's `i32` exceeds S3's 10,000 as well: the store refuses it.
        let request = request.part_number(i32::try_from(number).unwrap_or(i32::MAX));
        let crc64 = md5.is_none().then(|| body.checksum().crc64());
        let request = request.set_checksum_crc64_nvme(crc64.map(sending::crc64_header));
        let request = request.set_content_md5(md5.map(|sum| sum.header()));
        let request = request.body(sending::stream(&body)).customize();
        let sent = request.config_override(store.limits_for(body.size())).send().await;
        let sent = sent.map_err(|error| Fault::from(error).of_upload(key, action.clone()))?;
        let Some(etag) = sent.e_tag() else {
            return Err(StorageError::Rejected {
                action,
                code: "no ETag".to_owned(),
                message: "the answer to UploadPart lacks it".to_owned(),
            });
        };
        self.hold(number, HeldPart { etag: etag.to_owned(), size: body.size(), crc64 });
        Ok(())
    }

    pub fn complete_request(
        &self,
        whole: Checksum,
    ) -> Result<CompleteMultipartUploadFluentBuilder, StorageError> {
        let Inner { store, key, id, .. } = &*self.0;
        let parts = self.with_parts(|parts| -> Result<Vec<_>, StorageError> {
            let parts = parts.whole(key)?.into_iter();
            Ok(parts.map(|(number, part)| part.completed(number)).collect())
        })?;
        let list = CompletedMultipartUpload::builder().set_parts(Some(parts));
        let request = store.client.complete_multipart_upload();
        let request = request.bucket(&store.bucket).key(key.as_str());
        let request = request.upload_id(&id.upload_id).multipart_upload(list.build());
        Ok(match id.integrity {
            Integrity::Crc64 => request
                .checksum_type(ChecksumType::FullObject)
                .checksum_crc64_nvme(sending::crc64_header(whole.crc64())),
            Integrity::Md5 => request,
        })
    }

    async fn join(&self, whole: Checksum) -> Result<(), StorageError> {
        let request = self.complete_request(whole)?;
        let Inner { store, key, id, .. } = &*self.0;
        let target = Target { key, mark: &id.mark, action: Action::Complete { key: key.clone() } };
        let created = store.create_object(target, |if_none_match| {
            let request = request.clone().set_if_none_match(if_none_match);
            let sent = request.customize().config_override(patient()).send();
            Box::pin(async { Ok(sent.await.map(|_| ())?) })
        });
        created.await
    }

    async fn remove_parts(&self) -> Result<(), StorageError> {
        let Inner { store, key, id, .. } = &*self.0;
        store.abort(key, &id.upload_id).await
    }
}

impl Upload for S3Upload {
    fn id(&self) -> &str {
        &self.0.text
    }

    fn held(&self, number: u32) -> Option<upload::HeldPart> {
        self.held_part(number).map(|HeldPart { size, crc64, .. }| upload::HeldPart { size, crc64 })
    }

    fn put_part(&self, number: u32, body: Body) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(self.clone().send_part(number, body))
    }

    fn complete(self: Arc<Self>, whole: Checksum) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.join(whole).await })
    }

    fn abort(self: Arc<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.remove_parts().await })
    }
}

impl HeldPart {
    /// Returns whether the store holds exactly these bytes, as far as it can tell.
    fn is(&self, body: &Body, md5: Option<&Md5Sum>) -> bool {
        let same = match (self.crc64, md5) {
            (_, Some(md5)) => md5.is_etag(&self.etag),
            (Some(crc64), None) => crc64 == body.checksum().crc64(),
            (None, None) => false,
        };
        same && self.size == body.size()
    }

    fn completed(&self, number: u32) -> CompletedPart {
        CompletedPart::builder()
            .part_number(i32::try_from(number).unwrap_or(i32::MAX))
            .e_tag(&self.etag)
            .set_checksum_crc64_nvme(self.crc64.map(sending::crc64_header))
            .build()
    }
}

async fn create(
    store: &S3,
    key: &ObjectKey,
    mark: &str,
    integrity: Integrity,
) -> Result<CreateMultipartUploadOutput, StorageError> {
    let request = store.client.create_multipart_upload();
    let request = request.bucket(&store.bucket).key(key.as_str());
    let request = request.content_type(CONTENT_TYPE).metadata(MARK, mark);
    let request = match integrity {
        Integrity::Crc64 => {
            request.checksum_algorithm(ChecksumAlgorithm::Crc64Nvme).checksum_type(ChecksumType::FullObject)
        }
        Integrity::Md5 => request,
    };
    let sent = request.send().await;
    sent.map_err(|error| Fault::from(error).during(Action::Begin { key: key.clone() }))
}

fn patient() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(super::CONNECT_TIMEOUT)
        .operation_attempt_timeout(COMPLETE_TIMEOUT);
    aws_sdk_s3::Config::builder().timeout_config(timeouts.build()).retry_config(RetryConfig::disabled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_was_written() {
        let id = Id { mark: "m1".into(), integrity: Integrity::Md5, upload_id: "a.b~c".into() };
        let read = Id::from_text(&id.to_text()).expect("an id");
        assert_eq!((read.mark, read.integrity, read.upload_id), (id.mark, id.integrity, id.upload_id));
        assert!(Id::from_text("nonsense").is_none());
    }
}
