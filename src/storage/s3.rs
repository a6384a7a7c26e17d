//! Recordings in a bucket of S3, MinIO or another store that speaks the same API.
//!
//! Owns every AWS type: none leaves this file and its folder. Retries within a call are the SDK's;
//! what it gives up on becomes a [`StorageError`] (`s3/fault.rs`). Contract: an object that exists is
//! never overwritten, and an answer that got lost is not mistaken for somebody else's object: every
//! object carries a mark of its own upload, by which it is recognised.

mod fault;
mod upload;

use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

use self::fault::Fault;
use self::upload::S3Upload;
use super::error::{Action, StorageError};
use super::key::ObjectKey;
use super::upload::{Upload, random_mark};
use super::{CONTENT_TYPE, Storage};

/// S3's region for those who have none, and the only one that must not be named in CreateBucket.
pub const DEFAULT_REGION: &str = "us-east-1";

/// A TCP connection that takes longer is not coming: the first retry is worth more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// One attempt of a call that carries no recording.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(60);
/// The slowest link that a recording is uploaded over, about 1 Mbit/s: what is slower than a
/// recording grows would never finish anyway. A body gets its time on top of `ATTEMPT_TIMEOUT`.
const SLOWEST_LINK_BYTES_PER_SECOND: u64 = 128 * 1024;
/// With the delays below they span about 5 s, enough for a store that fails over. What lasts longer
/// is for the caller, who still has the spool.
const ATTEMPTS: u32 = 6;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(300);
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(10);
/// User metadata (`x-amz-meta-...`) by which an object tells which upload it came from.
const MARK: &str = "egressd-upload";

/// How to reach a bucket.
#[derive(Clone, Debug)]
pub struct S3Config {
    /// `http://host:port` or `https://host:port`, without a path.
    pub endpoint: String,
    pub region: String,
    pub bucket: String,
    pub access_key: String,
    pub secret_key: SecretString,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    endpoint: String,
    region: String,
    bucket: String,
}

/// Whose object is under a key.
enum Occupant {
    Nobody,
    This,
    Another,
}

impl S3 {
    pub fn new(config: &S3Config) -> Self {
        Self {
            client: Client::from_conf(sdk_config(config)),
            endpoint: config.endpoint.clone(),
            region: config.region.clone(),
            bucket: config.bucket.clone(),
        }
    }

    async fn create_bucket(&self) -> Result<(), StorageError> {
        let mut request = self.client.create_bucket().bucket(&self.bucket);
        if self.region != DEFAULT_REGION {
            let region = BucketLocationConstraint::from(self.region.as_str());
            let place = CreateBucketConfiguration::builder().location_constraint(region);
            request = request.create_bucket_configuration(place.build());
        }
        match request.send().await.map_err(Fault::from) {
            Ok(_) => {
                tracing::info!(bucket = self.bucket, "created the bucket");
                Ok(())
            }
            // Two services started at the same moment.
            Err(fault) if fault.has_code("BucketAlreadyOwnedByYou") => Ok(()),
            Err(fault) => Err(fault.no_bucket(&self.bucket)),
        }
    }

    async fn occupant(&self, key: &ObjectKey, mark: &str) -> Result<Occupant, StorageError> {
        let request = self.client.head_object().bucket(&self.bucket);
        let answer = request.key(key.as_str()).send().await;
        match answer.map_err(Fault::from) {
            Ok(found) => {
                let its_mark = found.metadata().and_then(|m| m.get(MARK));
                Ok(match its_mark.is_some_and(|m| m == mark) {
                    true => Occupant::This,
                    false => Occupant::Another,
                })
            }
            Err(fault) if fault.is_not_found() => Ok(Occupant::Nobody),
            Err(fault) => Err(fault.during(Action::Size { key: key.clone() })),
        }
    }

    /// Lets `send` create the object under `key`, unless there is one. `send` is given the value of
    /// the `If-None-Match` header. The object is looked for beforehand as well, since there are stores
    /// that ignore the header or refuse it.
    async fn create_object<'a>(
        &'a self,
        target: Target<'a>,
        send: impl Fn(Option<String>) -> BoxFuture<'a, Result<(), Fault>> + Send,
    ) -> Result<(), StorageError> {
        let Target { key, mark, action } = target;
        let taken = || StorageError::AlreadyExists { key: key.clone() };
        match self.occupant(key, mark).await? {
            Occupant::Nobody => {}
            Occupant::This => return Ok(()),
            Occupant::Another => return Err(taken()),
        }
        let mut sent = send(Some("*".to_owned())).await;
        if sent.as_ref().is_err_and(Fault::is_not_implemented) {
            sent = send(None).await;
        }
        match sent {
            Ok(()) => Ok(()),
            // The first attempt may have succeeded and only its answer been lost.
            Err(fault) if fault.is_precondition_failed() || fault.is_unknown_upload() => {
                match self.occupant(key, mark).await? {
                    Occupant::This => Ok(()),
                    Occupant::Another => Err(taken()),
                    Occupant::Nobody => Err(fault.of_upload(key, action)),
                }
            }
            Err(fault) => Err(fault.during(action)),
        }
    }
}

