//! The invariants of the state machine over all orders of inputs: all of them to some depth, at random beyond
//! it; and over writes that fail at any moment.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// An input, at a time.
fn every_input(now: Duration) -> Vec<Input> {
    let mut inputs = vec![
        Input::Joined,
        Input::FirstMedia,
        Input::Progress { final_bytes: 7 },
        Input::WorkerEnded { reason: EndReason::Failed, error: Some("no encoder".into()) },
        Input::WorkerExited { exit: Exit::Code(0), at: now },
        Input::WorkerExited { exit: Exit::Signal(9), at: now },
        Input::WorkerExited { exit: Exit::Unknown, at: now },
        Input::NoProgress,
        Input::SuccessorReady,
        Input::NoSuccessor,
        Input::StopTimedOut,
        Input::StopRequested,
        Input::ServiceEnds,
        Input::RoomClosed,
        Input::DiskExhausted,
        stored(Some(saved())),
        stored(None),
        Input::Uploaded(Some(saved()), Condition::Damaged),
        Input::UploadFailed(Left::All),
        Input::RetryWrite,
    ];
    inputs.extend(
        [
            EndReason::Stopped,
            EndReason::RoomClosed,
            EndReason::Idle,
            EndReason::MaxDuration,
            EndReason::MaxSize,
            EndReason::DiskFull,
            EndReason::ParentGone,
            EndReason::EncodersFailed,
            EndReason::Failed,
        ]
        .map(ended_well),
    );
    inputs
}

/// What the invariants need to know about one history. Panics if an invariant is broken.
#[derive(Debug, Clone, Default, PartialEq)]
struct Witness {
    worker: Worker,
    /// It has given its slot back.
    slot_released: bool,
    /// A successor is being looked for.
    searching: bool,
    /// A stop was requested, and not refused.
    end_wanted: bool,
    /// The end status is in the database.
    end_noted: bool,
    uploaded: bool,
    active: u32,
    stopping: u32,
    finishing: u32,
    ends: u32,
    deleted: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
enum Worker {
    #[default]
    Runs,
    Killed,
    Gone,
}

impl Witness {
    fn sees(&mut self, before: &State, input: &Input, after: &State, actions: &[Action], written: Written) {
        if self.ends == 1 {
            assert_eq!((before, actions), (after, &[][..]), "something changed what had ended");
        }
        match input {
            Input::WorkerExited { .. } => self.worker = Worker::Gone,
            Input::StopRequested if written == Written::No => assert_eq!(before, after, "refused, and done"),
            Input::StopRequested | Input::ServiceEnds | Input::RoomClosed | Input::DiskExhausted => {
                self.end_wanted = true;
            }
            Input::Uploaded(..) => self.uploaded |= self.finishing == 1,
            _ => {}
        }
        for action in actions {
            self.sees_action(action);
        }
        self.sees_state(after);
    }

    fn sees_state(&self, state: &State) {
        assert_eq!(self.ends == 1, matches!(state, State::Ended { .. }), "{state:?}");
        let stands_at = match state {
            State::Unwritten { before, .. } => before,
            other => other,
        };
        let uploads = matches!(stands_at, State::Uploading { .. });
        assert_eq!(self.finishing == 0, !(uploads || self.ends == 1), "{state:?}");
        assert!(!(self.end_wanted && state.is_live()), "an end was wanted, and it goes on: {state:?}");
        // The waiting input may be the exit of the last worker.
        let waits = matches!(state, State::Unwritten { .. });
        let slot_is_due = uploads && !waits && self.worker == Worker::Gone;
        assert!(self.slot_released || !slot_is_due, "a slot is kept that nobody needs: {state:?}");
        assert!(!self.slot_released || uploads || self.ends == 1, "no slot where a worker may be: {state:?}");
        assert!(!self.searching || matches!(stands_at, State::Restarting { .. }), "{state:?}");
    }

    fn sees_action(&mut self, action: &Action) {
        match action {
            Action::NoteActive => self.active += 1,
            Action::PersistStop => self.stopping += 1,
            Action::PersistEndStatus(_) => {
                assert_eq!(self.ends, 0);
                self.end_noted = true;
            }
            Action::NoteMediaStarted => assert_eq!(self.ends, 0),
            Action::OfferBytes(_) => assert_eq!(self.finishing, 0, "bytes are offered after the end of all"),
            Action::StopWorker => assert_eq!(self.stopping, 1, "persisted before it is acted on"),
            Action::KillWorker => {
                assert_eq!(self.worker, Worker::Runs);
                self.worker = Worker::Killed;
            }
            Action::PrepareSuccessor | Action::StartSuccessor => {
                assert_eq!(self.worker, Worker::Gone, "two workers at a time");
                assert!(!self.end_wanted, "a successor though an end was wanted");
                assert!(!self.slot_released, "a successor without a slot");
                self.searching = *action == Action::PrepareSuccessor;
                if *action == Action::StartSuccessor {
                    self.worker = Worker::Runs;
                }
            }
            Action::DropSuccessorSearch => self.searching = false,
            Action::ReleaseSlot => {
                assert_eq!(self.worker, Worker::Gone, "a slot is given away with a worker in it");
                self.slot_released = true;
            }
            Action::FinishUpload => {
                assert!(self.end_noted, "persisted before it is acted on");
                self.finishing += 1;
            }
            Action::End(outcome) => {
                self.ends += 1;
                assert_eq!(self.finishing, 1, "ended without its upload");
                let saved = matches!(outcome, Outcome::Complete(_) | Outcome::Failed { saved: Some(_), .. });
                assert!(!saved || self.uploaded, "a file is told that was not uploaded");
            }
            Action::DeleteSpool => {
                self.deleted += 1;
                assert!(self.uploaded && self.ends == 1, "a spool is deleted that is needed");
            }
        }
        let once = [self.active, self.stopping, self.finishing, self.ends, self.deleted];
        assert!(once.iter().all(|times| *times <= 1), "{action:?} twice: {self:?}");
    }
}

/// Whether all actions of an input could be written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Written {
    Yes,
    No,
}

