//! How a recording has ended: its end status, and the sentence about it for users. Pure.
//!
//! Does not decide that something has failed: `state` does. Contract: a sentence contains no path, no address
//! and nothing that only an operator can use. An unfinished recording has its end status in the database, as
//! JSON.

use serde::{Deserialize, Serialize};

use crate::store::{Outcome, SavedFile};
use crate::upload::Left;
use crate::worker::messages::EndReason;

/// Whether the recording is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndStatus {
    /// The word in the database is that of version 0.1, whose unfinished recordings are finished by later
    /// versions.
    #[serde(rename = "asItShould")]
    Normal(EndReason),
    Failed(Failure),
}

/// Why a recording is not complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Failure {
    /// The worker reported an error and ended.
    Reported(String),
    /// The worker died, and no successor could resume the recording.
    Died(Death),
    /// Too many workers died within a short time.
    DiedAgain(Death),
    /// The worker did not end after a stop.
    DidNotStop,
    /// The disk was full.
    DiskFull,
    /// The spool cannot be parsed from some position on.
    SpoolDamaged,
    /// The service ended before the recording did.
    ServiceRestarted,
}

/// How a worker ended without a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Death {
    /// Its process exited without a last event.
    Crashed(Exit),
    /// It made no progress, and was killed.
    Frozen,
}

/// How a worker process exited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It never ran, or its exit status is unknown.
    Unknown,
}

impl EndStatus {
    /// Returns the end status that a worker's last event reports.
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

    /// Returns the end status of a worker that was stopped because the room is closed.
    pub fn of_a_closed_room(self) -> Self {
        match self {
            Self::Normal(EndReason::Stopped) => Self::Normal(EndReason::RoomClosed),
            Self::Normal(reason) => Self::Normal(reason),
            Self::Failed(failure) => Self::Failed(failure),
        }
    }

    /// Returns this failure, unless it has failed already.
    pub fn or_failed(self, failure: Failure) -> Self {
        match self {
            Self::Normal(_) => Self::Failed(failure),
            Self::Failed(failure) => Self::Failed(failure),
        }
    }

    /// Returns the outcome of a recording whose file `saved` is in the store; `None` if there was no media in
    /// the spool.
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

    /// Returns the outcome of a recording whose file cannot be stored.
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
