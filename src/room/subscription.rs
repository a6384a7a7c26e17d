//! Which tracks the server is asked for if not all are wanted. Pure: participants in, subscriptions out.
//!
//! Contract: the rest of this folder never learns of a track of an unwanted kind, and the server never sends
//! such a track.

use std::collections::{HashMap, HashSet};

use livekit_protocol::{ParticipantInfo, TrackInfo, TrackType, UpdateSubscription, participant_info};

use super::signalling::AutoSubscribe;
use crate::media::{Streams, TrackKind};

pub struct Subscription {
    streams: Streams,
    /// The tracks that the present session was asked for, by the publishers' identities.
    asked: HashMap<String, HashSet<String>>,
}

impl Subscription {
    pub fn new(streams: Streams) -> Self {
        Self { streams, asked: HashMap::new() }
    }

    /// Returns whether the server is to send every track without being asked.
    pub fn auto(streams: Streams) -> AutoSubscribe {
        match streams {
            Streams::Both => AutoSubscribe::Yes,
            Streams::AudioOnly | Streams::VideoOnly => AutoSubscribe::No,
        }
    }

    /// Removes the tracks that are not wanted.
    pub fn keep_wanted(&self, mut infos: Vec<ParticipantInfo>) -> Vec<ParticipantInfo> {
        for info in &mut infos {
            info.tracks.retain(|track| is_wanted(track, self.streams));
        }
        infos
    }

    /// Returns the subscription that the server must be sent for these participants, who have wanted tracks
    /// only.
    pub fn ask(&mut self, infos: &[ParticipantInfo]) -> Option<UpdateSubscription> {
        if Self::auto(self.streams) == AutoSubscribe::Yes {
            return None;
        }
        let mut track_sids = Vec::new();
        for info in infos {
            if info.state() == participant_info::State::Disconnected {
                self.asked.remove(&info.identity);
                continue;
            }
            let before = self.asked.remove(&info.identity).unwrap_or_default();
            let now: HashSet<String> = info.tracks.iter().map(|track| track.sid.clone()).collect();
            track_sids.extend(now.difference(&before).cloned());
            self.asked.insert(info.identity.clone(), now);
        }
        (!track_sids.is_empty()).then(|| subscribe(track_sids))
    }

    /// Returns all present subscriptions, for a server that may have lost them.
    pub fn state(&self) -> UpdateSubscription {
        subscribe(self.asked.values().flatten().cloned().collect())
    }

    /// Forgets the subscriptions: a new session has none.
    pub fn forget(&mut self) {
        self.asked.clear();
    }
}

fn subscribe(track_sids: Vec<String>) -> UpdateSubscription {
    UpdateSubscription { track_sids, subscribe: true, ..Default::default() }
}

fn is_wanted(track: &TrackInfo, streams: Streams) -> bool {
    match track.r#type() {
        TrackType::Audio => streams.takes(TrackKind::Audio),
        TrackType::Video => streams.takes(TrackKind::Video),
        TrackType::Data => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ann(tracks: &[(&str, TrackType)]) -> Vec<ParticipantInfo> {
        let track = |&(sid, kind): &(&str, TrackType)| TrackInfo {
            sid: sid.into(),
            r#type: kind as i32,
            ..Default::default()
        };
        let tracks = tracks.iter().map(track).collect();
        vec![ParticipantInfo { identity: "ann".into(), tracks, ..Default::default() }]
    }

    fn asked(subscription: &mut Subscription, tracks: &[(&str, TrackType)]) -> Option<Vec<String>> {
        let infos = subscription.keep_wanted(ann(tracks));
        subscription.ask(&infos).map(|asked| asked.track_sids)
    }

    const CAMERA: (&str, TrackType) = ("TR_camera", TrackType::Video);
    const VOICE: (&str, TrackType) = ("TR_voice", TrackType::Audio);

    #[test]
    fn who_wants_everything_asks_for_nothing() {
        let mut all = Subscription::new(Streams::Both);
        assert_eq!(all.keep_wanted(ann(&[CAMERA, VOICE])), ann(&[CAMERA, VOICE]));
        assert_eq!(asked(&mut all, &[CAMERA, VOICE]), None);
    }

    #[test]
    fn of_one_kind_each_track_is_asked_for_once() {
        for (streams, wanted) in [(Streams::AudioOnly, VOICE), (Streams::VideoOnly, CAMERA)] {
            let mut some = Subscription::new(streams);
            assert_eq!(some.keep_wanted(ann(&[CAMERA, VOICE])), ann(&[wanted]));
            assert_eq!(asked(&mut some, &[]), None);
            assert_eq!(asked(&mut some, &[CAMERA, VOICE]), Some(vec![wanted.0.to_owned()]));
            assert_eq!(asked(&mut some, &[CAMERA, VOICE]), None);
            let again = ("TR_again", wanted.1);
            assert_eq!(asked(&mut some, &[again]), Some(vec!["TR_again".to_owned()]));
            assert_eq!(some.state().track_sids, ["TR_again"]);
        }
    }

    #[test]
    fn a_new_session_is_asked_anew_and_nothing_is_kept_of_who_has_left() {
        let mut voices = Subscription::new(Streams::AudioOnly);
        assert!(asked(&mut voices, &[VOICE]).is_some());
        voices.forget();
        assert!(asked(&mut voices, &[VOICE]).is_some());
        let mut gone = ann(&[]);
        gone[0].state = participant_info::State::Disconnected as i32;
        assert_eq!(voices.ask(&gone), None);
        assert!(voices.state().track_sids.is_empty());
    }
}
