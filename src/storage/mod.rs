//! Where finished recordings are kept: an S3 bucket or a local folder, behind one trait.
//!
//! Owns object keys, uploads in parts while a recording runs, and the errors of stores. Does not own the
//! spool or the layout of the file: it gets bytes. Contract: an object appears under its key whole or not at
//! all, and an existing object is never overwritten.

mod body;
mod checksum;
mod error;
mod folder;
mod key;
pub mod parts;
mod s3;
#[cfg(test)]
pub mod testing;
mod trial;
mod upload;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

pub use body::{Body, Source};
pub use checksum::Checksum;
pub use error::{Action, Cause, StorageError};
pub use folder::Folder;
pub use key::{InvalidKey, ObjectKey};
pub use parts::{Cutting, MAX_PARTS, MIN_PART_SIZE};
pub use s3::{DEFAULT_REGION, S3, S3Config};
pub use trial::{Step, Tried};
pub use upload::{HeldPart, Upload};

/// The media type of every object: the recorder writes only MP4.
const CONTENT_TYPE: &str = "video/mp4";

/// Which kind of store to use, and how to reach it.
#[derive(Clone, Debug)]
pub enum StorageConfig {
    S3(S3Config),
    Folder { root: PathBuf },
}

/// How long a URL is valid, and what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UrlTerms {
    /// Counted from now; at most 7 days.
    pub valid_for: Duration,
    pub reading: Reading,
}

/// What a browser does when it opens a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It plays the file.
    Play,
    /// It saves the file, under the last part of its key.
    Save,
}

/// What the store says about an existing object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub size: u64,
    /// The object's CRC-64/NVME, if the store keeps one.
    pub crc64: Option<u64>,
}

impl Found {
    /// Returns whether the object has these bytes, as far as the store can tell.
    pub fn is(&self, expected: Checksum) -> bool {
        self.size == expected.size() && self.crc64.is_none_or(|crc64| crc64 == expected.crc64())
    }
}

/// A store of whole objects. All recordings share one instance.
pub trait Storage: Send + Sync {
    /// Names the store, for the log and for `egressd check`.
    fn describe(&self) -> String;

    /// How the store wants objects to be cut into parts.
    fn cutting(&self) -> Cutting;

    /// Makes sure that objects can be stored: the bucket or folder exists or is created.
    fn ensure_ready(&self) -> BoxFuture<'_, Result<(), StorageError>>;

    /// Tries everything that a recording needs of the store, with an object of its own that is removed again.
    /// Creates no bucket.
    fn try_out(&self) -> BoxFuture<'_, Vec<Tried>>;

    /// Begins an upload in parts. Nothing is visible under `key` until it is completed.
    fn begin<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>>;

    /// Resumes an upload that this process or an earlier one began, with the parts that the store already
    /// holds. `upload_id` is a value of [`Upload::id`].
    fn resume<'a>(
        &'a self,
        key: &'a ObjectKey,
        upload_id: &'a str,
    ) -> BoxFuture<'a, Result<Arc<dyn Upload>, StorageError>>;

    /// Removes the unfinished uploads of exactly this key, except the one with the id `but`; returns how many.
    fn abort_all<'a>(
        &'a self,
        key: &'a ObjectKey,
        but: Option<&'a str>,
    ) -> BoxFuture<'a, Result<usize, StorageError>>;

    /// Stores a whole object in one step.
    fn put<'a>(&'a self, key: &'a ObjectKey, body: Body) -> BoxFuture<'a, Result<(), StorageError>>;

    /// Asks the store for the object; returns `None` if it does not exist.
    fn find<'a>(&'a self, key: &'a ObjectKey) -> BoxFuture<'a, Result<Option<Found>, StorageError>>;

    /// Returns a URL from which anybody can read the object; `None` if the store has no URLs. Does not check
    /// whether the object exists.
    fn presigned_get<'a>(
        &'a self,
        key: &'a ObjectKey,
        terms: UrlTerms,
    ) -> BoxFuture<'a, Result<Option<String>, StorageError>>;
}

/// Opens the store that the configuration names. Does no I/O: see [`Storage::ensure_ready`].
pub fn open(config: &StorageConfig) -> Arc<dyn Storage> {
    match config {
        StorageConfig::S3(config) => Arc::new(S3::new(config)),
        StorageConfig::Folder { root } => Arc::new(Folder::new(root)),
    }
}
