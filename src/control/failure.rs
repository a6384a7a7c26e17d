//! What a recording's end is to be called, and the sentence that users read of it. Pure.
//!
//! Does not decide that something failed: `state` does. Contract: a sentence holds no path, no address and nothing
//! that only an operator can use. Kept as JSON with an unfinished recording.

use serde::{Deserialize, Serialize};

use crate::store::{Outcome, SavedFile};
use crate::upload::Left;
use crate::worker::messages::EndReason;

/// Whether what was recorded is all that should have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndStatus {
    /// The word in the database is that of version 0.1: what it left unfinished is finished by later ones.
    #[serde(rename = "asItShould")]
    Normal(EndReason),
    Failed(Failure),
}

/// Why a recording is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// The worker could not go on and said so, in words of its own.
    Reported(String),
    /// The worker died, and no other could go on in its place.
    Died(Death),
    /// Workers died one after the other.
    DiedAgain(Death),
    /// Asked to end, the worker did not.
    DidNotStop,
    /// There was no room left for more.
    DiskFull,
    /// What the worker wrote cannot be read back from some place on.
    SpoolDamaged,
    /// The service itself went away before it was done.
    ServiceRestarted,
}

/// How a worker went away that should have gone on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Death {
    /// Without a word.
    Crashed(Exit),
    /// It made no progress and was killed.
    Frozen,
}

/// How a worker process went away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It never ran, or nobody can tell how it ended.
    Unknown,
}

impl EndStatus {
    /// What a worker's last event says.
    pub fn reported(reason: EndReason, error: Option<String>) -> Self {
        match (reason, error) {
            (_, Some(error)) => Self::Failed(Failure::Reported(error)),
            (EndReason::DiskFull, None) => Self::Failed(Failure::DiskFull),
            (EndReason::EncodersFailed | EndReason::Failed, None) => {
                Self::Failed(Failure::Reported("no reason given".into()))
            }
            (
                EndReason::Stopped
                | EndReason::RoomClosed
                | EndReason::Idle
                | EndReason::MaxDuration
                | EndReason::MaxSize
                | EndReason::ParentGone,
                None,
            ) => Self::Normal(reason),
        }
    }

    /// The worker was stopped since the room is closed: that is the reason, not the stop.
    pub fn of_a_closed_room(self) -> Self {
        match self {
            Self::Normal(EndReason::Stopped) => Self::Normal(EndReason::RoomClosed),
            Self::Normal(reason) => Self::Normal(reason),
            Self::Failed(failure) => Self::Failed(failure),
        }
    }

    /// Fails what has not failed already.
    pub fn or_failed(self, failure: Failure) -> Self {
        match self {
            Self::Normal(_) => Self::Failed(failure),
            Self::Failed(failure) => Self::Failed(failure),
        }
    }

    /// How a recording has ended of which `saved` is in the store; `None`: there was nothing in the spool.
    pub fn outcome(&self, saved: Option<SavedFile>) -> Outcome {
        match (self, saved) {
            (Self::Normal(_), Some(saved)) => Outcome::Complete(saved),
            (Self::Normal(reason), None) => Outcome::Failed {
                error: format!("The recording ended before anything was recorded ({reason})."),
                saved: None,
            },
            (Self::Failed(failure), Some(saved)) => Outcome::Failed {
                error: format!("{} The file holds what was recorded until then.", failure.sentence()),
                saved: Some(saved),
            },
            (Self::Failed(failure), None) => Outcome::Failed {
                error: format!("{} Nothing was recorded.", failure.sentence()),
                saved: None,
            },
        }
    }

    /// How a recording has ended whose file cannot be stored.
    pub fn not_stored(&self, left: Left) -> Outcome {
        let kept = match left {
            Left::All => "The recording could not be stored; the recorder has kept it on its own disk.",
            Left::Rest => {
                "The recording could not be stored: the store has lost parts of it that had been removed from the \
                 recorder's disk. The recorder has kept the rest."
            }
        };
        let error = match self {
            Self::Normal(_) => kept.to_owned(),
            Self::Failed(failure) => format!("{} {kept}", failure.sentence()),
        };
        Outcome::Failed { error, saved: None }
    }
}

impl Failure {
    fn sentence(&self) -> String {
        match self {
            Self::Reported(error) => format!("The recorder failed: {}.", error.trim_end_matches('.')),
            Self::Died(death) => format!("{}.", death.clause()),
            Self::DiedAgain(death) => format!("{}, for the third time within a minute.", death.clause()),
            Self::DidNotStop => "The recorder did not end in time and was ended.".to_owned(),
            Self::DiskFull => "The recorder's disk had no more room.".to_owned(),
            Self::SpoolDamaged => "A part of the recording was damaged on the recorder's disk.".to_owned(),
            Self::ServiceRestarted => "The service was restarted while recording.".to_owned(),
        }
    }
}

impl Death {
    fn clause(&self) -> String {
        match self {
            Self::Crashed(Exit::Code(code)) => {
                format!("The recorder ended unexpectedly with exit code {code}")
            }
            Self::Crashed(Exit::Signal(signal)) => {
                format!("The recorder ended unexpectedly by signal {signal}")
            }
            Self::Crashed(Exit::Unknown) => "The recorder ended unexpectedly".to_owned(),
            Self::Frozen => "The recorder did not go on any more and was ended".to_owned(),
        }
    }
}
