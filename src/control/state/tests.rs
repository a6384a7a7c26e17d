//! The specification of the state machine.

mod model;
mod unwritten;

use super::*;
use crate::store::Destination;

fn saved() -> SavedFile {
    let key = "room/2024-04-21T10-00-00.mp4".into();
    SavedFile { key, duration_s: 20, size: 1000, store: Destination::Primary }
}

/// The whole spool was read.
fn stored(saved: Option<SavedFile>) -> Input {
    Input::Uploaded(saved, Condition::Sound)
}

fn ended_well(reason: EndReason) -> Input {
    Input::WorkerEnded { reason, error: None }
}

/// The exit of a killed worker, so many seconds after the recording began.
fn killed_at(seconds: u64) -> Input {
    Input::WorkerExited { exit: Exit::Signal(9), at: Duration::from_secs(seconds) }
}

/// Passes the inputs to a new recording; returns its last state and all actions.
fn run(inputs: impl IntoIterator<Item = Input>) -> (State, Vec<Action>) {
    run_from(State::NEW, inputs)
}

fn run_from(mut state: State, inputs: impl IntoIterator<Item = Input>) -> (State, Vec<Action>) {
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

fn complete() -> State {
    State::Ended { outcome: Outcome::Complete(saved()) }
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
        killed_at(20),
        stored(Some(saved())),
    ]);
    assert_eq!(
        actions,
        [
            Action::NoteActive,
            Action::NoteMediaStarted,
            Action::OfferBytes(7),
            Action::PersistStop,
            Action::StopWorker,
            Action::OfferBytes(9),
            Action::PersistEndStatus(EndStatus::Normal(EndReason::Stopped)),
            Action::FinishUpload,
            Action::ReleaseSlot,
            Action::End(Outcome::Complete(saved())),
            Action::DeleteSpool,
        ]
    );
    assert_eq!(state, complete());
}

#[test]
fn a_recording_that_ends_by_itself_is_complete_without_a_stop() {
    for reason in [EndReason::RoomClosed, EndReason::Idle, EndReason::MaxDuration] {
        let (state, _) = run([Input::Joined, ended_well(reason), stored(Some(saved()))]);
        assert_eq!(state, complete());
    }
}

/// Only the service is told, as the worker may have lost its connection to LiveKit.
#[test]
fn a_room_that_livekit_closes_ends_its_recording_like_a_stop_and_for_that_reason() {
    let (state, actions) =
        run([Input::Joined, Input::RoomClosed, Input::RoomClosed, ended_well(EndReason::Stopped)]);
    let end_status = EndStatus::Normal(EndReason::RoomClosed);
    assert_eq!(state, State::Uploading { end_status: end_status.clone() });
    assert_eq!(
        actions[1..],
        [Action::PersistStop, Action::StopWorker, Action::PersistEndStatus(end_status), Action::FinishUpload]
    );
    let (state, _) = run([Input::Joined, killed_at(5), Input::RoomClosed, stored(Some(saved()))]);
    assert!(error_of(&state).starts_with("The recorder ended unexpectedly"), "{state:?}");
}

#[test]
fn a_stop_before_the_room_was_joined_stops_the_worker() {
    let (state, actions) = run([Input::StopRequested]);
    assert_eq!(state, State::Stopping { cause: StopCause::Asked });
    assert_eq!(actions, [Action::PersistStop, Action::StopWorker]);
}

#[test]
fn a_recording_without_any_media_has_failed_and_says_why() {
    let (state, _) = run([Input::StopRequested, ended_well(EndReason::Stopped), stored(None)]);
    assert_eq!(error_of(&state), "The recording ended before anything was recorded (stopped).");
}

#[test]
fn a_second_stop_does_nothing() {
    for before in [
        vec![Input::StopRequested],
        vec![Input::Joined, Input::StopRequested],
        vec![Input::Joined, ended_well(EndReason::RoomClosed)],
        vec![Input::NoProgress, Input::StopRequested],
    ] {
        let (state, _) = run(before);
        assert_eq!(step(state.clone(), Input::StopRequested), (state, vec![]));
    }
}

#[test]
fn a_worker_that_dies_is_followed_by_another_in_the_same_recording() {
    let (state, actions) = run([
        Input::Joined,
        Input::FirstMedia,
        killed_at(5),
        Input::SuccessorReady,
        Input::Joined,
        Input::StopRequested,
        ended_well(EndReason::Stopped),
        stored(Some(saved())),
    ]);
    assert_eq!(
        actions[..4],
        [Action::NoteActive, Action::NoteMediaStarted, Action::PrepareSuccessor, Action::StartSuccessor]
    );
    assert_eq!(state, complete());
}

#[test]
fn a_recording_whose_first_worker_died_before_the_room_becomes_active_with_the_next() {
    let (state, actions) = run([killed_at(1), Input::SuccessorReady, Input::Joined]);
    assert!(matches!(state, State::Active { .. }));
    assert_eq!(actions, [Action::PrepareSuccessor, Action::StartSuccessor, Action::NoteActive]);
}

#[test]
fn a_room_that_is_gone_gets_no_successor_and_what_there_is_is_saved() {
    let (state, actions) = run([Input::Joined, killed_at(5), Input::NoSuccessor, stored(Some(saved()))]);
    assert_eq!(
        error_of(&state),
        "The recorder ended unexpectedly by signal 9. The file holds what was recorded until then."
    );
    assert!(!actions.contains(&Action::StartSuccessor));
}

