//! Owns what the API needs of the recorder, so that it can be tried without one.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;

pub use crate::control::{
    ActiveRecording, FileUrl, ListedRecording, Listing, Overview, PART_RETRIES, Readiness, Reading,
    RecordingState, RunningRecording, Space, Standing, StartStatus, Started, Trouble, UploadStatus, UrlTerms,
};
use crate::filepath::InvalidFilepath;
use crate::ids::{EgressId, RoomName, RoomSid};
use crate::options::{AskedOptions, ViewChange};
pub use crate::store::{Position, RecordingQuery};

/// Starts and stops recordings. The service's is `control::Handle`.
pub trait Recorder: Send + Sync + 'static {
    /// Idempotent per room: a room that is being recorded answers with its recording.
    fn start(&self, room: RoomName, asked: AskedOptions) -> BoxFuture<'_, Result<Started, RecorderError>>;

    /// Idempotent until the recording has been finished.
    fn stop<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<EgressId, RecorderError>>;

    /// LiveKit has closed a room: its recording ends, if it has one. Answers whether there was one.
    fn room_finished<'a>(
        &'a self,
        name: &'a RoomName,
        room: &'a RoomSid,
    ) -> BoxFuture<'a, Result<bool, RecorderError>>;

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

    /// Recordings newest first, page by page.
    fn recordings(&self, query: RecordingQuery) -> BoxFuture<'_, Result<Listing, RecorderError>>;

    /// Where anybody can read a recording's finished file.
    fn file_url<'a>(
        &'a self,
        id: &'a EgressId,
        terms: UrlTerms,
    ) -> BoxFuture<'a, Result<FileUrl, RecorderError>>;

    /// The newest frame of a recording that takes in media, as JPEG.
    fn preview<'a>(&'a self, id: &'a EgressId) -> BoxFuture<'a, Result<Bytes, RecorderError>>;

    /// Whether a recording could be started now. Cheap: anybody may ask.
    fn readiness(&self) -> BoxFuture<'_, Result<Readiness, RecorderError>>;

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
    #[error("the filepath {0}")]
    Filepath(InvalidFilepath),
    #[error("there is no such recording")]
    NoSuchRecording,
    #[error("the recording is not finished")]
    NotFinished,
    #[error("the recording takes in no media")]
    NotActive,
    #[error("the recording has no picture")]
    NoPicture,
    #[error("no frame of the recording has been made yet")]
    NoFrame,
    #[error("no picture of the recording could be made in time")]
    NoPreview,
    #[error("nothing of the recording was saved")]
    NoFile,
    #[error("the recording lies in a local folder")]
    NotInABucket,
    #[error("the recording lies in a store that is not configured any more")]
    StoreGone,
    #[error("LiveKit cannot be reached")]
    LivekitUnreachable,
    #[error("no capacity left as {reason}, try again in {retry_after:?}")]
    NoCapacity { reason: &'static str, retry_after: Duration },
    #[error("the service is ending, try again in {retry_after:?}")]
    ShuttingDown { retry_after: Duration },
    #[error("the recorder failed")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
