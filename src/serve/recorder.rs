//! The API's recorder is the supervisor's handle: the same calls, its errors in the API's words.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::api::{Recorder, RecorderError};
use crate::control::{
    ActiveRecording, ControlError, FileUrl, Handle, Listing, Overview, Readiness, RecordingState, Started,
    UrlTerms,
};
use crate::ids::{EgressId, RoomName, RoomSid};
use crate::options::{AskedOptions, ViewChange};
use crate::store::RecordingQuery;

pub struct ControlRecorder(pub Handle);

impl Recorder for ControlRecorder {
    fn start(&self, room: RoomName, asked: AskedOptions) -> BoxFuture<'_, Result<Started, RecorderError>> {
        Box::pin(async move { Ok(self.0.start(room, asked).await?) })
    }

    fn stop<'a>(&'a self, room: &'a RoomName) -> BoxFuture<'a, Result<EgressId, RecorderError>> {
        Box::pin(async move { Ok(self.0.stop(room).await?) })
    }

    fn room_finished<'a>(
        &'a self,
        name: &'a RoomName,
        room: &'a RoomSid,
    ) -> BoxFuture<'a, Result<bool, RecorderError>> {
        Box::pin(async move { Ok(self.0.room_finished(name, room).await?) })
    }

    fn active<'a>(
        &'a self,
        room: &'a RoomName,
    ) -> BoxFuture<'a, Result<Option<ActiveRecording>, RecorderError>> {
        Box::pin(async move { Ok(self.0.active(room).await?) })
    }

    fn change_view<'a>(
        &'a self,
        room: &'a RoomName,
        change: ViewChange,
    ) -> BoxFuture<'a, Result<ActiveRecording, RecorderError>> {
        Box::pin(async move { Ok(self.0.change_view(room, change).await?) })
    }

    fn recording<'a>(
        &'a self,
        id: &'a EgressId,
    ) -> BoxFuture<'a, Result<Option<RecordingState>, RecorderError>> {
        Box::pin(async move { Ok(self.0.recording(id).await?) })
    }

    fn recordings(&self, query: RecordingQuery) -> BoxFuture<'_, Result<Listing, RecorderError>> {
        Box::pin(async move { Ok(self.0.recordings(query).await?) })
    }

    fn file_url<'a>(
        &'a self,
        id: &'a EgressId,
        terms: UrlTerms,
    ) -> BoxFuture<'a, Result<FileUrl, RecorderError>> {
        Box::pin(async move { Ok(self.0.file_url(id, terms).await?) })
    }

    fn preview<'a>(&'a self, id: &'a EgressId) -> BoxFuture<'a, Result<Bytes, RecorderError>> {
        Box::pin(async move { Ok(self.0.preview(id).await?) })
    }

    fn readiness(&self) -> BoxFuture<'_, Result<Readiness, RecorderError>> {
        Box::pin(async move { Ok(self.0.readiness().await?) })
    }

    fn overview(&self) -> BoxFuture<'_, Result<Overview, RecorderError>> {
        Box::pin(async move { Ok(self.0.overview().await?) })
    }
}

impl From<ControlError> for RecorderError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::RoomNotFound => Self::RoomNotFound,
            ControlError::NothingToStop | ControlError::NothingToChange => Self::NothingActive,
            ControlError::Filepath(fault) => Self::Filepath(fault),
            ControlError::NoWatermark(_) => Self::NoWatermark,
            ControlError::NoCapacity { shortage, retry_after } => {
                tracing::warn!(?shortage, "a start is refused");
                Self::NoCapacity { reason: shortage.reason(), retry_after }
            }
            ControlError::ShuttingDown { retry_after } => Self::ShuttingDown { retry_after },
            ControlError::Livekit(cause) => {
                let source = std::error::Error::source(&cause).map(ToString::to_string);
                tracing::warn!(error = %cause, source, "LiveKit could not be asked for a room");
                Self::LivekitUnreachable
            }
            ControlError::NoSuchRecording => Self::NoSuchRecording,
            ControlError::NotFinished => Self::NotFinished,
            ControlError::NotActive => Self::NotActive,
            ControlError::NoPicture => Self::NoPicture,
            ControlError::NoFrame => Self::NoFrame,
            ControlError::NoPreview => Self::NoPreview,
            ControlError::NoFile => Self::NoFile,
            ControlError::NotInABucket => Self::NotInABucket,
            ControlError::StoreGone => Self::StoreGone,
            error @ (ControlError::Store(_)
            | ControlError::SpoolFolder { .. }
            | ControlError::Key(_)
            | ControlError::Url(_)
            | ControlError::Expiry(_)) => Self::Internal(Box::new(error)),
        }
    }
}
