//! The life of one recording as a pure function: what happened goes in, what has to be done comes out.
//!
//! Does not do anything itself: no clock, no process, no database. Contract: the actions are carried
//! out in their order, and a `Persist` is on the disk before the action behind it begins. A recording
//! ends exactly once; whatever comes after that, or too late in any other state, changes nothing.

use crate::store::{Outcome, Phase, SavedFile};
use crate::worker::messages::EndReason;

/// Where a recording stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The worker runs and is not in the room yet.
    Starting,
    /// In the room.
    Active,
    /// The worker was asked to end.
    Stopping,
    /// The worker did not do what it must and was killed; it has not gone yet.
    Killing {
        failure: Failure,
    },
    /// The spool is whole, the rest of it is being uploaded.
    Finishing {
        verdict: Verdict,
    },
    Ended {
        outcome: Outcome,
    },
}

/// Whether what was recorded is all that should have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    AsItShould(EndReason),
    Failed(Failure),
}

/// Why a recording is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The worker could not go on and said so, in words of its own.
    Reported(String),
    /// The worker went away without a word.
    Crashed(Exit),
    /// No event for longer than a worker may be silent.
    Silent,
    /// Asked to end, the worker did not.
    DidNotStop,
    /// What the worker wrote cannot be read back from some place on.
    SpoolDamaged,
    /// The service itself went away before it was done.
    ServiceRestarted,
}

/// How a worker process went away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    Code(i32),
    Signal(i32),
    /// It never ran, or nobody can tell how it ended.
    Unknown,
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Joined,
    FirstMedia,
    Progress {
        final_bytes: u64,
    },
    /// The worker has closed a complete spool.
    WorkerEnded {
        reason: EndReason,
        error: Option<String>,
    },
    WorkerExited(Exit),
    /// No event came for as long as a worker may be silent.
    WorkerSilent,
    /// The worker did not end in the time it has after a stop.
    StopTimedOut,
    StopRequested,
    /// The spool could be read up to some place only; comes before `Uploaded`.
    SpoolDamaged,
    /// `None`: there was nothing in the spool.
    Uploaded(Option<SavedFile>),
    UploadFailed,
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Persist(Phase),
    /// Media flows: note it, together with the event that tells of it.
    TellMediaStarted,
    /// So many bytes of the spool may be uploaded.
    OfferBytes(u64),
    /// The spool is whole: upload the rest of it and the head.
    FinishUpload,
    StopWorker,
    KillWorker,
    /// Note the end, together with the event that tells of it.
    End(Outcome),
    /// All that it held is in the store.
    DeleteSpool,
}

/// The one transition function.
pub fn step(state: State, input: Input) -> (State, Vec<Action>) {
    match state {
        State::Starting => starting(input),
        State::Active => active(input),
        State::Stopping => stopping(input),
        State::Killing { failure } => killing(failure, input),
        State::Finishing { verdict } => finishing(verdict, input),
        State::Ended { outcome } => (State::Ended { outcome }, vec![]),
    }
}

fn starting(input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Joined => (State::Active, vec![Action::Persist(Phase::Active)]),
        other => recording(State::Starting, other),
    }
}

fn active(input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Active, vec![Action::TellMediaStarted]),
        other => recording(State::Active, other),
    }
}

/// What is the same whether the worker is in the room already or not.
fn recording(state: State, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Progress { final_bytes } => (state, vec![Action::OfferBytes(final_bytes)]),
        Input::StopRequested => (
            State::Stopping,
            vec![Action::Persist(Phase::Stopping), Action::StopWorker],
        ),
        Input::WorkerSilent => (
            State::Killing {
                failure: Failure::Silent,
            },
            vec![Action::Persist(Phase::Stopping), Action::KillWorker],
        ),
        Input::WorkerEnded { reason, error } => finish(verdict(reason, error)),
        Input::WorkerExited(exit) => finish(Verdict::Failed(Failure::Crashed(exit))),
        Input::Joined
        | Input::FirstMedia
        | Input::StopTimedOut
        // An upload is not done before the spool is whole.
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed => (state, vec![]),
    }
}

fn stopping(input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Stopping, vec![Action::TellMediaStarted]),
        Input::Progress { final_bytes } => (State::Stopping, vec![Action::OfferBytes(final_bytes)]),
        Input::StopTimedOut => (
            State::Killing {
                failure: Failure::DidNotStop,
            },
            vec![Action::KillWorker],
        ),
        Input::WorkerEnded { reason, error } => finish(verdict(reason, error)),
        Input::WorkerExited(exit) => finish(Verdict::Failed(Failure::Crashed(exit))),
        Input::Joined
        | Input::StopRequested
        // The time that it has to end is the tighter watch.
        | Input::WorkerSilent
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed => (State::Stopping, vec![]),
    }
}

