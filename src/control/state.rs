//! The life of one recording as a pure function: what happened goes in, what has to be done comes out.
//!
//! Does not do anything itself: no clock, no process, no database. Contract: the actions are carried
//! out in their order, and a `Persist` is on the disk before the action behind it begins. A recording
//! ends exactly once; whatever comes after that, or too late in any other state, changes nothing. At no time
//! there are two workers: a successor is started only after the exit of the one before.

use std::time::Duration;

use super::failure::{Death, Exit, Failure, Left, Verdict};
use crate::store::{Outcome, Phase, SavedFile};
use crate::worker::messages::EndReason;

/// Where a recording stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// A worker runs and is not in the room yet.
    Joining {
        reached: Reached,
        deaths: Deaths,
    },
    /// In the room.
    Active {
        deaths: Deaths,
    },
    /// The worker made no progress and was killed; it has not gone yet. Another one is to follow.
    Frozen {
        reached: Reached,
        deaths: Deaths,
    },
    /// There is no worker. Whether and where another one can go on is being found out; if not, it ends as `failure`.
    Restarting {
        reached: Reached,
        failure: Failure,
        deaths: Deaths,
    },
    /// The worker was asked to end.
    Stopping {
        cause: StopCause,
    },
    /// The worker was killed, has not gone yet, and is the last one.
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

/// How far any worker of the recording has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    Nothing,
    Room,
}

/// Why the service wants an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    Asked,
    RoomClosed,
    DiskFull,
}

/// When the workers of a recording died, as far as it matters still.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deaths(Vec<Duration>);

/// What happened. Times count from any one moment.
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
    WorkerExited {
        exit: Exit,
        at: Duration,
    },
    /// There was no progress for as long as a worker may make none.
    NoProgress,
    /// The room lives and the spool can be continued.
    SuccessorReady,
    /// The room is gone, or the spool cannot be continued.
    NoSuccessor,
    /// The worker did not end in the time it has after a stop.
    StopTimedOut,
    StopRequested,
    /// LiveKit says that the room is closed, be the worker within its reach or not.
    RoomClosed,
    /// There is no room on the disk for more.
    DiskExhausted,
    /// The spool could be read up to some place only; comes before `Uploaded`.
    SpoolDamaged,
    /// `None`: there was nothing in the spool.
    Uploaded(Option<SavedFile>),
    UploadFailed(Left),
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Persist(Phase),
    /// No more media: note how the recording is to end.
    PersistVerdict(Verdict),
    /// Media flows: note it if it is for the first time, together with the event that tells of it.
    TellMediaStarted,
    /// So many bytes of the spool may be uploaded.
    OfferBytes(u64),
    /// The spool is whole: upload the rest of it and the head.
    FinishUpload,
    StopWorker,
    KillWorker,
    /// Find out whether the room still lives and where the spool ends.
    PrepareSuccessor,
    StartSuccessor,
    /// Note the end, together with the event that tells of it.
    End(Outcome),
    /// All that it held is in the store.
    DeleteSpool,
}

impl State {
    /// A recording that was just accepted.
    pub const NEW: Self = Self::Joining { reached: Reached::Nothing, deaths: Deaths(Vec::new()) };

    /// One that was live when the service went away; its successor is to be prepared.
    pub fn resuming(phase: Phase) -> Self {
        let reached = match phase {
            Phase::Starting => Reached::Nothing,
            Phase::Active | Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => {
                Reached::Room
            }
        };
        Self::Restarting { reached, failure: Failure::ServiceRestarted, deaths: Deaths::default() }
    }

    /// Whether more media is, or will be, taken in.
    pub fn is_live(&self) -> bool {
        self.live_phase().is_some()
    }

