//! Recordings in a bucket of S3, MinIO or another store with the same API.
//!
//! Owns every AWS type: none leaves this file and its folder. The SDK retries within a call; a call that it
//! gives up becomes a [`StorageError`] (`s3/fault.rs`). Contract: an existing object is never overwritten,
//! and our own object is recognised when the answer that confirmed it was lost: every object carries a mark
//! of its own upload. The store verifies the bytes that it receives (`s3/sending.rs`).

mod fault;
mod listing;
mod sending;
mod trial;
mod upload;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::types::{BucketLocationConstraint, ChecksumMode, CreateBucketConfiguration};
use futures_util::future::BoxFuture;
use secrecy::{ExposeSecret, SecretString};

use self::fault::Fault;
use self::sending::{Integrity, Md5Sum};
use self::upload::S3Upload;
use super::body::Body;
use super::error::{Action, StorageError};
use super::key::ObjectKey;
use super::parts::Cutting;
use super::trial::Tried;
use super::upload::{Upload, random_mark};
use super::{CONTENT_TYPE, Found, Reading, Storage, UrlTerms};

/// S3's region if none is configured, and the only region that must not be named in CreateBucket.
pub const DEFAULT_REGION: &str = "us-east-1";

/// A TCP connection that takes longer will not be made: it is better to retry early.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The limit for one attempt of a call that carries no recording.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// The slowest link that a recording is uploaded over, about 1 Mbit/s. A link that is slower than the
/// recording grows would never finish the upload. A body gets its time on top of `ATTEMPT_TIMEOUT`.
const SLOWEST_LINK_BYTES_PER_SECOND: u64 = 128 * 1024;
/// How often a call without a recording is attempted: enough for a connection that broke. The caller handles
/// longer troubles: it still has the spool, and it reports them.
const ATTEMPTS: u32 = 3;
const FIRST_RETRY_DELAY: Duration = Duration::from_millis(300);
const LONGEST_RETRY_DELAY: Duration = Duration::from_secs(2);
/// User metadata (`x-amz-meta-...`) that names the upload that made the object.
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
    /// How objects are cut into parts.
    pub cutting: Cutting,
}

/// One bucket.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Client,
    endpoint: String,
    region: String,
    bucket: String,
    cutting: Cutting,
    timeouts: Timeouts,
    /// How this store verifies the bytes it receives; known after its first answer.
    integrity: Arc<OnceLock<Integrity>>,
}

/// How long a call that carries a body may take.
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    attempt: Duration,
    /// In bytes a second.
    slowest_link: u64,
}

/// Whose object has this key.
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
            cutting: config.cutting,
            timeouts: Timeouts { attempt: ATTEMPT_TIMEOUT, slowest_link: SLOWEST_LINK_BYTES_PER_SECOND },
            integrity: Arc::default(),
        }
    }

    /// Returns the settings of a call that carries `len` bytes. It is not retried here: the caller decides
    /// that.
    fn limits_for(&self, len: u64) -> aws_sdk_s3::config::Builder {
        let Timeouts { attempt, slowest_link } = self.timeouts;
        let for_the_body = Duration::from_secs(len / slowest_link);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(attempt + for_the_body);
        aws_sdk_s3::Config::builder().timeout_config(timeouts.build()).retry_config(RetryConfig::disabled())
    }

    async fn put_verified_by(&self, key: &ObjectKey, body: &Body, proof: Proof) -> Result<(), StorageError> {
        let mark = random_mark();
        let target = Target { key, mark: &mark, action: Action::Put { key: key.clone() } };
        self.create_object(target, |if_none_match| {
            let request = self.client.put_object().bucket(&self.bucket);
            let request = request.key(key.as_str()).content_type(CONTENT_TYPE);
            let request = request.metadata(MARK, &mark);
            let request = request.set_checksum_crc64_nvme(proof.crc64.clone());
            let request = request.set_content_md5(proof.md5.clone());
            let request = request.set_if_none_match(if_none_match);
            let request = request.body(sending::stream(body));
            let sent = request.customize().config_override(self.limits_for(body.size())).send();
            Box::pin(async {
                if sent.await?.checksum_crc64_nvme().is_some() {
                    let _known = self.integrity.set(Integrity::Crc64);
                }
                Ok(())
            })
        })
        .await
    }

    /// A store with short time limits, for tests with connections that hang.
    #[cfg(test)]
    pub fn impatient(config: &S3Config) -> Self {
        let attempt = Duration::from_secs(2);
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(attempt).build();
        let client = Client::from_conf(sdk_config(config).to_builder().timeout_config(timeouts).build());
        Self { client, timeouts: Timeouts { attempt, slowest_link: u64::MAX }, ..Self::new(config) }
    }

    /// Checks that the bucket exists and may be read. Does not use HeadBucket: the answer to a HEAD has no
    /// body, so it cannot say what is wrong.
    async fn list_one(&self) -> Result<(), StorageError> {
        let request = self.client.list_objects_v2().bucket(&self.bucket);
        let answer = request.max_keys(1).send().await;
        let place = || Action::Reach { place: self.describe() };
        answer.map(drop).map_err(|error| Fault::from(error).during(place()))
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
            // Two services were started at the same moment.
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
            Err(fault) => Err(fault.during(Action::Find { key: key.clone() })),
        }
    }

    /// Lets `send` create the object under `key`, unless the key is taken. `send` gets the value of the
    /// `If-None-Match` header. The object is also looked up before, since some stores ignore or refuse that
    /// header.
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
            // The first attempt may have succeeded and only its answer was lost.
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

