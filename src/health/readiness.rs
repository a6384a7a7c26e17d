//! Whether a recording could be started now, and the status of each thing that it needs. Pure data.

use super::status::Status;
use crate::admission::Shortage;
use crate::admission::Space;
use crate::upload::Trouble;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Readiness {
    pub livekit: Status,
    pub encoders: Status,
    pub space: Space,
    pub admission: Admission,
    /// The failure that keeps uploads waiting. Recordings wait for the store.
    pub store_trouble: Option<Trouble>,
}

/// Whether the service itself takes one more recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    Free,
    Short(Shortage),
    /// The service is about to end and takes no recording any more.
    Ending,
}

impl Admission {
    /// Returns the reason for users, without a full stop; `None` if the service takes a recording.
    pub fn trouble(self) -> Option<&'static str> {
        match self {
            Self::Free => None,
            Self::Short(shortage) => Some(shortage.reason()),
            Self::Ending => Some("the service is shutting down"),
        }
    }
}
