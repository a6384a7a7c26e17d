//! What a recording does with something that has happened and cannot be written down. Pure.
//!
//! Contract: nothing is done about it before it is written. A stop that somebody asked for is forgotten, as he is told;
//! all else has happened outside, and waits. The worker goes on meanwhile, and what it makes is taken.

use std::collections::VecDeque;
use std::mem::discriminant;

use super::{Action, Input, State, step};

/// The state of a recording that stood at `state`, and for which this input could not be written down.
pub fn not_written(state: State, input: Input) -> State {
    match (state, input) {
        // Whoever asked is told; what is held already is tried again.
        (state, Input::StopRequested | Input::RetryWrite | Input::NotWritten(_)) => state,
        (State::Unwritten { before, held }, input) => hold(*before, held, input),
        (state, input) => State::Unwritten { before: Box::new(state), held: VecDeque::from([input]) },
    }
}

pub fn held_up(before: State, held: VecDeque<Input>, input: Input) -> (State, Vec<Action>) {
    match input {
        // A stop that is asked for finds an end that is on its way: it is noted once that is.
        Input::RetryWrite | Input::StopRequested => first(before, held),
        // These change nothing that what is held depends on.
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
        // Nobody watches the time of a recording that waits, and its upload has ended or is not to end yet.
        Input::NoProgress
        | Input::StopTimedOut
        | Input::Uploaded(..)
        | Input::UploadFailed(_)
        | Input::NotWritten(_) => (State::Unwritten { before: Box::new(before), held }, vec![]),
    }
}

/// The first of what is held happens now.
fn first(before: State, mut held: VecDeque<Input>) -> (State, Vec<Action>) {
    let Some(input) = held.pop_front() else { return (before, vec![]) };
    let (after, actions) = step(before, input);
    // Behind an end nothing matters any more.
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
