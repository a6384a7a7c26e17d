//! The state machine while the database cannot be written.

use super::*;

/// Passes in an input whose actions cannot be written.
fn fails(state: State, input: Input) -> State {
    let (_, actions) = step(state.clone(), input.clone());
    assert!(
        matches!(actions[0], Action::PersistStop | Action::PersistEndStatus(_) | Action::End(_)),
        "something is done before it is written: {actions:?}"
    );
    let (state, actions) = step(state, Input::NotWritten(Box::new(input)));
    assert_eq!(actions, []);
    state
}

#[test]
fn a_stop_that_cannot_be_written_down_leaves_the_recording_as_it_was() {
    for before in [vec![], vec![Input::Joined], vec![Input::NoProgress], vec![Input::Joined, killed_at(5)]] {
        let (state, _) = run(before);
        assert_eq!(fails(state.clone(), Input::StopRequested), state);
    }
}

#[test]
fn what_happens_outside_waits_until_it_is_written_and_is_acted_on_then() {
    for input in [Input::RoomClosed, Input::DiskExhausted, Input::ServiceEnds] {
        let state = fails(run([Input::Joined]).0, input.clone());
        assert!(!state.is_live(), "it takes no more commands");
        let (expected, actions) = step(run([Input::Joined]).0, input);
        assert_eq!(actions, [Action::PersistStop, Action::StopWorker]);
        assert_eq!(step(state, Input::RetryWrite), (expected, actions));
    }
}

#[test]
fn what_the_worker_makes_is_taken_while_its_end_waits() {
    let state = fails(run([]).0, Input::RoomClosed);
    let (state, actions) =
        run_from(state, [Input::Joined, Input::FirstMedia, Input::Progress { final_bytes: 7 }]);
    assert_eq!(actions, [Action::NoteActive, Action::NoteMediaStarted, Action::OfferBytes(7)]);
    let (state, actions) = run_from(state, [ended_well(EndReason::Stopped), killed_at(9)]);
    assert_eq!(actions, []);
    let again = || Input::RetryWrite;
    let (state, _) = run_from(state, [again(), again(), again(), stored(Some(saved()))]);
    assert_eq!(state, complete());
}

#[test]
fn a_worker_that_dies_while_an_end_waits_gets_no_successor() {
    let state = fails(run([Input::Joined]).0, Input::RoomClosed);
    let (state, actions) = run_from(state, [killed_at(9), Input::RetryWrite, Input::RetryWrite]);
    assert!(matches!(state, State::Uploading { .. }), "{state:?}");
    assert!(!actions.contains(&Action::PrepareSuccessor));
}

#[test]
fn a_stop_that_is_asked_for_while_an_end_waits_has_that_end_written() {
    let state = fails(run([Input::Joined]).0, ended_well(EndReason::RoomClosed));
    assert_eq!(fails(state.clone(), Input::StopRequested), state);
    let (state, actions) = step(state, Input::StopRequested);
    let end_status = EndStatus::Normal(EndReason::RoomClosed);
    assert_eq!(actions, [Action::PersistEndStatus(end_status.clone()), Action::FinishUpload]);
    assert_eq!(state, State::Uploading { end_status });
}

#[test]
fn an_end_that_cannot_be_written_keeps_its_spool_until_it_is() {
    let uploading = run([Input::Joined, ended_well(EndReason::Idle)]).0;
    let state = fails(uploading, stored(Some(saved())));
    assert_eq!(fails(state.clone(), Input::RetryWrite), state);
    let (state, actions) = run_from(state, [Input::DiskExhausted, Input::RetryWrite]);
    assert_eq!(actions, [Action::End(Outcome::Complete(saved())), Action::DeleteSpool]);
    assert_eq!(state, complete());
}

#[test]
fn what_waits_is_held_once_however_often_it_is_told() {
    let mut state = fails(run([Input::Joined]).0, Input::RoomClosed);
    for _ in 0..100 {
        state = run_from(state, [Input::RoomClosed, Input::DiskExhausted]).0;
    }
    let State::Unwritten { held, .. } = state else { panic!("{state:?}") };
    assert_eq!(held, [Input::RoomClosed, Input::DiskExhausted]);
}
