//! The specification of a recording's life: every state meets every input.

use super::*;

fn saved() -> SavedFile {
    SavedFile { key: "room/2024-04-21T10-00-00.mp4".into(), duration_s: 20, size: 1000 }
}

fn ended_well(reason: EndReason) -> Input {
    Input::WorkerEnded { reason, error: None }
}

fn every_input() -> Vec<Input> {
    let mut inputs = vec![
        Input::Joined,
        Input::FirstMedia,
        Input::Progress { final_bytes: 7 },
        Input::WorkerEnded { reason: EndReason::Failed, error: Some("no encoder".into()) },
        Input::WorkerExited(Exit::Code(0)),
        Input::WorkerExited(Exit::Signal(9)),
        Input::WorkerExited(Exit::Unknown),
        Input::WorkerSilent,
        Input::StopTimedOut,
        Input::StopRequested,
        Input::Uploaded(Some(saved())),
        Input::Uploaded(None),
        Input::UploadFailed,
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
            EndReason::Failed,
        ]
        .map(ended_well),
    );
    inputs
}

/// Feeds the inputs to a new recording: where it got to, and every action on the way.
fn run(inputs: impl IntoIterator<Item = Input>) -> (State, Vec<Action>) {
    let mut state = State::Starting;
    let mut all = Vec::new();
    for input in inputs {
        let (next, actions) = step(state, input);
        state = next;
        all.extend(actions);
    }
    (state, all)
}

fn error_of(state: &State) -> &str {
    match state {
        State::Ended { outcome: Outcome::Failed { error, .. } } => error,
        other => panic!("not a failed recording: {other:?}"),
    }
}

#[test]
fn a_stopped_recording_is_complete_once_its_file_is_stored() {
    let (state, actions) = run([
        Input::Joined,
        Input::FirstMedia,
        Input::Progress { final_bytes: 7 },
        Input::StopRequested,
        Input::Progress { final_bytes: 9 },
        ended_well(EndReason::Stopped),
        Input::WorkerExited(Exit::Code(0)),
        Input::Uploaded(Some(saved())),
    ]);
    let outcome = Outcome::Complete(saved());
    assert_eq!(
        actions,
        [
            Action::Persist(Phase::Active),
            Action::TellMediaStarted,
            Action::OfferBytes(7),
            Action::Persist(Phase::Stopping),
            Action::StopWorker,
            Action::OfferBytes(9),
            Action::Persist(Phase::Uploading),
            Action::FinishUpload,
            Action::End(outcome.clone()),
            Action::DeleteSpool,
        ]
    );
    assert_eq!(state, State::Ended { outcome });
}

#[test]
fn a_recording_that_ends_by_itself_is_complete_without_a_stop() {
    for reason in [EndReason::RoomClosed, EndReason::Idle, EndReason::MaxDuration] {
        let (state, _) = run([Input::Joined, ended_well(reason), Input::Uploaded(Some(saved()))]);
        let outcome = Outcome::Complete(saved());
        assert_eq!(state, State::Ended { outcome });
    }
}

#[test]
fn a_stop_before_the_room_was_joined_stops_the_worker() {
    let (state, actions) = run([Input::StopRequested]);
    assert_eq!(state, State::Stopping);
    assert_eq!(actions, [Action::Persist(Phase::Stopping), Action::StopWorker]);
}

#[test]
fn a_recording_without_any_media_has_failed_and_says_why() {
    let (state, _) = run([Input::StopRequested, ended_well(EndReason::Stopped), Input::Uploaded(None)]);
    assert_eq!(error_of(&state), "The recording ended before anything was recorded (stopped).");
}

#[test]
fn a_second_stop_does_nothing() {
    for before in [
        vec![Input::StopRequested],
        vec![Input::Joined, Input::StopRequested],
        vec![Input::Joined, ended_well(EndReason::RoomClosed)],
        vec![Input::WorkerSilent],
    ] {
        let (state, _) = run(before);
        assert_eq!(step(state.clone(), Input::StopRequested), (state, vec![]));
    }
}

#[test]
fn a_crash_while_a_worker_is_needed_finishes_what_the_spool_holds() {
    for before in [vec![], vec![Input::Joined], vec![Input::Joined, Input::StopRequested]] {
        let crashed = [Input::WorkerExited(Exit::Signal(9)), Input::Uploaded(Some(saved()))];
        let (state, actions) = run(before.into_iter().chain(crashed));
        assert_eq!(
            error_of(&state),
            "The recorder ended unexpectedly by signal 9. The file holds what was recorded until then."
        );
        let tail = &actions[actions.len() - 4..];
        assert_eq!(tail[0], Action::Persist(Phase::Uploading));
        assert_eq!(tail[1], Action::FinishUpload);
        assert!(matches!(&tail[2], Action::End(Outcome::Failed { saved: Some(_), .. })));
    }
}

#[test]
fn a_worker_that_exits_after_its_last_word_has_not_crashed() {
    let (state, _) = run([Input::Joined, ended_well(EndReason::Stopped)]);
    let exited = step(state.clone(), Input::WorkerExited(Exit::Signal(9)));
    assert_eq!(exited, (state, vec![]));
}

