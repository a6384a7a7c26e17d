//! Who speaks, from LiveKit's speaker updates. Pure: an update in, the present list out.
//!
//! LiveKit sends changes only, and names participants by the sid of their session; the rest of egressd knows
//! them by identity.

use std::collections::HashMap;

use livekit_protocol::SpeakerInfo;

use super::roster::Roster;
use crate::media::Speaker;

#[derive(Default)]
pub struct Speakers {
    /// By participant sid; silent participants are left out.
    levels: HashMap<String, f32>,
}

impl Speakers {
    /// Applies an update. A participant whom it does not name speaks as before.
    pub fn update(&mut self, infos: &[SpeakerInfo]) {
        for info in infos {
            if info.active {
                self.levels.insert(info.sid.clone(), info.level);
            } else {
                self.levels.remove(&info.sid);
            }
        }
    }

    /// Returns the speakers, loudest first. Those who are not in the room (any more) are left out.
    pub fn list(&self, roster: &Roster) -> Vec<Speaker> {
        let known = self.levels.iter().filter_map(|(sid, level)| {
            Some(Speaker { identity: roster.identity_of(sid)?.to_owned(), level: *level })
        });
        let mut list: Vec<Speaker> = known.collect();
        list.sort_by(|a, b| b.level.total_cmp(&a.level).then_with(|| a.identity.cmp(&b.identity)));
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use livekit_protocol::{ParticipantInfo, participant_info::State};

    fn roster(identities: &[&str]) -> Roster {
        let infos = identities.iter().map(|identity| ParticipantInfo {
            sid: format!("PA_{identity}"),
            identity: (*identity).into(),
            state: State::Active as i32,
            ..Default::default()
        });
        let mut roster = Roster::default();
        roster.update(&infos.collect::<Vec<_>>());
        roster
    }

    fn info(identity: &str, level: f32) -> SpeakerInfo {
        SpeakerInfo { sid: format!("PA_{identity}"), level, active: level > 0.0 }
    }

    fn names(speakers: &Speakers, roster: &Roster) -> Vec<String> {
        speakers.list(roster).into_iter().map(|s| s.identity).collect()
    }

    #[test]
    fn the_loudest_is_first_and_an_update_leaves_the_others_as_they_were() {
        let (mut speakers, roster) = (Speakers::default(), roster(&["ann", "ben"]));
        speakers.update(&[info("ann", 0.2), info("ben", 0.1)]);
        assert_eq!(names(&speakers, &roster), ["ann", "ben"]);
        speakers.update(&[info("ben", 0.5)]);
        assert_eq!(names(&speakers, &roster), ["ben", "ann"]);
        speakers.update(&[info("ben", 0.0)]);
        assert_eq!(names(&speakers, &roster), ["ann"]);
    }

    #[test]
    fn somebody_who_is_not_in_the_room_does_not_speak() {
        let mut speakers = Speakers::default();
        speakers.update(&[info("ann", 0.2), info("ghost", 0.9)]);
        assert_eq!(names(&speakers, &roster(&["ann"])), ["ann"]);
    }
}
