//! Decides which recording a start means. Reads the database; starts nothing.

use super::error::ControlError;
use crate::ids::{EgressId, RoomName};
use crate::store::{Exclusivity, RecordingRow, Store};

/// How a start identifies its recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By its room: if a recording of the room was started like this, the start returns it.
    Room,
    /// By an id from outside: if there is a recording with this id, the start returns it. The room may have
    /// other recordings.
    Id(EgressId),
}

impl Identity {
    /// Returns the recording that is meant, if it exists already.
    pub(super) async fn existing(
        &self,
        store: &Store,
        room: &RoomName,
    ) -> Result<Option<RecordingRow>, ControlError> {
        let found = match self {
            Self::Room => store.live_recording(room).await?,
            Self::Id(id) => store.recording(id).await?,
        };
        match found {
            Some(row) if row.room != *room => Err(ControlError::IdTaken),
            found => Ok(found),
        }
    }

    /// Returns the id of a new recording, and whether it is the only one of its room that was started like
    /// this.
    pub(super) fn of_new(self) -> (EgressId, Exclusivity) {
        match self {
            Self::Room => (EgressId::random(), Exclusivity::Exclusive),
            Self::Id(id) => (id, Exclusivity::Shared),
        }
    }
}
