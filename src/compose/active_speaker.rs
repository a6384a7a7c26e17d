//! Who has the stage: the active speaker, with changes slow enough that it does not flicker. Pure; knows
//! identities and times, nothing of tiles.
//!
//! LiveKit says who is loud, every few hundred milliseconds. A short noise (a cough, a "yes") gives nobody
//! the stage:
//!
//! - The first participant who speaks gets it at once. Before that it has a stand-in, the first in order of
//!   joining.
//! - It goes to another participant when its holder is silent and the other has spoken for
//!   [`TAKEOVER_AFTER`], or when the other has been louder than the speaking holder for [`LOUDER_FOR`]. It
//!   never goes before the holder had it for [`HELD_AT_LEAST`].
//! - If the holder has no tile any more, it goes at once to the loudest speaker who has one, else to the one
//!   who spoke last.
//!
//! Nobody watches live: a tick is made about a second after its time. So a speaker update counts
//! [`LOOK_AHEAD`] earlier than it came. In the recording the stage changes when a participant begins to
//! speak, not when that has become certain.

use std::collections::VecDeque;
use std::time::Duration;

use crate::media::{MediaTime, Speaker};

/// Longer than a cough or a word of approval.
const TAKEOVER_AFTER: Duration = Duration::from_millis(800);
/// While two speak at once, the holder is kept for longer.
const LOUDER_FOR: Duration = Duration::from_millis(2000);
/// Nobody can follow a stage that changes faster.
const HELD_AT_LEAST: Duration = Duration::from_millis(2000);
/// A participant who pauses for less is still speaking: a breath between two sentences.
const PAUSE_MAX: Duration = Duration::from_millis(500);
/// Less than the delay with which ticks are made (0.9 s), so that every update up to then is known at the
/// tick.
const LOOK_AHEAD: Duration = Duration::from_millis(800);
/// LiveKit sends some changes a second at most, and ticks are some seconds behind at most.
const HEARD_MAX: usize = 128;
/// A participant who spoke before so many others is not missed.
const RECENT_MAX: usize = 64;

#[derive(Debug, Default)]
pub(super) struct ActiveSpeaker {
    /// The speaker updates that are not due yet: when each counts, and the speakers, loudest first.
    heard: VecDeque<(MediaTime, Vec<String>)>,
    /// The speakers, loudest first, then those who pause.
    voices: Vec<Voice>,
    /// The participants who have spoken, the latest first.
    recent: Vec<String>,
    holder: Option<Holder>,
}

#[derive(Debug)]
struct Voice {
    identity: String,
    since: MediaTime,
    pauses_since: Option<MediaTime>,
    /// Since when the participant is louder than the speaking holder, without a break.
    louder_since: Option<MediaTime>,
}

#[derive(Debug)]
struct Holder {
    identity: String,
    since: MediaTime,
    claim: Claim,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// The stage must not be empty.
    StandsIn,
    Speaks,
}

impl ActiveSpeaker {
    /// Takes note of who speaks from `at` on, loudest first.
    pub(super) fn hear(&mut self, speakers: &[Speaker], at: MediaTime) {
        let loudest_first = speakers.iter().map(|speaker| speaker.identity.clone()).collect();
        if self.heard.len() == HEARD_MAX
            && let Some((at, speakers)) = self.heard.pop_front()
        {
            self.listen(speakers, at);
        }
        self.heard.push_back((at - LOOK_AHEAD, loudest_first));
    }

    /// Advances to the tick at `now`. `candidates` have tiles, in the order of joining.
    pub(super) fn advance(&mut self, now: MediaTime, candidates: &[&str]) {
        while let Some((at, speakers)) = self.heard.pop_front_if(|(at, _)| *at <= now) {
            self.listen(speakers, at);
        }
        self.voices.retain(|voice| voice.speaks(now));
        let next = self.successor(now, candidates).map(|(identity, claim)| (identity.to_owned(), claim));
        if let Some((identity, claim)) = next {
            self.voices.iter_mut().for_each(|voice| voice.louder_since = None);
            self.holder = Some(Holder { identity, since: now, claim });
        }
    }

