//! The state machine of one recording, as a pure function: an input goes in, actions come out.
//!
//! Has no clock, no process and no database. Contract: the caller carries out the actions in their order, and
//! what an action persists is on the disk before the next action begins. If an action cannot persist, the
//! caller leaves out the actions after it, keeps the state from before the input, and passes in `NotWritten`
//! with that input. A recording ends exactly once. An input that comes after the end, or too late in any
//! other state, changes nothing. There are never two workers: a successor is started only after the exit of
//! the worker before it.

mod ending;
mod unwritten;

use std::collections::VecDeque;
use std::time::Duration;

use super::failure::{Death, EndStatus, Exit, Failure};
use crate::store::{Outcome, Phase, SavedFile};
use crate::upload::{Condition, Left};
use crate::worker::messages::EndReason;

use ending::{finish, finish_without_successor, finish_without_worker};

/// The state of a recording.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// A worker runs, and is not in the room yet.
    Starting {
        reached: Reached,
        deaths: Deaths,
    },
    /// The worker is in the room.
    Active {
        deaths: Deaths,
    },
    /// The worker made no progress and was killed. It has not exited yet. A successor is to follow.
    Frozen {
        reached: Reached,
        deaths: Deaths,
    },
    /// There is no worker. The search for a successor is under way. If there is none, the recording ends with
    /// `failure`.
    Restarting {
        reached: Reached,
        failure: Failure,
        deaths: Deaths,
    },
    /// The worker was told to stop.
    Stopping {
        cause: StopCause,
    },
    /// The worker was killed, and has not exited yet. No successor follows.
    Killing {
        failure: Failure,
    },
    /// The spool is complete. The rest of it is being uploaded.
    Uploading {
        end_status: EndStatus,
    },
    /// An input could not be written to the database yet. Nothing is done about it, and the inputs after it
    /// wait.
    Unwritten {
        before: Box<State>,
        /// The waiting inputs in their order: at least one, and one of each kind at most.
        held: VecDeque<Input>,
    },
    Ended {
        outcome: Outcome,
    },
}

/// How far the workers of the recording have come so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reached {
    Nothing,
    Room,
}

/// Why the service stops the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopCause {
    Asked,
    RoomClosed,
    DiskFull,
}

/// When workers of the recording died, within [`Deaths::WITHIN`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deaths(Vec<Duration>);

/// Something that has happened. All times have the same zero.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    Joined,
    FirstMedia,
    Progress {
        final_bytes: u64,
    },
    /// The worker has completed and closed the spool.
    WorkerEnded {
        reason: EndReason,
        error: Option<String>,
    },
    WorkerExited {
        exit: Exit,
        at: Duration,
    },
    /// The watchdog says that the worker is frozen.
    NoProgress,
    /// The room still exists, and the spool can be continued.
    SuccessorReady,
    /// The room does not exist any more, or the spool cannot be continued.
    NoSuccessor,
    /// The worker did not end in time after a stop.
    StopTimedOut,
    /// A user has requested a stop, and is told whether it is in the database.
    StopRequested,
    /// The service is told to end, and its recordings with it.
    ServiceEnds,
    /// LiveKit reports that the room is closed. The worker may be connected to it or not.
    RoomClosed,
    /// The disk has no more room.
    DiskExhausted,
    /// `None` if there was no media in the spool.
    Uploaded(Option<SavedFile>, Condition),
    UploadFailed(Left),
    /// The actions of this input could not be written to the database.
    NotWritten(Box<Input>),
    /// It is time to try again the input that could not be written.
    RetryWrite,
}

/// Something that has to be done.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Note that the worker is in the room, now or as soon as the database can be written. Nothing waits for
    /// this.
    NoteActive,
    /// Note the first media of the recording, unless it was noted before, together with its event, now or as
    /// soon as the database can be written. Nothing waits for this.
    NoteMediaStarted,
    /// Note that the recording is being stopped.
    PersistStop,
    /// Note that the recording takes in no more media, and how it is to end.
    PersistEndStatus(EndStatus),
    /// Let the upload read the spool up to these final bytes.
    OfferBytes(u64),
    /// Let the upload read the spool to its end, and complete the file.
    FinishUpload,
    StopWorker,
    KillWorker,
    /// Find out whether the room still exists and where the spool ends.
    PrepareSuccessor,
    StartSuccessor,
    /// End the search for a successor.
    DropSuccessorSearch,
    /// Give the slot back, as the last worker has exited.
    ReleaseSlot,
    /// Note the end of the recording, together with its event.
    End(Outcome),
    /// Delete the spool, all of which is in the store.
    DeleteSpool,
}

impl State {
    /// The state of a recording that was just accepted.
    pub const NEW: Self = Self::Starting { reached: Reached::Nothing, deaths: Deaths(Vec::new()) };

    /// Returns the state of a recording that took in media when an earlier service ended. The caller starts
    /// the search for a successor.
    pub fn resuming(phase: Phase) -> Self {
        let reached = match phase {
            Phase::Starting => Reached::Nothing,
            Phase::Active | Phase::Stopping | Phase::Uploading | Phase::Complete | Phase::Failed => {
                Reached::Room
            }
        };
        Self::Restarting { reached, failure: Failure::ServiceRestarted, deaths: Deaths::default() }
    }

    /// Returns whether the recording takes in media, or will.
    pub fn is_live(&self) -> bool {
        self.live_phase().is_some()
    }

    /// Returns the phase of a recording that takes in media, or will; `None` if it takes in no more.
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
    /// So many deaths within [`Deaths::WITHIN`] are no accident.
    const TOO_MANY: usize = 3;
    const WITHIN: Duration = Duration::from_secs(60);

    /// Adds a death; `None` if there were too many.
    fn and_one(mut self, at: Duration) -> Option<Self> {
        self.0.retain(|&earlier| at.saturating_sub(earlier) <= Self::WITHIN);
        self.0.push(at);
        (self.0.len() < Self::TOO_MANY).then_some(self)
    }
}

/// Returns the state after an input, and the actions to carry out.
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

/// Handles the inputs that have the same effect before and after joining the room.
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
        // An upload does not complete before the spool is complete.
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (state, vec![]),
    }
}

fn frozen(reached: Reached, deaths: Deaths, input: Input) -> (State, Vec<Action>) {
    let last = |failure| (State::Killing { failure }, vec![Action::PersistStop]);
    match input {
        // The worker made progress just before it was killed. What it wrote counts.
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
        // Without a worker, the spool gets no more media.
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

/// Handles the death of a worker.
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
