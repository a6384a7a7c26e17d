//! Owns what the API needs of the recorder, so that it can be tried without one.

use std::time::Duration;

use futures_util::future::BoxFuture;

pub use crate::control::{
    ActiveRecording, Overview, RecordingState, Space, StartStatus, Started, Trouble, UploadStatus,
};
use crate::ids::{EgressId, RoomName};
use crate::options::{AskedOptions, ViewChange};

/// Starts and stops recordings. The service's is `control::Handle`.
pub trait Recorder: Send + Sync + 'static {
    /// Idempotent per room: a room that is being recorded answers with its recording.
    fn start(&self, room: RoomName, asked: AskedOptions) -> BoxFuture<'_, Result<Started, RecorderError>>;

    /// Idempotent until the recording has been finished.
    fn stop<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<EgressId, RecorderError>>;

    fn active<'a>(
        &'a self,
        room: &'a RoomName,
    ) -> BoxFuture<'a, Result<Option<ActiveRecording>, RecorderError>>;

    /// The room's recording looks different from now on.
    fn change_view<'a>(
        &'a self,
        room: &'a RoomName,
        change: ViewChange,
    ) -> BoxFuture<'a, Result<ActiveRecording, RecorderError>>;

    /// Any recording, past ones included.
    fn recording<'a>(
        &'a self,
        id: &'a EgressId,
    ) -> BoxFuture<'a, Result<Option<RecordingState>, RecorderError>>;

    /// All recordings together, and what they wait for.
    fn overview(&self) -> BoxFuture<'_, Result<Overview, RecorderError>>;
}

/// Why the recorder did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum RecorderError {
    #[error("LiveKit has no such room")]
    RoomNotFound,
    /// To be stopped, or changed.
    #[error("no active recording")]
    NothingActive,
    #[error("no watermark is configured")]
    NoWatermark,
    #[error("LiveKit cannot be reached")]
    LivekitUnreachable,
    #[error("no capacity left as {reason}, try again in {retry_after:?}")]
    NoCapacity { reason: &'static str, retry_after: Duration },
    #[error("the service is ending, try again in {retry_after:?}")]
    ShuttingDown { retry_after: Duration },
    #[error("the recorder failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