    /// The phase of a recording that takes in media, or will; `None`: no more.
    pub fn live_phase(&self) -> Option<Phase> {
        match self {
            Self::Joining { reached, .. }
            | Self::Frozen { reached, .. }
            | Self::Restarting { reached, .. } => Some(match reached {
                Reached::Nothing => Phase::Starting,
                Reached::Room => Phase::Active,
            }),
            Self::Active { .. } => Some(Phase::Active),
            Self::Stopping { .. } | Self::Killing { .. } | Self::Finishing { .. } | Self::Ended { .. } => {
                None
            }
        }
    }
}

impl Deaths {
    /// So many deaths within so long a time are no accident any more.
    const TOO_MANY: usize = 3;
    const WITHIN: Duration = Duration::from_secs(60);

    /// One more; `None`: one too many.
    fn and_one(mut self, at: Duration) -> Option<Self> {
        self.0.retain(|&earlier| at.saturating_sub(earlier) <= Self::WITHIN);
        self.0.push(at);
        (self.0.len() < Self::TOO_MANY).then_some(self)
    }
}

/// The one transition function.
pub fn step(state: State, input: Input) -> (State, Vec<Action>) {
    match state {
        State::Joining { reached, deaths } => joining(reached, deaths, input),
        State::Active { deaths } => active(deaths, input),
        State::Frozen { reached, deaths } => frozen(reached, deaths, input),
        State::Restarting { reached, failure, deaths } => restarting(reached, failure, deaths, input),
        State::Stopping { cause } => stopping(cause, input),
        State::Killing { failure } => killing(failure, input),
        State::Finishing { verdict } => finishing(verdict, input),
        State::Ended { outcome } => (State::Ended { outcome }, vec![]),
    }
}

fn joining(reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match (input, reached) {
        (Input::Joined, Reached::Nothing) => (State::Active { deaths }, vec![Action::Persist(Phase::Active)]),
        (Input::Joined, Reached::Room) => (State::Active { deaths }, vec![]),
        (other, _) => recording(State::Joining { reached, deaths: deaths.clone() }, reached, deaths, other),
    }
}

fn active(deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Active { deaths }, vec![Action::TellMediaStarted]),
        other => recording(State::Active { deaths: deaths.clone() }, Reached::Room, deaths, other),
    }
}

/// What is the same whether the worker is in the room already or not.
fn recording(state: State, reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Progress { final_bytes } => (state, vec![Action::OfferBytes(final_bytes)]),
        Input::StopRequested => stop(StopCause::Asked),
        Input::RoomClosed => stop(StopCause::RoomClosed),
        Input::DiskExhausted => stop(StopCause::DiskFull),
        Input::NoProgress => (State::Frozen { reached, deaths }, vec![Action::KillWorker]),
        Input::WorkerEnded { reason, error } => finish(Verdict::reported(reason, error)),
        Input::WorkerExited { exit, at } => died(reached, deaths, Death::Crashed(exit), at),
        Input::Joined
        | Input::FirstMedia
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        // An upload is not done before the spool is whole.
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed(_) => (state, vec![]),
    }
}

fn frozen(reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    let last = |failure| (State::Killing { failure }, vec![Action::Persist(Phase::Stopping)]);
    match input {
        // It went on, but too late: it was killed before anybody knew. What it wrote counts.
        Input::Progress { final_bytes } => {
            (State::Frozen { reached, deaths }, vec![Action::OfferBytes(final_bytes)])
        }
        Input::WorkerEnded { reason, error } => finish(Verdict::reported(reason, error)),
        Input::WorkerExited { at, .. } => died(reached, deaths, Death::Frozen, at),
        Input::StopRequested | Input::RoomClosed => last(Failure::Died(Death::Frozen)),
        Input::DiskExhausted => last(Failure::DiskFull),
        Input::Joined
        | Input::FirstMedia
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed(_) => (State::Frozen { reached, deaths }, vec![]),
    }
}