/// A recording and its history.
#[derive(Debug, Clone, PartialEq)]
struct History {
    state: State,
    witness: Witness,
}

impl History {
    fn new(state: State) -> Self {
        Self { state, witness: Witness::default() }
    }

    /// Passes in an input. The write with the number `fails` fails, if there are so many.
    fn after(&self, input: &Input, fails: Option<usize>) -> Option<Self> {
        let (mut after, mut actions) = step(self.state.clone(), input.clone());
        let mut written = Written::Yes;
        if let Some(nth) = fails {
            let (at, _) = actions.iter().enumerate().filter(|(_, action)| is_persisted(action)).nth(nth)?;
            actions.truncate(at);
            let (as_before, done) = step(self.state.clone(), Input::NotWritten(Box::new(input.clone())));
            assert_eq!(done, [], "something is done about what is not written");
            (after, written) = (as_before, Written::No);
        }
        let mut witness = self.witness.clone();
        witness.sees(&self.state, input, &after, &actions, written);
        Some(Self { state: after, witness })
    }

    /// Passes in an input whose writes all succeed.
    fn settled(mut self) -> Self {
        while let State::Unwritten { .. } = self.state {
            self = self.after(&Input::RetryWrite, None).unwrap();
        }
        self
    }
}

fn is_persisted(action: &Action) -> bool {
    matches!(action, Action::PersistStop | Action::PersistEndStatus(_) | Action::End(_))
}

/// The length of the orders of inputs, if every write succeeds.
const DEPTH: u32 = 9;
/// Their length if each write may fail.
const DEPTH_WITH_FAULTS: u32 = 4;

/// Returns all histories of so many inputs, so many seconds apart. Equal histories count once.
fn histories(depth: u32, pace: Duration, fails: &[Option<usize>]) -> impl Iterator<Item = History> {
    let mut reached = BTreeMap::from([(String::new(), History::new(State::NEW))]);
    for n in 0..depth {
        let mut next = BTreeMap::new();
        for history in reached.into_values() {
            for input in every_input(pace * n) {
                let all = fails.iter().filter_map(|fails| history.after(&input, *fails));
                next.extend(all.map(|history| (format!("{history:?}"), history)));
            }
        }
        reached = next;
    }
    reached.into_values()
}

#[test]
fn in_every_order_of_inputs_a_recording_ends_once_and_loses_no_upload() {
    // Deaths that follow each other fast and slowly.
    for pace in [Duration::from_secs(1), Duration::from_secs(40)] {
        let ended = |history: History| matches!(history.state, State::Ended { .. });
        assert!(histories(DEPTH, pace, &[None]).any(ended));
    }
}

#[test]
fn the_same_holds_whatever_cannot_be_written_down_at_any_moment() {
    let mut waiting = 0;
    for history in histories(DEPTH_WITH_FAULTS, Duration::from_secs(1), &[None, Some(0), Some(1)]) {
        waiting += u32::from(matches!(history.state, State::Unwritten { .. }));
        history.settled();
    }
    assert!(waiting > 0);
}

proptest! {
    #[test]
    fn after_any_long_life_a_recording_can_still_be_ended_with_its_file(
        choices in prop::collection::vec((0_usize..1000, 0_u64..90, prop::option::of(0_usize..2)), 0..200),
        phase in prop::sample::select(vec![None, Some(Phase::Starting), Some(Phase::Active)]),
    ) {
        let mut history = History::new(State::NEW);
        if let Some(phase) = phase {
            history.state = State::resuming(phase);
            history.witness.worker = Worker::Gone;
            history.witness.searching = true;
            history.witness.active = u32::from(phase == Phase::Active);
        }
        let mut now = Duration::ZERO;
        for (choice, pause, fails) in choices {
            now += Duration::from_secs(pause);
            let any = every_input(now);
            let input = &any[choice % any.len()];
            let after = history.after(input, fails).or_else(|| history.after(input, None));
            history = after.expect("what need not be written can happen");
        }
        let exited = Input::WorkerExited { exit: Exit::Unknown, at: now };
        for input in [Input::StopRequested, exited, stored(None)] {
            history = history.settled().after(&input, None).expect("everything can be written");
        }
        prop_assert!(matches!(history.state, State::Ended { .. }), "{:?}", history.state);
    }
}