/// What an object is created for.
struct Target<'a> {
    key: &'a ObjectKey,
    mark: &'a str,
    action: Action,
}

impl Storage for S3 {
    fn describe(&self) -> String {
        format!("the bucket {} at {}", self.bucket, self.endpoint)
    }

    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            // Not HeadBucket: the answer to HEAD has no body, so it could not say what is wrong.
            let request = self.client.list_objects_v2().bucket(&self.bucket);
            match request.max_keys(1).send().await.map_err(Fault::from) {
                Ok(_) => Ok(()),
                Err(fault) if fault.has_code("NoSuchBucket") => self.create_bucket().await,
                Err(fault) => Err(fault.during(Action::Reach { place: self.describe() })),
            }
        })
    }

    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Box<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = S3Upload::begin(self, key).await?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Box<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = S3Upload::resume(self, key, upload_id).await?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, bytes: Bytes) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let mark = random_mark();
            let limits = limits_for(bytes.len());
            let action = Action::Put { key: key.clone() };
            let target = Target { key, mark: &mark, action };
            self.create_object(target, |if_none_match| {
                let request = self.client.put_object().bucket(&self.bucket);
                let request = request.key(key.as_str()).content_type(CONTENT_TYPE);
                let request = request.metadata(MARK, &mark);
                let request = request.set_if_none_match(if_none_match);
                let request = request.body(ByteStream::from(bytes.clone()));
                let sent = request.customize().config_override(limits.clone()).send();
                Box::pin(async { Ok(sent.await.map(|_| ())?) })
            })
            .await
        })
    }

    fn size<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<u64>, StorageError>> {
        Box::pin(async move {
            let request = self.client.head_object().bucket(&self.bucket);
            let answer = request.key(key.as_str()).send().await;
            match answer.map_err(Fault::from) {
                Ok(found) => Ok(found.content_length().and_then(|len| len.try_into().ok())),
                Err(fault) if fault.is_not_found() => Ok(None),
                Err(fault) => Err(fault.during(Action::Size { key: key.clone() })),
            }
        })
    }

    fn presigned_get<'a>(
        &'a self,
        key: &'a ObjectKey,
        expires: Duration,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async move {
            let action = Action::Presign { key: key.clone() };
            let signing = PresigningConfig::expires_in(expires)
                .map_err(|error| Fault::not_sent(&error).during(action.clone()))?;
            let request = self.client.get_object().bucket(&self.bucket);
            let request = request.key(key.as_str()).presigned(signing).await;
            let signed = request.map_err(|error| Fault::from(error).during(action))?;
            Ok(Some(signed.uri().to_owned()))
        })
    }
}

fn sdk_config(config: &S3Config) -> aws_sdk_s3::Config {
    let secret = config.secret_key.expose_secret();
    let credentials = Credentials::new(&config.access_key, secret, None, None, "egressd");
    let retries = RetryConfig::standard()
        .with_max_attempts(ATTEMPTS)
        .with_initial_backoff(FIRST_RETRY_DELAY)
        .with_max_backoff(LONGEST_RETRY_DELAY);
    let timeouts =
        TimeoutConfig::builder().connect_timeout(CONNECT_TIMEOUT).operation_attempt_timeout(ATTEMPT_TIMEOUT);
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&config.endpoint)
        .region(Region::new(config.region.clone()))
        .credentials_provider(credentials)
        // MinIO has no host name for each bucket; S3 and the others take both forms.
        .force_path_style(true)
        .retry_config(retries)
        .timeout_config(timeouts.build())
        // The SDK's own CRC trailers are unknown to R2 and to MinIO's older releases. What arrives is
        // verified all the same: the request's signature covers a SHA-256 of the body.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build()
}

/// Settings of a call that carries `len` bytes.
fn limits_for(len: usize) -> aws_sdk_s3::config::Builder {
    let for_the_body = Duration::from_secs(len as u64 / SLOWEST_LINK_BYTES_PER_SECOND);
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT + for_the_body);
    aws_sdk_s3::Config::builder().timeout_config(timeouts.build())
}

#[cfg(test)]
mod tests;