fn restarting(reached: Reached, failure: Failure, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::SuccessorReady => (State::Joining { reached, deaths }, vec![Action::StartSuccessor]),
        // Without a worker what there is is all there will be.
        Input::NoSuccessor | Input::StopRequested | Input::RoomClosed => finish(Verdict::Failed(failure)),
        Input::DiskExhausted => finish(Verdict::Failed(Failure::DiskFull)),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerEnded { .. }
        | Input::WorkerExited { .. }
        | Input::NoProgress
        | Input::StopTimedOut
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed(_) => (State::Restarting { reached, failure, deaths }, vec![]),
    }
}

fn stopping(cause: StopCause, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Stopping { cause }, vec![Action::TellMediaStarted]),
        Input::Progress { final_bytes } => (State::Stopping { cause }, vec![Action::OfferBytes(final_bytes)]),
        Input::StopTimedOut => {
            (State::Killing { failure: Failure::DidNotStop }, vec![Action::KillWorker])
        }
        Input::WorkerEnded { reason, error } => {
            let verdict = Verdict::reported(reason, error);
            finish(match cause {
                StopCause::Asked => verdict,
                StopCause::RoomClosed => verdict.of_a_closed_room(),
                StopCause::DiskFull => verdict.or_failed(Failure::DiskFull),
            })
        }
        Input::WorkerExited { exit, .. } => finish(Verdict::Failed(Failure::Died(Death::Crashed(exit)))),
        Input::Joined
        | Input::StopRequested
        | Input::RoomClosed
        | Input::DiskExhausted
        // The time that it has to end is the tighter watch.
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed(_) => (State::Stopping { cause }, vec![]),
    }
}

fn killing(failure: Failure, input: Input) -> (State, Vec<Action>) {
    match input {
        // It had ended by itself just before: its file is complete after all.
        Input::WorkerEnded { reason, error } => finish(Verdict::reported(reason, error)),
        Input::WorkerExited { .. } => finish(Verdict::Failed(failure)),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::StopRequested
        | Input::RoomClosed
        | Input::DiskExhausted
        | Input::SpoolDamaged
        | Input::Uploaded(_)
        | Input::UploadFailed(_) => (State::Killing { failure }, vec![]),
    }
}

fn finishing(verdict: Verdict, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Uploaded(saved) => {
            let damaged = verdict == Verdict::Failed(Failure::SpoolDamaged);
            // A damaged spool is kept for whoever wants to rescue more of it.
            let delete = (!damaged).then_some(Action::DeleteSpool);
            end(verdict.outcome(saved), delete)
        }
        Input::UploadFailed(left) => end(verdict.not_stored(left), None),
        Input::SpoolDamaged => {
            let verdict = verdict.or_failed(Failure::SpoolDamaged);
            (State::Finishing { verdict: verdict.clone() }, vec![Action::PersistVerdict(verdict)])
        }
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerEnded { .. }
        | Input::WorkerExited { .. }
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::StopRequested
        | Input::RoomClosed
        | Input::DiskExhausted => (State::Finishing { verdict }, vec![]),
    }
}

fn stop(cause: StopCause) -> (State, Vec<Action>) {
    (State::Stopping { cause }, vec![Action::Persist(Phase::Stopping), Action::StopWorker])
}

/// A worker has gone that should have gone on.
fn died(reached: Reached, deaths: Deaths, death: Death, at: Duration) -> (State, Vec<Action>) {
    match deaths.and_one(at) {
        Some(deaths) => {
            let failure = Failure::Died(death);
            (State::Restarting { reached, failure, deaths }, vec![Action::PrepareSuccessor])
        }
        None => finish(Verdict::Failed(Failure::DiedAgain(death))),
    }
}

fn finish(verdict: Verdict) -> (State, Vec<Action>) {
    let actions = vec![Action::PersistVerdict(verdict.clone()), Action::FinishUpload];
    (State::Finishing { verdict }, actions)
}

fn end(outcome: Outcome, then: Option<Action>) -> (State, Vec<Action>) {
    let mut actions = vec![Action::End(outcome.clone())];
    actions.extend(then);
    (State::Ended { outcome }, actions)
}

#[cfg(test)]
mod tests;
