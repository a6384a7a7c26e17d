//! Owns the phases of a recording, and their words in the database. Does not own their order: `control` does.

use std::str::FromStr;

/// The phase of a recording. It is in the database before anything acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Accepted. The worker is not in the room yet.
    Starting,
    /// The worker is in the room.
    Active,
    /// Takes in no more media. The worker completes the spool.
    Stopping,
    /// The spool is complete, the object is not.
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

    /// Returns whether the recording takes in media, or is about to.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Starting | Self::Active)
    }

    /// Returns whether the recording takes in no more media, but has not ended.
    pub fn is_finishing(self) -> bool {
        matches!(self, Self::Stopping | Self::Uploading)
    }
}

/// Selects phases for a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phases {
    Only(Phase),
    /// All phases of recordings that have not ended.
    Unfinished,
    /// All phases of recordings that have ended.
    Finished,
}

impl Phases {
    /// Returns every word that can be parsed.
    pub fn words() -> impl Iterator<Item = &'static str> {
        Phase::ALL.map(Phase::as_str).into_iter().chain(["unfinished", "finished"])
    }

    pub fn hold(self, phase: Phase) -> bool {
        match self {
            Self::Only(only) => only == phase,
            Self::Unfinished => phase.is_live() || phase.is_finishing(),
            Self::Finished => !phase.is_live() && !phase.is_finishing(),
        }
    }
}

impl FromStr for Phases {
    type Err = UnknownPhase;

    fn from_str(word: &str) -> Result<Self, UnknownPhase> {
        match word {
            "unfinished" => Ok(Self::Unfinished),
            "finished" => Ok(Self::Finished),
            phase => phase.parse().map(Self::Only),
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_is_either_finished_or_not() {
        for phase in Phase::ALL {
            assert_ne!(Phases::Finished.hold(phase), Phases::Unfinished.hold(phase), "{phase:?}");
        }
        assert!(Phases::Finished.hold(Phase::Failed) && Phases::Unfinished.hold(Phase::Uploading));
    }

    #[test]
    fn every_word_is_read_as_what_it_says() {
        for word in Phases::words() {
            let phases: Phases = word.parse().unwrap();
            match phases {
                Phases::Only(phase) => assert_eq!(phase.as_str(), word),
                Phases::Unfinished => assert_eq!(word, "unfinished"),
                Phases::Finished => assert_eq!(word, "finished"),
            }
        }
        assert!("ended".parse::<Phases>().is_err());
    }
}