fn killing(failure: Failure, input: Input) -> (State, Vec<Action>) {
    match input {
        // It had ended by itself just before: its file is complete after all.
        Input::WorkerEnded { reason, error } => finish(verdict(reason, error)),
        Input::WorkerExited(_) => finish(Verdict::Failed(failure)),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerSilent
        | Input::StopTimedOut
        | Input::StopRequested
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed => (State::Killing { failure }, vec![]),
    }
}

fn finishing(verdict: Verdict, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Uploaded(saved) => {
            let damaged = verdict == Verdict::Failed(Failure::SpoolDamaged);
            // A damaged spool is kept for whoever wants to rescue more of it.
            let delete = (!damaged).then_some(Action::DeleteSpool);
            end(outcome(&verdict, saved), delete)
        }
        Input::UploadFailed => end(not_stored(&verdict), None),
        Input::SpoolDamaged => {
            let verdict = match verdict {
                Verdict::AsItShould(_) => Verdict::Failed(Failure::SpoolDamaged),
                Verdict::Failed(failure) => Verdict::Failed(failure),
            };
            (State::Finishing { verdict }, vec![])
        }
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerEnded { .. }
        | Input::WorkerExited(_)
        | Input::WorkerSilent
        | Input::StopTimedOut
        | Input::StopRequested => (State::Finishing { verdict }, vec![]),
    }
}

fn end(outcome: Outcome, then: Option<Action>) -> (State, Vec<Action>) {
    let mut actions = vec![Action::End(outcome.clone())];
    actions.extend(then);
    (State::Ended { outcome }, actions)
}

fn finish(verdict: Verdict) -> (State, Vec<Action>) {
    (State::Finishing { verdict }, vec![Action::Persist(Phase::Uploading), Action::FinishUpload])
}

fn verdict(reason: EndReason, error: Option<String>) -> Verdict {
    match (reason, error) {
        (_, Some(error)) => Verdict::Failed(Failure::Reported(error)),
        (EndReason::Failed, None) => Verdict::Failed(Failure::Reported("no reason given".into())),
        (
            EndReason::Stopped
            | EndReason::RoomClosed
            | EndReason::Idle
            | EndReason::MaxDuration
            | EndReason::MaxSize
            | EndReason::DiskFull
            | EndReason::ParentGone,
            None,
        ) => Verdict::AsItShould(reason),
    }
}

fn outcome(verdict: &Verdict, saved: Option<SavedFile>) -> Outcome {
    match (verdict, saved) {
        (Verdict::AsItShould(_), Some(saved)) => Outcome::Complete(saved),
        (Verdict::AsItShould(reason), None) => Outcome::Failed {
            error: format!("The recording ended before anything was recorded ({reason})."),
            saved: None,
        },
        (Verdict::Failed(failure), Some(saved)) => Outcome::Failed {
            error: format!("{} The file holds what was recorded until then.", failure.sentence()),
            saved: Some(saved),
        },
        (Verdict::Failed(failure), None) => {
            Outcome::Failed { error: format!("{} Nothing was recorded.", failure.sentence()), saved: None }
        }
    }
}

fn not_stored(verdict: &Verdict) -> Outcome {
    const KEPT: &str = "The recording could not be stored; the recorder has kept it on its own disk.";
    let error = match verdict {
        Verdict::AsItShould(_) => KEPT.to_owned(),
        Verdict::Failed(failure) => format!("{} {KEPT}", failure.sentence()),
    };
    Outcome::Failed { error, saved: None }
}

impl Failure {
    /// For users: no path, no address, nothing that only an operator can use.
    fn sentence(&self) -> String {
        match self {
            Self::Reported(error) => {
                format!("The recorder failed: {}.", error.trim_end_matches('.'))
            }
            Self::Crashed(Exit::Code(code)) => {
                format!("The recorder ended unexpectedly with exit code {code}.")
            }
            Self::Crashed(Exit::Signal(signal)) => {
                format!("The recorder ended unexpectedly by signal {signal}.")
            }
            Self::Crashed(Exit::Unknown) => "The recorder ended unexpectedly.".to_owned(),
            Self::Silent => "The recorder did not answer any more and was ended.".to_owned(),
            Self::DidNotStop => "The recorder did not end in time and was ended.".to_owned(),
            Self::SpoolDamaged => "A part of the recording was damaged on the recorder's disk.".to_owned(),
            Self::ServiceRestarted => "The service was restarted while recording.".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
