//! The specification of [`Reconnect`], one sentence a test.

use super::*;

const GIVE_UP: Duration = Duration::from_secs(60);

/// A session whose media path is up, and its clock.
struct Case {
    reconnect: Reconnect,
    start: Instant,
}

impl Case {
    fn connected() -> Self {
        let start = Instant::now();
        let mut reconnect = Reconnect::new(GIVE_UP, start);
        assert_eq!(reconnect.step(Media::Up, start), None);
        Self { reconnect, start }
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn up(&mut self, millis: u64) -> Option<Step> {
        let now = self.at(millis);
        self.reconnect.step(Media::Up, now)
    }

    fn silent(&mut self, since: u64, millis: u64) -> Option<Step> {
        let (since, now) = (self.at(since), self.at(millis));
        self.reconnect.step(Media::SilentSince(since), now)
    }

    fn fail(&mut self, failure: Failure, millis: u64) {
        let now = self.at(millis);
        self.reconnect.failed(failure, now, 1.0);
    }
}

const RESUME: Step = Step::Try(Recovery::Resume(ResumeReason::SignallingLost));
const RESUME_MEDIA: Step = Step::Try(Recovery::Resume(ResumeReason::MediaSilent));
const REJOIN: Step = Step::Try(Recovery::Rejoin);

#[test]
fn lost_signalling_is_resumed_at_once_and_is_no_interruption_while_media_comes() {
    let mut case = Case::connected();
    case.reconnect.signalling_lost(case.at(1000));
    assert_eq!(case.up(1000), Some(RESUME));
    assert_eq!(case.up(1001), None);
    case.reconnect.resumed(case.at(1050));
    assert_eq!(case.up(1050), None);
    assert!(matches!(case.reconnect.link, Link::Up { .. }));
}

#[test]
fn a_silent_media_path_is_interrupted_since_its_last_datagram_and_is_resumed() {
    let mut case = Case::connected();
    assert_eq!(case.silent(1000, 4000), Some(Step::Interrupted(case.at(1000))));
    assert_eq!(case.silent(1000, 4000), Some(RESUME_MEDIA));
    case.reconnect.resumed(case.at(4100));
    assert_eq!(case.silent(1000, 4500), None);
    assert_eq!(case.up(5000), Some(Step::Restored));
    assert_eq!(case.up(5000), None);
}

#[test]
fn a_path_that_comes_back_by_itself_is_restored_whatever_is_being_tried() {
    let mut case = Case::connected();
    case.silent(1000, 4000);
    assert_eq!(case.silent(1000, 4000), Some(RESUME_MEDIA));
    assert_eq!(case.up(4010), Some(Step::Restored));
    case.reconnect.resumed(case.at(4020));
    assert_eq!(case.up(4020), None);
}

#[test]
fn a_resume_that_brings_no_media_path_is_followed_by_a_rejoin() {
    let mut case = Case::connected();
    case.silent(1000, 4000);
    case.silent(1000, 4000);
    case.reconnect.resumed(case.at(4100));
    assert_eq!(case.silent(1000, 10_099), None);
    assert_eq!(case.silent(1000, 10_100), None, "not without a pause");
    assert_eq!(case.silent(1000, 10_400), Some(REJOIN));
}

#[test]
fn a_refused_resume_is_followed_by_a_rejoin_at_once() {
    let mut case = Case::connected();
    case.reconnect.signalling_lost(case.at(1000));
    assert_eq!(case.up(1000), Some(RESUME));
    case.fail(Failure::Refused, 1010);
    assert_eq!(case.up(1010), Some(REJOIN));
    // The server was gone, but too briefly for the silence to be noticed.
    assert_eq!(case.reconnect.rejoined(case.at(20), case.at(1100)), Some(Step::Interrupted(case.at(20))));
    assert_eq!(case.silent(1100, 1200), None);
    assert_eq!(case.up(1500), Some(Step::Restored));
}

#[test]
fn the_pauses_between_attempts_grow_and_are_bounded() {
    let pauses: Vec<u128> = (1..=8).map(|failures| pause(failures, 1.0).as_millis()).collect();
    assert_eq!(pauses, [250, 500, 1000, 2000, 4000, 4000, 4000, 4000]);
    assert_eq!(pause(3, 0.0).as_millis(), 500);
}

#[test]
fn an_unreachable_server_is_asked_for_a_resume_first_and_for_a_new_session_later() {
    let mut case = Case::connected();
    case.reconnect.signalling_lost(case.at(0));
    let (mut now, mut recoveries) = (0, Vec::new());
    while now < 30_000 {
        if let Some(Step::Try(recovery)) = case.silent(0, now) {
            recoveries.push((now, recovery));
            case.fail(Failure::Unreachable, now);
        }
        now += 10;
    }
    let rejoins = recoveries
        .iter()
        .position(|(_, recovery)| *recovery == Recovery::Rejoin)
        .expect("a rejoin was tried");
    assert!((12_000..20_000).contains(&recoveries[rejoins].0), "{recoveries:?}");
    assert!(
        recoveries[rejoins..].iter().all(|(_, recovery)| *recovery == Recovery::Rejoin),
        "{recoveries:?}"
    );
}

#[test]
fn an_outage_that_lasts_too_long_is_given_up() {
    let mut case = Case::connected();
    assert_eq!(case.silent(1000, 4000), Some(Step::Interrupted(case.at(1000))));
    assert_eq!(case.silent(1000, 4000), Some(RESUME_MEDIA));
    case.fail(Failure::Unreachable, 4500);
    assert_eq!(case.reconnect.deadline(), Some(case.at(4750)));
    assert_eq!(case.silent(1000, 61_000), Some(Step::GiveUp));
}

#[test]
fn nothing_is_given_up_while_media_comes() {
    let mut case = Case::connected();
    case.reconnect.signalling_lost(case.at(0));
    for now in (0..300_000).step_by(100) {
        match case.up(now) {
            Some(Step::Try(_)) => case.fail(Failure::Unreachable, now),
            step => assert_eq!(step, None),
        }
    }
}

#[test]
fn a_first_media_path_that_does_not_come_is_an_interruption_from_the_start() {
    let start = Instant::now();
    let mut case = Case { reconnect: Reconnect::new(GIVE_UP, start), start };
    assert_eq!(case.silent(0, 14_999), None);
    assert_eq!(case.silent(0, 15_000), Some(Step::Interrupted(start)));
    assert_eq!(case.silent(0, 15_250), Some(REJOIN));
}

#[test]
fn signalling_that_breaks_again_at_once_is_resumed_less_and_less_often() {
    let mut case = Case::connected();
    let mut attempts = 0;
    for now in (0..10_000).step_by(10) {
        case.reconnect.signalling_lost(case.at(now));
        while let Some(step) = case.up(now) {
            assert_eq!(step, RESUME);
            attempts += 1;
            case.reconnect.resumed(case.at(now));
        }
    }
    assert!((4..10).contains(&attempts), "{attempts} attempts in 10 s");
}

#[test]
fn a_lost_session_is_not_resumed() {
    let mut case = Case::connected();
    case.reconnect.session_lost(case.at(10));
    // The server closes signalling after such a message.
    case.reconnect.signalling_lost(case.at(10));
    assert_eq!(case.up(10), Some(REJOIN));
}

#[test]
fn trouble_during_an_attempt_does_not_begin_another() {
    let mut case = Case::connected();
    case.reconnect.signalling_lost(case.at(10));
    assert_eq!(case.up(10), Some(RESUME));
    case.reconnect.signalling_lost(case.at(20));
    case.reconnect.session_lost(case.at(20));
    assert_eq!(case.up(20), None);
}

#[test]
fn a_closed_room_and_a_removal_are_ends_and_the_servers_own_trouble_is_none() {
    use DisconnectReason as Reason;
    for action in [Action::Disconnect, Action::Resume, Action::Reconnect] {
        assert_eq!(after_leave(Reason::RoomDeleted, action), AfterLeave::End(RoomEnd::Closed));
        assert_eq!(after_leave(Reason::RoomClosed, action), AfterLeave::End(RoomEnd::Closed));
        for reason in [Reason::ParticipantRemoved, Reason::DuplicateIdentity] {
            let AfterLeave::End(RoomEnd::Lost(why)) = after_leave(reason, action) else {
                panic!("{reason:?} is an end");
            };
            assert!(why.contains(reason.as_str_name()), "{why}");
        }
    }
    assert_eq!(after_leave(Reason::ServerShutdown, Action::Disconnect), AfterLeave::Rejoin);
    assert_eq!(after_leave(Reason::Migration, Action::Reconnect), AfterLeave::Rejoin);
    assert_eq!(after_leave(Reason::UnknownReason, Action::Resume), AfterLeave::Resume);
}
