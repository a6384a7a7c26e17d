//! The invariants of a recording's life over all orders of what can happen: one by one to some depth, at random
//! beyond it.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// What can happen, at a time.
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
        Input::RoomClosed,
        Input::DiskExhausted,
        Input::Uploaded(Some(saved())),
        Input::Uploaded(None),
        Input::UploadFailed(Left::All),
        Input::SpoolDamaged,
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

/// What was seen of one history, as far as the invariants speak of it. It panics where one does not hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Witness {
    worker: Worker,
    /// Somebody asked for an end.
    end_wanted: bool,
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
    fn sees(&mut self, before: &State, input: &Input, after: &State, actions: &[Action]) {
        if self.ends == 1 {
            assert_eq!((before, actions), (after, &[][..]), "something changed what had ended");
        }
        match input {
            Input::WorkerExited { .. } => self.worker = Worker::Gone,
            Input::StopRequested | Input::RoomClosed | Input::DiskExhausted => self.end_wanted = true,
            Input::Uploaded(_) => self.uploaded |= self.finishing == 1,
            _ => {}
        }
        for action in actions {
            self.sees_action(action);
        }
        assert_eq!(self.ends == 1, matches!(after, State::Ended { .. }), "{after:?}");
        assert_eq!(self.finishing == 0, !matches!(after, State::Finishing { .. } | State::Ended { .. }));
        assert!(!(self.end_wanted && after.is_live()), "an end was wanted, and it goes on: {after:?}");
    }

    fn sees_action(&mut self, action: &Action) {
        match action {
            Action::Persist(Phase::Active) => self.active += 1,
            Action::Persist(Phase::Stopping) => self.stopping += 1,
            Action::Persist(other) => panic!("{other:?} is persisted otherwise"),
            Action::PersistVerdict(_) => assert_eq!(self.ends, 0),
            Action::TellMediaStarted => {}
            Action::OfferBytes(_) => assert_eq!(self.finishing, 0, "bytes are offered after the end of all"),
            Action::StopWorker => assert_eq!(self.stopping, 1, "persisted before it is acted on"),
            Action::KillWorker => {
                assert_eq!(self.worker, Worker::Runs);
                self.worker = Worker::Killed;
            }
            Action::PrepareSuccessor | Action::StartSuccessor => {
                assert_eq!(self.worker, Worker::Gone, "two workers at a time");
                assert!(!self.end_wanted, "a successor though an end was wanted");
                if *action == Action::StartSuccessor {
                    self.worker = Worker::Runs;
                }
            }
            Action::FinishUpload => self.finishing += 1,
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

/// Every order of inputs up to this length.
const DEPTH: u32 = 9;

#[test]
fn in_every_order_of_inputs_a_recording_ends_once_and_loses_no_upload() {
    // Deaths that follow one another fast, and slowly.
    for pace in [Duration::from_secs(1), Duration::from_secs(40)] {
        let mut reached = BTreeMap::from([(String::new(), (State::NEW, Witness::default()))]);
        for depth in 0..DEPTH {
            let mut next = BTreeMap::new();
            for (state, witness) in reached.into_values() {
                for input in every_input(pace * depth) {
                    let (after, actions) = step(state.clone(), input.clone());
                    let mut witness = witness.clone();
                    witness.sees(&state, &input, &after, &actions);
                    // Equal histories fall together.
                    next.insert(format!("{after:?}{witness:?}"), (after, witness));
                }
            }
            reached = next;
        }
        let ended = |(state, _): &(State, Witness)| matches!(state, State::Ended { .. });
        assert!(reached.values().any(ended));
    }
}

proptest! {
    #[test]
    fn after_any_long_life_a_recording_can_still_be_ended_with_its_file(
        choices in prop::collection::vec((0_usize..1000, 0_u64..90), 0..200),
        phase in prop::sample::select(vec![None, Some(Phase::Starting), Some(Phase::Active)]),
    ) {
        let mut state = State::NEW;
        let mut witness = Witness::default();
        if let Some(phase) = phase {
            state = State::resuming(phase);
            witness.worker = Worker::Gone;
            witness.active = u32::from(phase == Phase::Active);
        }
        let mut now = Duration::ZERO;
        let mut inputs = Vec::new();
        for (choice, pause) in choices {
            now += Duration::from_secs(pause);
            let any = every_input(now);
            inputs.push(any[choice % any.len()].clone());
        }
        inputs.extend([
            Input::StopRequested,
            Input::WorkerExited { exit: Exit::Unknown, at: now },
            Input::Uploaded(None),
        ]);
        for input in inputs {
            let (after, actions) = step(state.clone(), input.clone());
            witness.sees(&state, &input, &after, &actions);
            state = after;
        }
        prop_assert!(matches!(state, State::Ended { .. }), "{:?}", state);
    }
}