#[test]
fn a_worker_that_reports_an_error_ends_as_failed_with_its_words() {
    let error =
        Input::WorkerEnded { reason: EndReason::Failed, error: Some("the room refused the token".into()) };
    let (state, _) = run([error, Input::Uploaded(None)]);
    assert_eq!(error_of(&state), "The recorder failed: the room refused the token. Nothing was recorded.");
}

#[test]
fn a_silent_worker_is_killed_and_what_it_left_is_saved() {
    let (state, actions) = run([Input::Joined, Input::WorkerSilent]);
    assert_eq!(actions.last(), Some(&Action::KillWorker));
    let (state, _) = step(state, Input::WorkerExited(Exit::Signal(9)));
    let (state, _) = step(state, Input::Uploaded(Some(saved())));
    assert_eq!(
        error_of(&state),
        "The recorder did not answer any more and was ended. The file holds what was recorded until then."
    );
}

#[test]
fn a_worker_that_does_not_stop_is_killed() {
    let (state, actions) = run([Input::Joined, Input::StopRequested, Input::StopTimedOut]);
    assert_eq!(actions.last(), Some(&Action::KillWorker));
    assert_eq!(state, State::Killing { failure: Failure::DidNotStop });
}

#[test]
fn a_worker_that_ended_just_before_it_was_killed_has_not_failed() {
    let (state, _) = run([
        Input::Joined,
        Input::StopRequested,
        Input::StopTimedOut,
        ended_well(EndReason::Stopped),
        Input::WorkerExited(Exit::Signal(9)),
        Input::Uploaded(Some(saved())),
    ]);
    let outcome = Outcome::Complete(saved());
    assert_eq!(state, State::Ended { outcome });
}

#[test]
fn a_file_that_cannot_be_stored_fails_the_recording() {
    let (state, actions) = run([Input::Joined, ended_well(EndReason::Stopped), Input::UploadFailed]);
    assert!(!actions.contains(&Action::DeleteSpool));
    assert_eq!(
        error_of(&state),
        "The recording could not be stored; the recorder has kept it on its own disk."
    );
}

#[test]
fn a_damaged_spool_fails_a_recording_that_ended_well_and_is_kept() {
    let (state, actions) = run([
        Input::Joined,
        ended_well(EndReason::Stopped),
        Input::SpoolDamaged,
        Input::Uploaded(Some(saved())),
    ]);
    assert!(error_of(&state).starts_with("A part of the recording was damaged"));
    assert!(!actions.contains(&Action::DeleteSpool));
}

#[test]
fn nothing_changes_a_recording_that_has_ended() {
    let (ended, _) = run([Input::Joined, ended_well(EndReason::Stopped), Input::Uploaded(Some(saved()))]);
    for input in every_input() {
        assert_eq!(step(ended.clone(), input), (ended.clone(), vec![]));
    }
}

/// Every order of inputs up to this length, from every state that can be reached by a shorter one.
const DEPTH: usize = 5;

#[test]
fn in_every_order_of_inputs_there_is_one_end_and_each_phase_only_once() {
    let mut reached = vec![(State::Starting, Vec::new())];
    for _ in 0..DEPTH {
        let mut next = Vec::new();
        for (state, log) in &reached {
            for input in every_input() {
                let (after, actions) = step(state.clone(), input);
                let mut log: Vec<Action> = log.clone();
                // Only what matters to the invariants, so that equal histories fall together.
                log.extend(actions.into_iter().filter(matters));
                check(&after, &log);
                if !next.contains(&(after.clone(), log.clone())) {
                    next.push((after, log));
                }
            }
        }
        reached = next;
    }
    let ended = |(state, _): &(State, Vec<Action>)| matches!(state, State::Ended { .. });
    assert!(reached.iter().any(ended));
}

fn matters(action: &Action) -> bool {
    match action {
        Action::Persist(_)
        | Action::FinishUpload
        | Action::StopWorker
        | Action::KillWorker
        | Action::End(_)
        | Action::DeleteSpool => true,
        Action::TellMediaStarted | Action::OfferBytes(_) => false,
    }
}

fn check(state: &State, log: &[Action]) {
    let at = |wanted: &Action| log.iter().position(|action| action == wanted);
    let times = |wanted: fn(&Action) -> bool| log.iter().filter(|a| wanted(a)).count();

    let ends = times(|action| matches!(action, Action::End(_)));
    assert_eq!(ends, usize::from(matches!(state, State::Ended { .. })));
    for phase in [Phase::Active, Phase::Stopping, Phase::Uploading] {
        let persisted = log.iter().filter(|&a| *a == Action::Persist(phase)).count();
        assert!(persisted <= 1, "{phase:?} twice in {log:?}");
    }
    // Persist, then act, then tell.
    for (phase, act) in [
        (Phase::Stopping, Action::StopWorker),
        (Phase::Stopping, Action::KillWorker),
        (Phase::Uploading, Action::FinishUpload),
    ] {
        if let Some(acted) = at(&act) {
            let persisted = at(&Action::Persist(phase)).expect("persisted before it is acted on");
            assert!(persisted < acted, "{log:?}");
        }
    }
    let end = log.iter().position(|action| matches!(action, Action::End(_)));
    if let Some(end) = end {
        assert!(at(&Action::FinishUpload).is_some_and(|finish| finish < end));
    }
    if let Some(deleted) = at(&Action::DeleteSpool) {
        assert!(end.is_some_and(|end| end < deleted), "{log:?}");
    }
}
