//! Owns the phases of a recording and the words they are kept as. Does not own their order: `control` does.

use std::str::FromStr;

/// Where a recording stands, as it is written down before anything acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Accepted; the worker is not in the room yet.
    Starting,
    /// In the room.
    Active,
    /// Takes in no more media; the worker is finishing the spool.
    Stopping,
    /// The spool is finished; the object is not.
    Uploading,
    Complete,
    Failed,
}

impl Phase {
    pub const ALL: [Self; 6] =
        [Self::Starting, Self::Active, Self::Stopping, Self::Uploading, Self::Complete, Self::Failed];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Active => "active",
            Self::Stopping => "stopping",
            Self::Uploading => "uploading",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }

    /// Takes in media, or is about to: the room cannot be recorded a second time meanwhile.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Active)
    }

    /// Takes in no more media, but has not ended.
    pub fn is_finishing(self) -> bool {
        matches!(self, Self::Stopping | Self::Uploading)
    }
}

impl FromStr for Phase {
    type Err = UnknownPhase;

    fn from_str(word: &str) -> Result<Self, UnknownPhase> {
        let phase = Self::ALL.into_iter().find(|phase| phase.as_str() == word);
        phase.ok_or_else(|| UnknownPhase(word.to_owned()))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("\"{0}\" is no phase of a recording")]
pub struct UnknownPhase(String);
