//! The errors between a recording and its store, and whether trying again can help.
//!
//! Knows no store's own types. Contract: no message contains a secret.

use std::error::Error;
use std::fmt;
use std::io;

use super::key::ObjectKey;

/// The underlying error, with its own chain of sources.
pub type Cause = Box<dyn Error + Send + Sync>;

/// The action that failed. Messages show it as "to `<action>`".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Reach { place: String },
    Create { place: String },
    Begin { key: ObjectKey },
    Resume { key: ObjectKey },
    PutPart { key: ObjectKey, part: u32 },
    Complete { key: ObjectKey },
    Abort { key: ObjectKey },
    ListUploads { key: ObjectKey },
    Put { key: ObjectKey },
    Find { key: ObjectKey },
    Presign { key: ObjectKey },
    Read { key: ObjectKey },
    Remove { key: ObjectKey },
}

#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    #[error("{key} exists already and is never overwritten")]
    AlreadyExists { key: ObjectKey },

    #[error("the upload of {key} is no longer known to the store")]
    UnknownUpload { key: ObjectKey },

    #[error("part {part} of {key} was never uploaded")]
    MissingPart { key: ObjectKey, part: u32 },

    #[error(
        "the bucket {bucket} does not exist and could not be created ({code}: {message}); create it, \
         or allow these credentials s3:CreateBucket"
    )]
    NoBucket { bucket: String, code: String, message: String },

    /// The bucket existed when the service started.
    #[error("cannot {action}: the bucket does not exist any more")]
    BucketGone { action: Action },

    /// The store refuses this caller.
    #[error(
        "not allowed to {action} ({code}: {message}); check the access key, the secret key and their \
         permissions (s3:ListBucket, s3:GetObject, s3:PutObject, s3:AbortMultipartUpload, \
         s3:ListMultipartUploadParts, s3:ListBucketMultipartUploads)"
    )]
    Denied { action: Action, code: String, message: String },

    /// The store refuses every object with this key: its length or its spelling is not allowed.
    #[error("the store takes no object of the name {key} ({code})")]
    KeyRefused { key: ObjectKey, code: String },

    /// The store understood the request and refuses it.
    #[error("the store refused to {action} ({code}: {message})")]
    Rejected { action: Action, code: String, message: String },

    /// The store answered "not now".
    #[error("the store was not ready to {action} ({code}: {message})")]
    NotNow { action: Action, code: String, message: String },

    /// The store did not answer, or its answer makes no sense.
    #[error("the store did not answer to {action}")]
    Unavailable {
        action: Action,
        #[source]
        source: Cause,
    },

    /// The local file system failed.
    #[error("cannot {action}")]
    File {
        action: Action,
        #[source]
        source: io::Error,
    },
}

impl StorageError {
    /// Returns whether the same call may succeed later without a change of the configuration.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotNow { .. } | Self::Unavailable { .. } => true,
            Self::File { source, .. } => is_transient_io(source.kind()),
            Self::AlreadyExists { .. }
            | Self::UnknownUpload { .. }
            | Self::MissingPart { .. }
            | Self::NoBucket { .. }
            | Self::BucketGone { .. }
            | Self::Denied { .. }
            | Self::KeyRefused { .. }
            | Self::Rejected { .. } => false,
        }
    }
}

/// Counts a full disk as passing: space is freed when other recordings are finished or removed.
fn is_transient_io(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::Interrupted
            | io::ErrorKind::TimedOut
            | io::ErrorKind::ResourceBusy
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::StaleNetworkFileHandle
    )
}

impl Action {
    /// Returns the key of the object, if the action is about one.
    pub fn key(&self) -> Option<&ObjectKey> {
        match self {
            Self::Reach { .. } | Self::Create { .. } => None,
            Self::Begin { key }
            | Self::Resume { key }
            | Self::PutPart { key, .. }
            | Self::Complete { key }
            | Self::Abort { key }
            | Self::ListUploads { key }
            | Self::Put { key }
            | Self::Find { key }
            | Self::Read { key }
            | Self::Remove { key }
            | Self::Presign { key } => Some(key),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reach { place } => write!(f, "reach {place}"),
            Self::Create { place } => write!(f, "create {place}"),
            Self::Begin { key } => write!(f, "begin the upload of {key}"),
            Self::Resume { key } => write!(f, "resume the upload of {key}"),
            Self::PutPart { key, part } => write!(f, "upload part {part} of {key}"),
            Self::Complete { key } => write!(f, "complete the upload of {key}"),
            Self::Abort { key } => write!(f, "abort the upload of {key}"),
            Self::ListUploads { key } => write!(f, "list the unfinished uploads of {key}"),
            Self::Put { key } => write!(f, "store {key}"),
            Self::Find { key } => write!(f, "look for {key}"),
            Self::Presign { key } => write!(f, "make a URL for {key}"),
            Self::Read { key } => write!(f, "read {key}"),
            Self::Remove { key } => write!(f, "remove {key}"),
        }
    }
}