/// Headers that allow the store to verify an object.
#[derive(Clone)]
struct Proof {
    crc64: Option<String>,
    md5: Option<String>,
}

/// The object that is created, and the action for its errors.
struct Target<'a> {
    key: &'a ObjectKey,
    mark: &'a str,
    action: Action,
}

impl Storage for S3 {
    fn describe(&self) -> String {
        format!("the bucket {} at {}", self.bucket, self.endpoint)
    }

    fn cutting(&self) -> Cutting {
        self.cutting
    }

    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>> {
        Box::pin(async {
            match self.list_one().await {
                Err(StorageError::BucketGone { .. }) => self.create_bucket().await,
                other => other,
            }
        })
    }

    fn try_out(&self) -> BoxFuture<'_, Vec<Tried>> {
        Box::pin(trial::try_out(self))
    }

    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = S3Upload::begin(self, key).await?;
            Ok(Arc::new(upload) as Arc<dyn Upload>)
        })
    }

    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>> {
        Box::pin(async move {
            let upload = S3Upload::resume(self, key, upload_id).await?;
            Ok(Arc::new(upload) as Arc<dyn Upload>)
        })
    }

    fn abort_all<'a>(
        &'a self,
        key: &'a ObjectKey,
        but: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, StorageError>> {
        Box::pin(listing::abort_all(self, key, but))
    }

    fn put<'a>(&'a self, key: &'a ObjectKey, body: Body) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(async move {
            let crc64 = Some(sending::crc64_header(body.checksum().crc64()));
            let known = self.integrity.get();
            if known == Some(&Integrity::Crc64) {
                return self.put_verified_by(key, &body, Proof { crc64, md5: None }).await;
            }
            let md5 = Md5Sum::of(&body).await;
            let md5 = md5
                .map_err(|source| StorageError::File { action: Action::Put { key: key.clone() }, source })?;
            let by_md5 = Proof { crc64: None, md5: Some(md5.header()) };
            if known.is_none() {
                // A store that ignores one of the checksums verifies the other.
                match self.put_verified_by(key, &body, Proof { crc64, ..by_md5.clone() }).await {
                    Err(StorageError::Rejected { code, .. }) => {
                        tracing::info!(code, "the store does not know CRC-64/NVME, Content-MD5 is left");
                    }
                    other => return other,
                }
            }
            self.put_verified_by(key, &body, by_md5).await
        })
    }

    fn find<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Found>, StorageError>> {
        Box::pin(async move {
            // A store that does not know checksums may refuse a request that asks for them.
            let mode = (self.integrity.get() == Some(&Integrity::Crc64)).then_some(ChecksumMode::Enabled);
            let request = self.client.head_object().bucket(&self.bucket);
            let answer = request.key(key.as_str()).set_checksum_mode(mode).send().await;
            match answer.map_err(Fault::from) {
                Ok(found) => {
                    let size = found.content_length().and_then(|len| len.try_into().ok());
                    let crc64 = found.checksum_crc64_nvme().and_then(sending::crc64_from_header);
                    Ok(size.map(|size| Found { size, crc64 }))
                }
                Err(fault) if fault.is_not_found() => Ok(None),
                Err(fault) => Err(fault.during(Action::Find { key: key.clone() })),
            }
        })
    }

    fn presigned_get<'a>(
        &'a self,
        key: &'a ObjectKey,
        UrlTerms { valid_for, reading }: UrlTerms,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>> {
        Box::pin(async move {
            let action = Action::Presign { key: key.clone() };
            let signing = PresigningConfig::expires_in(valid_for)
                .map_err(|error| Fault::not_sent(&error).during(action.clone()))?;
            // Without a file name a browser takes the last part of the URL's path.
            let disposition = match reading {
                Reading::Play => None,
                Reading::Save => Some("attachment".to_owned()),
            };
            let request = self.client.get_object().bucket(&self.bucket).key(key.as_str());
            let request = request.set_response_content_disposition(disposition).presigned(signing).await;
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
        // MinIO has no host name for each bucket. S3 and the others accept both forms.
        .force_path_style(true)
        .retry_config(retries)
        .timeout_config(timeouts.build())
        // R2 and older releases of MinIO do not know the CRC trailers that the SDK would add, and these
        // cannot be combined to the object's checksum. We send ours in a header.
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .build()
}

#[cfg(test)]
mod tests;
