//! One multipart upload to a bucket.

use std::time::Duration;

use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::operation::complete_multipart_upload::builders::CompleteMultipartUploadFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::fault::Fault;
use super::{MARK, S3, Target, limits_for};
use crate::storage::CONTENT_TYPE;
use crate::storage::error::{Action, StorageError};
use crate::storage::key::ObjectKey;
use crate::storage::upload::{HeldParts, Upload, random_mark};

/// "Processing of a CompleteMultipartUpload request could take several minutes" (S3 API reference).
const COMPLETE_TIMEOUT: Duration = Duration::from_secs(600);
/// Between the two halves of our id; the mark consists of letters and digits.
const ID_SEPARATOR: char = '.';

pub(super) struct S3Upload {
    store: S3,
    key: ObjectKey,
    /// `{mark}.{S3's upload id}`: a resumed upload must recognise its object, too.
    id: String,
    mark: String,
    upload_id: String,
    parts: HeldParts<HeldPart>,
}

struct HeldPart {
    etag: String,
    size: u64,
}

impl S3Upload {
    pub async fn begin(store: &S3, key: &ObjectKey) -> Result<Self, StorageError> {
        let mark = random_mark();
        let request = store.client.create_multipart_upload();
        let request = request.bucket(&store.bucket).key(key.as_str());
        let request = request.content_type(CONTENT_TYPE).metadata(MARK, &mark);
        let action = Action::Begin { key: key.clone() };
        let begun = request.send().await;
        let begun = begun.map_err(|error| Fault::from(error).during(action.clone()))?;
        match begun.upload_id() {
            Some(upload_id) => Ok(Self::new(store, key, &mark, upload_id)),
            None => Err(StorageError::Rejected {
                action,
                code: "no upload id".to_owned(),
                message: "the answer to CreateMultipartUpload lacks it".to_owned(),
            }),
        }
    }

    pub async fn resume(store: &S3, key: &ObjectKey, id: &str) -> Result<Self, StorageError> {
        let Some((mark, upload_id)) = id.split_once(ID_SEPARATOR) else {
            return Err(StorageError::UnknownUpload { key: key.clone() });
        };
        let mut upload = Self::new(store, key, mark, upload_id);
        let request = store.client.list_parts().bucket(&store.bucket);
        let request = request.key(key.as_str()).upload_id(upload_id);
        let mut listed = request.into_paginator().items().send();
        while let Some(part) = listed.next().await {
            let part =
                part.map_err(|error| Fault::from(error).of_upload(key, Action::Resume { key: key.clone() }))?;
            if let (Some(number), Some(etag), Some(size)) = (part.part_number(), part.e_tag(), part.size())
                && let (Ok(number), Ok(size)) = (number.try_into(), size.try_into())
            {
                upload.hold(number, etag.to_owned(), size);
            }
        }
        Ok(upload)
    }

    fn new(store: &S3, key: &ObjectKey, mark: &str, upload_id: &str) -> Self {
        Self {
            store: store.clone(),
            key: key.clone(),
            id: format!("{mark}{ID_SEPARATOR}{upload_id}"),
            mark: mark.to_owned(),
            upload_id: upload_id.to_owned(),
            parts: HeldParts::new(),
        }
    }

    fn hold(&mut self, number: u32, etag: String, size: u64) {
        self.parts.insert(number, HeldPart { etag, size });
    }

    async fn send_part(&mut self, number: u32, bytes: Bytes) -> Result<(), StorageError> {
        let size = bytes.len();
        let action = Action::PutPart { key: self.key.clone(), part: number };
        let request = self.store.client.upload_part().bucket(&self.store.bucket);
        let request = request.key(self.key.as_str()).upload_id(&self.upload_id);
        // A number beyond the SDK's `i32` is beyond S3's 10,000 as well: the store says so.
        let request = request.part_number(i32::try_from(number).unwrap_or(i32::MAX));
        let request = request.body(ByteStream::from(bytes)).customize();
        let sent = request.config_override(limits_for(size)).send().await;
        let sent = sent.map_err(|error| Fault::from(error).of_upload(&self.key, action.clone()))?;
        let Some(etag) = sent.e_tag() else {
            return Err(StorageError::Rejected {
                action,
                code: "no ETag".to_owned(),
                message: "the answer to UploadPart lacks it".to_owned(),
            });
        };
        self.hold(number, etag.to_owned(), size as u64);
        Ok(())
    }

    pub fn complete_request(&self) -> Result<CompleteMultipartUploadFluentBuilder, StorageError> {
        let parts = self.parts.whole(&self.key)?;
        let parts = parts.into_iter().map(|(number, part)| {
            CompletedPart::builder().part_number(number as i32).e_tag(&part.etag).build()
        });
        let list = CompletedMultipartUpload::builder().set_parts(Some(parts.collect()));
        let request = self.store.client.complete_multipart_upload();
        let request = request.bucket(&self.store.bucket).key(self.key.as_str());
        let request = request.upload_id(&self.upload_id);
        Ok(request.multipart_upload(list.build()))
    }

    async fn join(&self) -> Result<(), StorageError> {
        let request = self.complete_request()?;
        let target =
            Target { key: &self.key, mark: &self.mark, action: Action::Complete { key: self.key.clone() } };
        let created = self.store.create_object(target, |if_none_match| {
            let request = request.clone().set_if_none_match(if_none_match);
            let sent = request.customize().config_override(patient()).send();
            Box::pin(async { Ok(sent.await.map(|_| ())?) })
        });
        created.await
    }

    async fn remove_parts(&self) -> Result<(), StorageError> {
        let request = self.store.client.abort_multipart_upload();
        let request = request.bucket(&self.store.bucket).key(self.key.as_str());
        let sent = request.upload_id(&self.upload_id).send().await;
        match sent.map_err(Fault::from) {
            Ok(_) => Ok(()),
            // Somebody aborted it before, for instance a lifecycle rule of the bucket.
            Err(fault) if fault.is_unknown_upload() => Ok(()),
            Err(fault) => Err(fault.during(Action::Abort { key: self.key.clone() })),
        }
    }
}

impl Upload for S3Upload {
    fn id(&self) -> &str {
        &self.id
    }

    fn part_size(&self, number: u32) -> Option<u64> {
        self.parts.get(number).map(|part| part.size)
    }

    fn put_part(&mut self, number: u32, bytes: Bytes) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(self.send_part(number, bytes))
    }

    fn complete(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move {
            let joined = self.join().await;
            let hopeless = joined.as_ref().is_err_and(|error| !error.is_transient());
            if hopeless && let Err(error) = self.remove_parts().await {
                tracing::warn!(key = %self.key, %error, "parts of a failed upload stay in the bucket");
            }
            joined
        })
    }

    fn abort(self: Box<Self>) -> BoxFuture<'static, Result<(), StorageError>> {
        Box::pin(async move { self.remove_parts().await })
    }
}

fn patient() -> aws_sdk_s3::config::Builder {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(super::CONNECT_TIMEOUT)
        .operation_attempt_timeout(COMPLETE_TIMEOUT);
    aws_sdk_s3::Config::builder().timeout_config(timeouts.build())
}
