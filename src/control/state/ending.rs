//! The states at the end of a recording: from the stop of its last worker to the file in the store. Pure.
//!
//! Contract: the end status is noted before the rest is uploaded, and the end is noted before the spool is
//! deleted. The slot is given back after the last worker has exited.

use super::{Action, EndStatus, Failure, Input, State, StopCause};
use crate::control::failure::Death;
use crate::store::{Outcome, SavedFile};
use crate::upload::Condition;

pub fn stopping(cause: StopCause, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::FirstMedia => (State::Stopping { cause }, vec![Action::NoteMediaStarted]),
        Input::Progress { final_bytes } => (State::Stopping { cause }, vec![Action::OfferBytes(final_bytes)]),
        Input::StopTimedOut => {
            (State::Killing { failure: Failure::DidNotStop }, vec![Action::KillWorker])
        }
        Input::WorkerEnded { reason, error } => {
            let end_status = EndStatus::reported(reason, error);
            finish(match cause {
                StopCause::Asked => end_status,
                StopCause::RoomClosed => end_status.of_a_closed_room(),
                StopCause::DiskFull => end_status.or_failed(Failure::DiskFull),
            })
        }
        Input::WorkerExited { exit, .. } => finish_without_worker(Failure::Died(Death::Crashed(exit))),
        Input::Joined
        | Input::StopRequested
        | Input::ServiceEnds
        | Input::RoomClosed
        | Input::DiskExhausted
        // The deadline of the stop is stricter than the watchdog.
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (State::Stopping { cause }, vec![]),
    }
}

pub fn killing(failure: Failure, input: Input) -> (State, Vec<Action>) {
    match input {
        // It had ended by itself just before, so its file is complete.
        Input::WorkerEnded { reason, error } => finish(EndStatus::reported(reason, error)),
        Input::WorkerExited { .. } => finish_without_worker(failure),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::StopRequested
        | Input::ServiceEnds
        | Input::RoomClosed
        | Input::DiskExhausted
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_)
        | Input::RetryWrite => (State::Killing { failure }, vec![]),
    }
}

pub fn uploading(end_status: EndStatus, input: Input) -> (State, Vec<Action>) {
    match input {
        Input::Uploaded(saved, condition) => uploaded(end_status, saved, condition),
        Input::WorkerExited { .. } => (State::Uploading { end_status }, vec![Action::ReleaseSlot]),
        Input::UploadFailed(left) => end(vec![], end_status.not_stored(left), None),
        Input::Joined
        | Input::FirstMedia
        | Input::Progress { .. }
        | Input::WorkerEnded { .. }
        | Input::NoProgress
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::StopTimedOut
        | Input::StopRequested
        | Input::ServiceEnds
        | Input::RoomClosed
        | Input::DiskExhausted
        | Input::NotWritten(_)
        | Input::RetryWrite => (State::Uploading { end_status }, vec![]),
    }
}

/// Handles the last event of the worker, which then exits.
pub fn finish(end_status: EndStatus) -> (State, Vec<Action>) {
    finish_after(end_status, [])
}

pub fn finish_without_worker(failure: Failure) -> (State, Vec<Action>) {
    finish_after(EndStatus::Failed(failure), [Action::ReleaseSlot])
}

pub fn finish_without_successor(failure: Failure) -> (State, Vec<Action>) {
    finish_after(EndStatus::Failed(failure), [Action::DropSuccessorSearch, Action::ReleaseSlot])
}

fn finish_after<const N: usize>(end_status: EndStatus, first: [Action; N]) -> (State, Vec<Action>) {
    let mut actions = vec![Action::PersistEndStatus(end_status.clone())];
    actions.extend(first);
    actions.push(Action::FinishUpload);
    (State::Uploading { end_status }, actions)
}

/// Notes before the end that the spool is damaged. Otherwise the next start would delete it.
fn uploaded(end_status: EndStatus, saved: Option<SavedFile>, condition: Condition) -> (State, Vec<Action>) {
    let (end_status, first) = match condition {
        Condition::Sound => (end_status, vec![]),
        Condition::Damaged => {
            let end_status = end_status.or_failed(Failure::SpoolDamaged);
            (end_status.clone(), vec![Action::PersistEndStatus(end_status)])
        }
    };
    let damaged = end_status == EndStatus::Failed(Failure::SpoolDamaged);
    // A damaged spool is kept: an operator may rescue more of it.
    end(first, end_status.outcome(saved), (!damaged).then_some(Action::DeleteSpool))
}

fn end(mut actions: Vec<Action>, outcome: Outcome, then: Option<Action>) -> (State, Vec<Action>) {
    actions.push(Action::End(outcome.clone()));
    actions.extend(then);
    (State::Ended { outcome }, actions)
}
