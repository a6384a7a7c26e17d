//! Handles inputs that cannot be written to the database. Pure.
//!
//! Contract: nothing is done about an input before it is written. A stop that a user requested is forgotten,
//! and the user is told so. All other inputs wait, as they have already happened. Meanwhile the worker goes
//! on, and its output counts.

use std::collections::VecDeque;
use std::mem::discriminant;

use super::{Action, Input, State, step};

/// Returns the state after this input could not be written in `state`.
pub fn not_written(state: State, input: Input) -> State {
    match (state, input) {
        // The user is told. The inputs that wait already are tried again.
        (state, Input::StopRequested | Input::RetryWrite | Input::NotWritten(_)) => state,
        (State::Unwritten { before, held }, input) => hold(*before, held, input),
        (state, input) => State::Unwritten { before: Box::new(state), held: VecDeque::from([input]) },
    }
}

pub fn held_up(before: State, held: VecDeque<Input>, input: Input) -> (State, Vec<Action>) {
    match input {
        // An input that waits already ends the recording. The stop is noted together with it.
        Input::RetryWrite | Input::StopRequested => first(before, held),
        // The waiting inputs do not depend on these.
        Input::Joined | Input::FirstMedia | Input::Progress { .. } => {
            let (before, actions) = step(before, input);
            (State::Unwritten { before: Box::new(before), held }, actions)
        }
        Input::WorkerEnded { .. }
        | Input::WorkerExited { .. }
        | Input::SuccessorReady
        | Input::NoSuccessor
        | Input::ServiceEnds
        | Input::RoomClosed
        | Input::DiskExhausted => (hold(before, held, input), vec![]),
        // While inputs wait, there are no deadlines, and the upload has completed before or cannot complete.
        Input::NoProgress
        | Input::StopTimedOut
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_) => (State::Unwritten { before: Box::new(before), held }, vec![]),
    }
}

/// Handles the first waiting input now.
fn first(before: State, mut held: VecDeque<Input>) -> (State, Vec<Action>) {
    let Some(input) = held.pop_front() else { return (before, vec![]) };
    let (after, actions) = step(before, input);
    // After the end, the other inputs change nothing.
    match held.is_empty() || matches!(after, State::Ended { .. }) {
        true => (after, actions),
        false => (State::Unwritten { before: Box::new(after), held }, actions),
    }
}

fn hold(before: State, mut held: VecDeque<Input>, input: Input) -> State {
    if held.iter().all(|other| discriminant(other) != discriminant(&input)) {
        held.push_back(input);
    }
    State::Unwritten { before: Box::new(before), held }
}
