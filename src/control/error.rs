//! Why the supervisor did not do what it was asked for. Knows nothing of HTTP.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::capacity::Shortage;
use super::livekit::LivekitError;
use crate::options::NoWatermark;
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
    #[error("there is nothing to stop")]
    NothingToStop,
    /// The caller's mistake.
    #[error("nothing is being recorded")]
    NothingToChange,
    /// The caller's mistake.
    #[error(transparent)]
    NoWatermark(#[from] NoWatermark),
    /// Trying again later helps.
    #[error("no capacity left as {}, try again in {retry_after:?}", shortage.reason())]
    NoCapacity { shortage: Shortage, retry_after: Duration },
    /// Trying again helps once the service is back.
    #[error("the service is ending, try again in {retry_after:?}")]
    ShuttingDown { retry_after: Duration },
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
