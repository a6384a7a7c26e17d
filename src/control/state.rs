//! The life of one recording as a pure function: what happened goes in, what has to be done comes out.
//!
//! Does not do anything itself: no clock, no process, no database. Contract: the actions are carried out in their
//! order, and what is persisted is on the disk before the action behind it begins. Where it cannot be written, the
//! actions behind it are not carried out, the state stays as it was before the input, and `NotWritten` tells of that
//! input. A recording ends exactly once; whatever comes after that, or too late in any other state, changes nothing.
//! At no time there are two workers: a successor is started only after the exit of the one before.

mod ending;
mod unwritten;

use std::collections::VecDeque;
use std::time::Duration;

use super::failure::{Death, EndStatus, Exit, Failure};
use crate::store::{Outcome, Phase, SavedFile};
use crate::upload::{Condition, Left};
use crate::worker::messages::EndReason;

use ending::{finish, finish_without_successor, finish_without_worker};

/// Where a recording stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// A worker runs and is not in the room yet.
    Starting {
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
    Uploading {
        end_status: EndStatus,
    },
    /// Something has happened that could not be written down yet. The recording stands where it stood before, nothing
    /// is done about it, and what came after it waits behind it.
    Unwritten {
        before: Box<State>,
        /// In their order, one of a kind, never none.
        held: VecDeque<Input>,
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
    /// Somebody asks for an end, and is told whether it was written down.
    StopRequested,
    /// The service is to end, and its recordings with it.
    ServiceEnds,
    /// LiveKit says that the room is closed, be the worker within its reach or not.
    RoomClosed,
    /// There is no room on the disk for more.
    DiskExhausted,
    /// `None`: there was nothing in the spool.
    Uploaded(Option<SavedFile>, Condition),
    UploadFailed(Left),
    /// What this input asks for could not be written down.
    NotWritten(Box<Input>),
    /// Time to try once more to write down what could not be.
    RetryWrite,
}

/// What has to be done about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// It is in the room: note it, now or as soon as it can be written. Nothing waits for that.
    NoteActive,
    /// Media flows: note it if it is for the first time, together with the event that tells of it, now or as soon as
    /// it can be written. Nothing waits for that.
    NoteMediaStarted,
    /// An end is wanted: note it.
    PersistStop,
    /// No more media: note how the recording is to end.
    PersistEndStatus(EndStatus),
    /// So many bytes of the spool may be uploaded.
    OfferBytes(u64),
    /// The spool is whole: upload the rest of it and the head.
    FinishUpload,
    StopWorker,
    KillWorker,
    /// Find out whether the room still lives and where the spool ends.
    PrepareSuccessor,
    StartSuccessor,
    /// No other worker is looked for any more.
    DropSuccessorSearch,
    /// The last worker has gone: another recording may have its slot.
    ReleaseSlot,
    /// Note the end, together with the event that tells of it.
    End(Outcome),
    /// All that it held is in the store.
    DeleteSpool,
}

impl State {
    /// A recording that was just accepted.
    pub const NEW: Self = Self::Starting { reached: Reached::Nothing, deaths: Deaths(Vec::new()) };

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
            Self::Starting { reached, .. }
            | Self::Frozen { reached, .. }
            | Self::Restarting { reached, .. } => Some(match reached {
                Reached::Nothing => Phase::Starting,
                Reached::Room => Phase::Active,
            }),
            Self::Active { .. } => Some(Phase::Active),
            Self::Stopping { .. }
            | Self::Killing { .. }
            | Self::Uploading { .. }
            | Self::Unwritten { .. }
            | Self::Ended { .. } => None,
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
    match (state, input) {
        (state, Input::NotWritten(input)) => (unwritten::not_written(state, *input), vec![]),
        (State::Starting { reached, deaths }, input) => starting(reached, deaths, input),
        (State::Active { deaths }, input) => active(deaths, input),
        (State::Frozen { reached, deaths }, input) => frozen(reached, deaths, input),
        (State::Restarting { reached, failure, deaths }, input) => {
            restarting(reached, failure, deaths, input)
        }
        (State::Stopping { cause }, input) => ending::stopping(cause, input),
        (State::Killing { failure }, input) => ending::killing(failure, input),
        (State::Uploading { end_status }, input) => ending::uploading(end_status, input),
        (State::Unwritten { before, held }, input) => unwritten::held_up(*before, held, input),
        (State::Ended { outcome }, _) => (State::Ended { outcome }, vec![]),
    }
}