    /// Returns the candidate who would have the stage if there were no others.
    pub(super) fn choose<'a>(&self, candidates: &[&'a str]) -> Option<&'a str> {
        let find = |identity: &str| candidates.iter().find(|c| **c == identity).copied();
        let holder = self.holder.as_ref().and_then(|holder| find(&holder.identity));
        holder.or_else(|| self.stand_in(candidates).map(|(identity, _)| identity))
    }

    /// Returns the loudest candidate by the latest update, due or not: that candidate may get the stage soon.
    pub(super) fn loudest<'a>(&self, candidates: &[&'a str]) -> Option<&'a str> {
        let find = |identity: &String| candidates.iter().find(|c| *c == identity).copied();
        match self.heard.back() {
            Some((_, speakers)) => speakers.iter().find_map(find),
            None => self.voices.iter().map(|voice| &voice.identity).find_map(find),
        }
    }

    fn listen(&mut self, speakers: Vec<String>, at: MediaTime) {
        for identity in speakers.iter().rev() {
            self.recent.retain(|known| known != identity);
            self.recent.insert(0, identity.clone());
        }
        self.recent.truncate(RECENT_MAX);
        let mut before = std::mem::take(&mut self.voices);
        for identity in speakers {
            let known = before.extract_if(.., |voice| voice.identity == identity).next();
            let speaking = known.filter(|voice| voice.speaks(at));
            self.voices.push(match speaking {
                Some(voice) => Voice { pauses_since: None, ..voice },
                None => Voice { identity, since: at, pauses_since: None, louder_since: None },
            });
        }
        for mut voice in before {
            voice.pauses_since.get_or_insert(at);
            self.voices.push(voice);
        }
        self.compare_with_holder(at);
    }

    fn compare_with_holder(&mut self, at: MediaTime) {
        let holder = self.holder.as_ref().map(|holder| &holder.identity);
        let place = self.voices.iter().position(|voice| Some(&voice.identity) == holder);
        for (index, voice) in self.voices.iter_mut().enumerate() {
            voice.louder_since = match place {
                Some(place) if index < place => Some(voice.louder_since.unwrap_or(at)),
                Some(_) | None => None,
            };
        }
    }

    /// Returns who takes the stage at `now`; `None` if it does not change.
    fn successor<'a>(&self, now: MediaTime, candidates: &[&'a str]) -> Option<(&'a str, Claim)> {
        let Some(holder) = self.holder.as_ref().filter(|h| candidates.contains(&h.identity.as_str())) else {
            return self.stand_in(candidates);
        };
        match holder.claim {
            Claim::StandsIn => self.voice_of(candidates, |_| true).map(|identity| (identity, Claim::Speaks)),
            Claim::Speaks if now < holder.since + HELD_AT_LEAST => None,
            Claim::Speaks => {
                let holder_speaks = self.voices.iter().any(|voice| voice.identity == holder.identity);
                let claims = |voice: &Voice| match holder_speaks {
                    true => voice.louder_since.is_some_and(|since| since + LOUDER_FOR <= now),
                    false => voice.since + TAKEOVER_AFTER <= now,
                };
                self.voice_of(candidates, claims).map(|identity| (identity, Claim::Speaks))
            }
        }
    }

    /// Returns who gets the stage when nobody has it.
    fn stand_in<'a>(&self, candidates: &[&'a str]) -> Option<(&'a str, Claim)> {
        let find = |identity: &String| candidates.iter().find(|c| *c == identity).copied();
        let speaking = self.voice_of(candidates, |_| true).map(|identity| (identity, Claim::Speaks));
        speaking.or_else(|| {
            let spoke_last = self.recent.iter().find_map(find);
            let stand_in = spoke_last.or_else(|| candidates.first().copied());
            stand_in.map(|identity| (identity, Claim::StandsIn))
        })
    }

    /// Returns the loudest candidate for whom `claims` returns `true`.
    fn voice_of<'a>(&self, candidates: &[&'a str], claims: impl Fn(&Voice) -> bool) -> Option<&'a str> {
        let mut voices = self.voices.iter().filter(|voice| claims(voice));
        voices.find_map(|voice| candidates.iter().find(|c| **c == voice.identity).copied())
    }
}

impl Voice {
    fn speaks(&self, now: MediaTime) -> bool {
        self.pauses_since.is_none_or(|since| now < since + PAUSE_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [&str; 3] = ["ann", "ben", "cem"];

    /// Who speaks, at milliseconds of the recording.
    type Heard<'a> = &'a [(i64, &'a [&'a str])];

    /// Returns who has the stage after each change, with the millisecond (of a tick) of the change.
    fn stage(heard: Heard<'_>, until: i64) -> Vec<(i64, String)> {
        let mut speaker = ActiveSpeaker::default();
        for (at, speakers) in heard {
            hear(&mut speaker, speakers, *at);
        }
        let mut changes: Vec<(i64, String)> = Vec::new();
        for tick in (0..until).step_by(100) {
            speaker.advance(MediaTime::from_millis(tick), &ALL);
            let holder = speaker.choose(&ALL).unwrap();
            if changes.last().is_none_or(|(_, last)| last != holder) {
                changes.push((tick, holder.to_owned()));
            }
        }
        changes
    }

    fn hear(speaker: &mut ActiveSpeaker, speakers: &[&str], at: i64) {
        let speakers: Vec<_> =
            speakers.iter().map(|name| Speaker { identity: (*name).into(), level: 0.5 }).collect();
        speaker.hear(&speakers, MediaTime::from_millis(at));
    }

    fn changes(expected: &[(i64, &str)]) -> Vec<(i64, String)> {
        expected.iter().map(|(at, name)| (*at, (*name).to_owned())).collect()
    }

    #[test]
    fn before_anybody_spoke_the_first_to_join_stands_in() {
        assert_eq!(stage(&[], 5000), changes(&[(0, "ann")]));
    }

    #[test]
    fn the_first_to_speak_gets_the_stage_at_once() {
        assert_eq!(stage(&[(3000, &["cem"])], 5000), changes(&[(0, "ann"), (2200, "cem")]));
    }

    #[test]
    fn who_goes_on_speaking_while_the_holder_is_silent_gets_it_from_his_beginning_on() {
        let heard: Heard<'_> = &[(800, &["ann"]), (6000, &[]), (8000, &["ben"])];
        assert_eq!(stage(heard, 10_000), changes(&[(0, "ann"), (8000, "ben")]));
    }

    #[test]
    fn a_word_in_between_does_not_move_the_stage() {
        let heard: Heard<'_> = &[(800, &["ann"]), (6000, &["ben"]), (6400, &["ann"]), (9000, &[])];
        assert_eq!(stage(heard, 12_000), changes(&[(0, "ann")]));
    }

    #[test]
    fn breaths_between_sentences_are_no_silence() {
        let heard: Heard<'_> = &[
            (800, &["ann"]),
            (6000, &["ben"]),
            (6300, &[]),
            (6700, &["ben"]),
            (7000, &[]),
            (7300, &["ben"]),
        ];
        assert_eq!(stage(heard, 10_000), changes(&[(0, "ann"), (6000, "ben")]));
    }

