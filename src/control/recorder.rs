//! What the doors need of the supervisor, as a trait, so that they can be tested without one.

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::catalogue::{FileUrl, Listing, RecordingState};
use super::error::ControlError;
use super::handle::{ActiveRecording, Handle, Started};
use super::identity::Identity;
use super::overview::Overview;
use crate::health::Readiness;
use crate::ids::{EgressId, RoomName, RoomSid};
use crate::options::{AskedOptions, ViewChange};
use crate::storage::UrlTerms;
use crate::store::RecordingQuery;

/// What a call of a door returns.
pub type CallFuture<'a, T> = BoxFuture<'a, Result<T, ControlError>>;

/// Starts and stops recordings. The service's is [`Handle`].
pub trait Recorder: Send + Sync + 'static {
    /// Starts the room's recording ([`Identity::Room`]). If there is one already, returns it.
    fn start(&self, room: RoomName, asked: AskedOptions) -> CallFuture<'_, Started>;

    /// Stops the room's recording; returns its id. A second call returns the same id, until the recording has
    /// ended.
    fn stop<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, EgressId>;

    /// Ends the recordings of a room that LiveKit has closed. Returns whether it ended one.
    fn room_finished<'a>(&'a self, name: &'a RoomName, room: &'a RoomSid) -> CallFuture<'a, bool>;

    fn active<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, Option<ActiveRecording>>;

    /// Changes the view of the room's recording from now on.
    fn change_view<'a>(&'a self, room: &'a RoomName, change: ViewChange) -> CallFuture<'a, ActiveRecording>;

    /// Returns any recording, finished or not; `None` if there is none with this id.
    fn recording<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Option<RecordingState>>;

    /// Returns a page of recordings, newest first.
    fn recordings(&self, query: RecordingQuery) -> CallFuture<'_, Listing>;

    /// Returns a URL of a recording's finished file.
    fn file_url<'a>(&'a self, id: &'a EgressId, terms: UrlTerms) -> CallFuture<'a, FileUrl>;

    /// Returns the newest frame of a recording that takes in media, as JPEG.
    fn preview<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Bytes>;

    /// Returns whether a recording could be started now. Cheap, as anybody may call it.
    fn readiness(&self) -> CallFuture<'_, Readiness>;

    /// Returns the state of all recordings, and what they wait for.
    fn overview(&self) -> CallFuture<'_, Overview>;
}

impl Recorder for Handle {
    fn start(&self, room: RoomName, asked: AskedOptions) -> CallFuture<'_, Started> {
        Box::pin(self.start(Identity::Room, room, asked))
    }

    fn stop<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, EgressId> {
        Box::pin(self.stop(room))
    }

    fn room_finished<'a>(&'a self, name: &'a RoomName, room: &'a RoomSid) -> CallFuture<'a, bool> {
        Box::pin(self.room_finished(name, room))
    }

    fn active<'a>(&'a self, room: &'a RoomName) -> CallFuture<'a, Option<ActiveRecording>> {
        Box::pin(self.active(room))
    }

    fn change_view<'a>(&'a self, room: &'a RoomName, change: ViewChange) -> CallFuture<'a, ActiveRecording> {
        Box::pin(self.change_view(room, change))
    }

    fn recording<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Option<RecordingState>> {
        Box::pin(self.recording(id))
    }

    fn recordings(&self, query: RecordingQuery) -> CallFuture<'_, Listing> {
        Box::pin(self.recordings(query))
    }

    fn file_url<'a>(&'a self, id: &'a EgressId, terms: UrlTerms) -> CallFuture<'a, FileUrl> {
        Box::pin(self.file_url(id, terms))
    }

    fn preview<'a>(&'a self, id: &'a EgressId) -> CallFuture<'a, Bytes> {
        Box::pin(self.preview(id))
    }

    fn readiness(&self) -> CallFuture<'_, Readiness> {
        Box::pin(self.readiness())
    }

    fn overview(&self) -> CallFuture<'_, Overview> {
        Box::pin(self.overview())
    }
}