#[test]
fn the_third_death_within_a_minute_ends_the_recording_with_what_there_is() {
    let deaths = |times: [u64; 3]| {
        times.into_iter().flat_map(|at| [Input::Joined, killed_at(at), Input::SuccessorReady])
    };
    let (state, _) = run(deaths([10, 40, 70]).chain([stored(Some(saved()))]));
    assert_eq!(
        error_of(&state),
        "The recorder ended unexpectedly by signal 9, for the third time within a minute. \
         The file holds what was recorded until then."
    );
    let (state, _) = run(deaths([10, 40, 71]));
    assert!(state.is_live(), "{state:?}");
}

#[test]
fn a_worker_without_progress_is_killed_and_followed_by_another() {
    let (state, actions) = run([Input::Joined, Input::NoProgress]);
    assert_eq!(actions.last(), Some(&Action::KillWorker));
    let (state, actions) = run_from(state, [killed_at(11), Input::SuccessorReady, Input::Joined]);
    assert_eq!(actions, [Action::PrepareSuccessor, Action::StartSuccessor]);
    assert!(matches!(state, State::Active { .. }));
}

#[test]
fn what_a_worker_wrote_after_all_before_it_was_killed_counts() {
    let (state, actions) =
        run([Input::Joined, Input::NoProgress, Input::Progress { final_bytes: 9 }, killed_at(11)]);
    assert!(actions.contains(&Action::OfferBytes(9)));
    assert!(matches!(state, State::Restarting { .. }));
}

#[test]
fn a_recording_whose_stop_was_asked_for_gets_no_successor() {
    let stored = || [Input::SuccessorReady, stored(Some(saved()))];
    for (before, error) in [
        (vec![Input::StopRequested, killed_at(5)], "The recorder ended unexpectedly by signal 9."),
        (vec![killed_at(5), Input::StopRequested], "The recorder ended unexpectedly by signal 9."),
        (
            vec![Input::NoProgress, Input::StopRequested, killed_at(5)],
            "The recorder did not go on any more and was ended.",
        ),
    ] {
        let (state, actions) = run([Input::Joined].into_iter().chain(before).chain(stored()));
        assert_eq!(error_of(&state), format!("{error} The file holds what was recorded until then."));
        assert!(!actions.contains(&Action::StartSuccessor));
    }
}

#[test]
fn a_worker_that_exits_after_its_last_word_has_not_crashed() {
    let (state, _) = run([Input::Joined, ended_well(EndReason::Stopped)]);
    let exited = step(state.clone(), killed_at(5));
    assert_eq!(exited, (state, vec![Action::ReleaseSlot]));
}

#[test]
fn a_worker_that_fails_by_its_own_report_is_no_crash_and_gets_no_successor() {
    let error =
        Input::WorkerEnded { reason: EndReason::Failed, error: Some("the room refused the token".into()) };
    let (state, actions) = run([error, killed_at(1), Input::SuccessorReady, stored(None)]);
    assert_eq!(error_of(&state), "The recorder failed: the room refused the token. Nothing was recorded.");
    assert!(!actions.contains(&Action::PrepareSuccessor));
}

#[test]
fn a_recording_goes_on_after_the_service_was_restarted() {
    for (phase, expected) in [
        (Phase::Starting, vec![Action::StartSuccessor, Action::NoteActive]),
        (Phase::Active, vec![Action::StartSuccessor]),
    ] {
        let (state, actions) = run_from(State::resuming(phase), [Input::SuccessorReady, Input::Joined]);
        assert_eq!(actions, expected);
        assert!(matches!(state, State::Active { .. }));
    }
    let (state, _) = run_from(State::resuming(Phase::Active), [Input::NoSuccessor, stored(Some(saved()))]);
    assert!(error_of(&state).starts_with("The service was restarted while recording."));
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
        killed_at(30),
        stored(Some(saved())),
    ]);
    assert_eq!(state, complete());
}

#[test]
fn a_full_disk_stops_the_recording_properly_and_is_told() {
    for inputs in [
        vec![Input::Joined, Input::DiskExhausted, ended_well(EndReason::Stopped)],
        vec![Input::Joined, killed_at(5), Input::DiskExhausted],
        vec![Input::Joined, Input::NoProgress, Input::DiskExhausted, killed_at(11)],
    ] {
        let (state, _) = run(inputs.into_iter().chain([stored(Some(saved()))]));
        assert_eq!(
            error_of(&state),
            "The recorder's disk had no more room. The file holds what was recorded until then."
        );
    }
}

#[test]
fn a_file_that_cannot_be_stored_fails_the_recording() {
    let (state, actions) =
        run([Input::Joined, ended_well(EndReason::Stopped), Input::UploadFailed(Left::All)]);
    assert!(!actions.contains(&Action::DeleteSpool));
    assert_eq!(
        error_of(&state),
        "The recording could not be stored; the recorder has kept it on its own disk."
    );
}

#[test]
fn what_the_store_lost_after_it_was_gone_from_the_spool_is_said() {
    let (state, actions) =
        run([Input::Joined, ended_well(EndReason::Stopped), Input::UploadFailed(Left::Rest)]);
    assert!(!actions.contains(&Action::DeleteSpool));
    assert_eq!(
        error_of(&state),
        "The recording could not be stored: the store has lost parts of it that had been removed from the recorder's \
         disk. The recorder has kept the rest."
    );
}

#[test]
fn a_damaged_spool_fails_a_recording_that_ended_well_and_is_kept() {
    let (state, actions) = run([
        Input::Joined,
        ended_well(EndReason::Stopped),
        Input::Uploaded(Some(saved()), Condition::Damaged),
    ]);
    assert!(error_of(&state).starts_with("A part of the recording was damaged"));
    assert!(!actions.contains(&Action::DeleteSpool));
}
