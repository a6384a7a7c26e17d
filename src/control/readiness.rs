//! Whether a recording could be started now, and what each thing that it needs has to say. Pure data.

use super::capacity::Shortage;
use super::space::Space;
use super::standing::Standing;
use super::upload_status::Trouble;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub livekit: Standing,
    pub encoders: Standing,
    pub space: Space,
    pub places: Places,
    /// What keeps uploads from going on. Recordings wait for the store.
    pub store_trouble: Option<Trouble>,
}

/// Whether the service takes one more recording, as far as it is up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Places {
    Free,
    Short(Shortage),
    /// It takes none any more, as it is to end.
    Ending,
}

impl Places {
    /// For users, without a full stop; nothing if there is one.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Short(shortage) => Some(shortage.reason()),
            Self::Ending => Some("the service is shutting down"),
        }
    }
}
