//! How LiveKit's updates change the roster, one sentence a test.

use super::*;

fn participant(identity: &str, joined_at_ms: i64, tracks: &[(&str, TrackType, bool)]) -> ParticipantInfo {
    let track = |&(sid, kind, muted): &(&str, TrackType, bool)| TrackInfo {
        sid: sid.into(),
        r#type: kind as i32,
        muted,
        ..Default::default()
    };
    ParticipantInfo {
        sid: format!("PA_{identity}"),
        identity: identity.into(),
        joined_at_ms,
        state: participant_info::State::Active as i32,
        tracks: tracks.iter().map(track).collect(),
        ..Default::default()
    }
}

fn sid(s: &str) -> TrackSid {
    TrackSid(s.into())
}

#[test]
fn a_track_is_published_once() {
    let mut roster = Roster::default();
    let alice = participant("alice", 5, &[("TR_a", TrackType::Video, false)]);
    let changes = roster.update(std::slice::from_ref(&alice));
    let [Change::Joined(joined), Change::Published(track)] = &changes[..] else {
        panic!("first the participant, then the track: {changes:?}");
    };
    assert_eq!((joined.identity.as_str(), track.publisher.as_str()), ("alice", "alice"));
    assert_eq!(roster.identity_of("PA_alice"), Some("alice"));
    assert_eq!(roster.update(&[alice]), []);
}

#[test]
fn mute_and_unmute_are_changes() {
    let mut roster = Roster::default();
    roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, false)])]);
    let muted = roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, true)])]);
    assert_eq!(muted, [Change::Muted(sid("TR_a"), true)]);
    let unmuted = roster.update(&[participant("alice", 5, &[("TR_a", TrackType::Video, false)])]);
    assert_eq!(unmuted, [Change::Muted(sid("TR_a"), false)]);
}

#[test]
fn tracks_end_with_their_participant_or_alone() {
    let mut roster = Roster::default();
    let both = [("TR_a", TrackType::Video, false), ("TR_b", TrackType::Audio, false)];
    roster.update(&[participant("alice", 5, &both)]);
    assert_eq!(roster.update(&[participant("alice", 5, &both[1..])]), [Change::Unpublished(sid("TR_a"))]);
    let mut left = participant("alice", 5, &both[1..]);
    left.state = participant_info::State::Disconnected as i32;
    let gone = [Change::Unpublished(sid("TR_b")), Change::Left("alice".into())];
    assert_eq!(roster.update(std::slice::from_ref(&left)), gone);
    assert_eq!(roster.update(&[left]), [], "who has left cannot leave");
    assert_eq!(roster.participants(), 0);
}

#[test]
fn tiles_are_ordered_by_joining_then_by_publishing() {
    let mut roster = Roster::default();
    let changes = roster.update(&[
        participant("late", 2000, &[("TR_3", TrackType::Video, false)]),
        participant("early", 1000, &[("TR_1", TrackType::Video, false), ("TR_2", TrackType::Video, false)]),
    ]);
    let mut tracks: Vec<_> = changes
        .iter()
        .filter_map(|c| match c {
            Change::Published(t) => Some(t),
            Change::Joined(_) | Change::Left(_) | Change::Muted(..) | Change::Unpublished(_) => None,
        })
        .collect();
    tracks.sort_by_key(|t| t.order);
    let sids: Vec<_> = tracks.iter().map(|t| t.sid.as_str()).collect();
    assert_eq!(sids, ["TR_1", "TR_2", "TR_3"]);
}

