//! Which recording a start means. Asks the database; starts nothing.

use super::error::ControlError;
use crate::ids::{EgressId, RoomName};
use crate::store::{Exclusivity, RecordingRow, Store};

/// How a start tells the recording that it wants from others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// By its room: a start of a room whose recording was started like this returns that one.
    Room,
    /// By an id that comes from outside: a start with an id that is there returns its recording. The room may have
    /// others.
    Id(EgressId),
}

impl Identity {
    /// Returns the recording that is meant, if it is there already.
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

    /// Returns the id of a new recording, and whether it is the only one of its room that was started like this.
    pub(super) fn of_new(self) -> (EgressId, Exclusivity) {
        match self {
            Self::Room => (EgressId::random(), Exclusivity::Exclusive),
            Self::Id(id) => (id, Exclusivity::Shared),
        }
    }
}