    #[test]
    fn who_speaks_at_the_same_time_must_be_louder_for_two_seconds() {
        let soft: Heard<'_> = &[(800, &["ann"]), (5000, &["ann", "ben"])];
        assert_eq!(stage(soft, 20_000), changes(&[(0, "ann")]));
        let loud: Heard<'_> = &[(800, &["ann"]), (5800, &["ben", "ann"])];
        assert_eq!(stage(loud, 20_000), changes(&[(0, "ann"), (7000, "ben")]));
        let by_turns: Vec<(i64, &[&str])> = (0..20)
            .map(|n| -> (i64, &[&str]) {
                (800 + n * 1000, if n % 2 == 0 { &["ann", "ben"] } else { &["ben", "ann"] })
            })
            .collect();
        assert_eq!(stage(&by_turns, 20_000), changes(&[(0, "ann")]));
    }

    #[test]
    fn the_stage_never_changes_twice_within_two_seconds() {
        let names = [&ALL[0..1], &ALL[1..2], &ALL[2..3]];
        let heard: Vec<(i64, &[&str])> = (0..40).map(|n| (n * 900, names[n as usize % 3])).collect();
        let times: Vec<i64> = stage(&heard, 40_000).into_iter().map(|(at, _)| at).collect();
        assert!(times.len() > 5, "{times:?}");
        assert!(times[1..].windows(2).all(|pair| pair[1] - pair[0] >= 2000), "{times:?}");
    }

    #[test]
    fn when_the_holder_has_no_tile_any_more_the_next_best_gets_it_at_once() {
        let at = MediaTime::from_millis;
        let mut speaker = ActiveSpeaker::default();
        hear(&mut speaker, &["ben"], 0);
        hear(&mut speaker, &["cem"], 4000);
        hear(&mut speaker, &[], 6000);
        for tick in (0..9000).step_by(100) {
            speaker.advance(at(tick), &ALL);
        }
        assert_eq!(speaker.choose(&ALL), Some("cem"));
        speaker.advance(at(9100), &["ann", "ben"]);
        assert_eq!(speaker.choose(&["ann", "ben"]), Some("ben"), "he spoke before");
        speaker.advance(at(9200), &["ann"]);
        assert_eq!(speaker.choose(&["ann"]), Some("ann"));
        speaker.advance(at(9300), &[]);
        assert_eq!(speaker.choose(&[]), None);
        hear(&mut speaker, &["cem"], 10_000);
        speaker.advance(at(10_000), &ALL);
        assert_eq!(speaker.choose(&ALL), Some("cem"), "a stand-in gives way at once");
    }

    #[test]
    fn the_loudest_is_known_before_the_stage_is_his() {
        let mut speaker = ActiveSpeaker::default();
        hear(&mut speaker, &["ann"], 0);
        speaker.advance(MediaTime::from_millis(0), &ALL);
        hear(&mut speaker, &["nobody with a tile", "ben"], 9000);
        assert_eq!((speaker.choose(&ALL), speaker.loudest(&ALL)), (Some("ann"), Some("ben")));
        speaker.advance(MediaTime::from_millis(8300), &ALL);
        assert_eq!((speaker.choose(&ALL), speaker.loudest(&ALL)), (Some("ann"), Some("ben")));
    }

    #[test]
    fn what_is_heard_does_not_pile_up_while_no_tick_is_made() {
        let mut speaker = ActiveSpeaker::default();
        for at in 0..10_000 {
            hear(&mut speaker, &[&format!("P{at}")], at);
        }
        assert_eq!((speaker.heard.len(), speaker.recent.len()), (HEARD_MAX, RECENT_MAX));
    }
}