fn starting(reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match (input, reached) {
        (Input::Joined, Reached::Nothing) => (State::Active { deaths }, vec![Action::NoteActive]),
        (Input::Joined, Reached::Room) => (State::Active { deaths }, vec![]),
        (other, _) => recording(State::Starting { reached, deaths: deaths.clone() }, reached, deaths, other),
    }
}

fn active(deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Active { deaths }, vec![Action::NoteMediaStarted]),
        other => recording(State::Active { deaths: deaths.clone() }, Reached::Room, deaths, other),
    }
}

/// What is the same whether the worker is in the room already or not.
fn recording(state: State, reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Progress { final_bytes } => (state, vec![Action::OfferBytes(final_bytes)]),
        Input::StopRequested | Input::ServiceEnds => stop(StopCause::Asked),
        Input::RoomClosed => stop(StopCause::RoomClosed),
        Input::DiskExhausted => stop(StopCause::DiskFull),
        Input::NoProgress => (State::Frozen { reached, deaths }, vec![Action::KillWorker]),
        Input::WorkerEnded { reason, error } => finish(EndStatus::reported(reason, error)),
        Input::WorkerExited { exit, at } => died(reached, deaths, Death::Crashed(exit), at),
        Input::Joined
        | Input::FirstMedia
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        // An upload is not done before the spool is whole.
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (state, vec![]),
    }
}

fn frozen(reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    let last = |failure| (State::Killing { failure }, vec![Action::PersistStop]);
    match input {
        // It went on, but too late: it was killed before anybody knew. What it wrote counts.
        Input::Progress { final_bytes } => {
            (State::Frozen { reached, deaths }, vec![Action::OfferBytes(final_bytes)])
        }
        Input::WorkerEnded { reason, error } => finish(EndStatus::reported(reason, error)),
        Input::WorkerExited { at, .. } => died(reached, deaths, Death::Frozen, at),
        Input::StopRequested | Input::ServiceEnds | Input::RoomClosed => last(Failure::Died(Death::Frozen)),
        Input::DiskExhausted => last(Failure::DiskFull),
        Input::Joined
        | Input::FirstMedia
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (State::Frozen { reached, deaths }, vec![]),
    }
}

fn restarting(reached: Reached, failure: Failure, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::SuccessorReady => (State::Starting { reached, deaths }, vec![Action::StartSuccessor]),
        // Without a worker what there is is all there will be.
        Input::NoSuccessor | Input::StopRequested | Input::ServiceEnds | Input::RoomClosed => {
            finish_without_successor(failure)
        }
        Input::DiskExhausted => finish_without_successor(Failure::DiskFull),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerEnded { .. }
        | Input::WorkerExited { .. }
        | Input::NoProgress
        | Input::StopTimedOut
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (State::Restarting { reached, failure, deaths }, vec![]),
    }
}

fn stop(cause: StopCause) -> (State, Vec<Action>) {
    (State::Stopping { cause }, vec![Action::PersistStop, Action::StopWorker])
}

/// A worker has gone that should have gone on.
fn died(reached: Reached, deaths: Deaths, death: Death, at: Duration) -> (State, Vec<Action>) {
    match deaths.and_one(at) {
        Some(deaths) => {
            let failure = Failure::Died(death);
            (State::Restarting { reached, failure, deaths }, vec![Action::PrepareSuccessor])
        }
        None => finish_without_worker(Failure::DiedAgain(death)),
    }
}

#[cfg(test)]
mod tests;