#[test]
fn who_was_there_is_told_in_the_order_of_joining() {
    let changes =
        Roster::default().update(&[participant("late", 2000, &[]), participant("early", 1000, &[])]);
    let joined: Vec<_> = changes
        .iter()
        .map(|change| match change {
            Change::Joined(participant) => participant.identity.as_str(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(joined, ["early", "late"]);
}

fn published(changes: &[Change]) -> Vec<(&str, u64)> {
    let published = changes.iter().filter_map(|c| match c {
        Change::Published(t) => Some((t.sid.as_str(), t.order)),
        Change::Joined(_) | Change::Left(_) | Change::Muted(..) | Change::Unpublished(_) => None,
    });
    published.collect()
}

/// Returns the roster after Alice published a camera and a microphone, the connection was lost, and the room
/// was joined again.
fn rejoined(infos: &[ParticipantInfo]) -> (Roster, u64, Vec<Change>) {
    let mut roster = Roster::default();
    let tracks = [("TR_v", TrackType::Video, false), ("TR_a", TrackType::Audio, false)];
    let changes = roster.update(&[participant("alice", 1000, &tracks)]);
    let order = published(&changes)[0].1;
    let changes = roster.rejoined(infos);
    (roster, order, changes)
}

#[test]
fn a_session_that_ended_long_ago_does_not_end_the_present_one() {
    let mut roster = Roster::default();
    roster.update(&[participant("alice", 5, &[])]);
    let mut old = participant("alice", 1, &[]);
    old.sid = "PA_before".into();
    old.state = participant_info::State::Disconnected as i32;
    assert_eq!(roster.update(&[old]), []);
    assert_eq!(roster.participants(), 1);
}

#[test]
fn what_is_the_same_after_a_rejoin_is_not_told_again() {
    let tracks = [("TR_v", TrackType::Video, false), ("TR_a", TrackType::Audio, true)];
    let (mut roster, _, changes) = rejoined(&[participant("alice", 1000, &tracks)]);
    assert_eq!(changes, [Change::Muted(sid("TR_a"), true)]);
    assert!(!roster.has_absent());
    assert_eq!(roster.give_up_absent(), []);
}

#[test]
fn who_is_missing_after_a_rejoin_counts_as_there_until_he_is_given_up() {
    let (mut roster, _, changes) = rejoined(&[]);
    assert_eq!((changes, roster.participants(), roster.has_absent()), (vec![], 1, true));
    let gone =
        [Change::Unpublished(sid("TR_v")), Change::Unpublished(sid("TR_a")), Change::Left("alice".into())];
    assert_eq!(roster.give_up_absent(), gone);
    assert_eq!((roster.participants(), roster.has_absent()), (0, false));
}

#[test]
fn a_new_picture_replaces_the_old_one_when_it_is_there_and_new_sound_at_once() {
    let (mut roster, order, _) = rejoined(&[]);
    let tracks = [("TR_v2", TrackType::Video, false), ("TR_a2", TrackType::Audio, false)];
    let changes = roster.update(&[participant("alice", 9000, &tracks)]);
    assert_eq!(published(&changes)[0], ("TR_v2", order), "the tile stays where it was");
    assert!(!changes.contains(&Change::Unpublished(sid("TR_v"))), "{changes:?}");
    assert_eq!(changes[2], Change::Unpublished(sid("TR_a")));
    assert!(!changes.iter().any(|c| matches!(c, Change::Joined(_))), "he had never left: {changes:?}");

    assert_eq!(roster.succeeded(&sid("TR_v2")), Some(sid("TR_v")));
    assert_eq!(roster.succeeded(&sid("TR_v2")), None);
    assert!(!roster.has_absent());
}

#[test]
fn a_track_that_comes_back_muted_takes_the_old_picture_away() {
    let (mut roster, _, _) = rejoined(&[]);
    let changes = roster.update(&[participant("alice", 9000, &[("TR_v2", TrackType::Video, true)])]);
    assert_eq!(changes[1], Change::Unpublished(sid("TR_v")));
}

#[test]
fn a_successor_without_a_picture_does_not_keep_the_old_one_for_ever() {
    let (mut roster, _, _) = rejoined(&[]);
    roster.update(&[participant("alice", 9000, &[("TR_v2", TrackType::Video, false)])]);
    let gone = roster.give_up_absent();
    assert_eq!(gone, [Change::Unpublished(sid("TR_v")), Change::Unpublished(sid("TR_a"))]);
    assert_eq!(roster.participants(), 1, "he is there");
}

#[test]
fn who_leaves_while_he_is_waited_for_has_left() {
    let (mut roster, _, _) = rejoined(&[participant("alice", 1000, &[])]);
    let mut left = participant("alice", 1000, &[]);
    left.state = participant_info::State::Disconnected as i32;
    let gone = roster.update(&[left]);
    assert_eq!(gone.last(), Some(&Change::Left("alice".into())));
    assert_eq!(gone.len(), 3);
    assert!(!roster.has_absent());
}

#[test]
fn a_join_time_may_be_any_number_of_seconds() {
    let mut roster = Roster::default();
    for (name, joined_at) in [("a", i64::MAX), ("b", i64::MIN), ("c", 1)] {
        let info = ParticipantInfo { joined_at, ..participant(name, 0, &[("TR", TrackType::Video, false)]) };
        assert!(matches!(roster.update(&[info])[..], [Change::Joined(_), Change::Published(_)]));
    }
}
