//! Why the supervisor could not do what a caller requested. Knows nothing of HTTP.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::admission::Shortage;
use crate::filepath::InvalidFilepath;
use crate::livekit::LivekitError;
use crate::options::NoWatermark;
use crate::storage::{InvalidKey, StorageError};
use crate::store::StoreError;

#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The caller's mistake.
    #[error("LiveKit has no such room")]
    RoomNotFound,
    /// Trying again can help.
    #[error("LiveKit could not be asked for the room")]
    Livekit(#[source] LivekitError),
    /// The caller's mistake.
    #[error("the id is that of a recording of another room")]
    IdTaken,
    /// The caller's mistake.
    #[error("there is nothing to stop")]
    NothingToStop,
    /// The caller's mistake.
    #[error("nothing is being recorded")]
    NothingToChange,
    /// The caller's mistake.
    #[error(transparent)]
    NoWatermark(#[from] NoWatermark),
    /// The caller's mistake.
    #[error("the filepath {0}")]
    Filepath(#[from] InvalidFilepath),
    /// The caller's mistake.
    #[error("there is no such recording")]
    NoSuchRecording,
    /// Trying again helps once it has ended.
    #[error("the recording is not finished")]
    NotFinished,
    /// The caller's mistake.
    #[error("the recording takes in no media")]
    NotActive,
    /// The caller's mistake.
    #[error("the recording has no picture")]
    NoPicture,
    /// Trying again helps soon.
    #[error("no frame of the recording has been made yet")]
    NoFrame,
    /// Trying again can help.
    #[error("no picture of the recording could be made in time")]
    NoPreview,
    /// The caller's mistake.
    #[error("nothing of the recording was saved")]
    NoFile,
    /// The caller's mistake.
    #[error("the recording lies in a local folder")]
    NotInABucket,
    /// The operator's decision.
    #[error("the recording lies in a store that is not configured any more")]
    StoreGone,
    #[error("the key of the recording's file is none")]
    Key(#[from] InvalidKey),
    #[error("no URL of the recording's file could be made")]
    Url(#[from] StorageError),
    #[error("there is no such time")]
    Expiry(#[source] jiff::Error),
    /// Trying again later helps.
    #[error("no capacity left as {}, try again in {retry_after:?}", shortage.reason())]
    NoCapacity { shortage: Shortage, retry_after: Duration },
    /// Trying again helps once the service is back.
    #[error("the service is ending, try again in {retry_after:?}")]
    ShuttingDown { retry_after: Duration },
    /// Trying again helps once the database takes writes. Nothing has changed.
    #[error("it could not be written down, try again in {retry_after:?}")]
    NotWritten { retry_after: Duration },
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The operator's mistake, at start-up.
    #[error("cannot use the spool folder {path}")]
    SpoolFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}
