//! Adds the voices up, tick by tick. Owns which voices there are; where each one lies on the sample
//! grid is [`super::voice`]'s, what happens above full scale is [`super::limiter`]'s.

use crate::ids::TrackSid;
use crate::media::Sound;

use super::limiter::{LOOK_AHEAD, Limiter, Sum};
use super::voice::{Voice, VoiceCounters};

#[derive(Default)]
pub(super) struct Mixer {
    /// Grid position of the next frame.
    position: i64,
    members: Vec<Member>,
    limiter: Limiter,
    /// Both are kept to be used again.
    sum: Vec<Sum>,
    mixed: Vec<i16>,
}

struct Member {
    sid: TrackSid,
    voice: Voice,
    stay: Stay,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stay {
    Published,
    /// Says what it has still to say, and goes.
    Leaving,
}

impl Mixer {
    /// A mixer whose first frame is the one at this position of the grid.
    pub(super) fn at(position: i64) -> Self {
        Self { position, ..Self::default() }
    }

    /// A second voice of the same track is not added.
    pub(super) fn add(&mut self, sid: TrackSid) {
        if self.published(&sid).is_none() {
            self.members.push(Member { sid, voice: Voice::new(self.position), stay: Stay::Published });
        }
    }

    /// What the voice has said up to now will still be heard.
    pub(super) fn remove(&mut self, sid: &TrackSid) {
        if let Some(member) = self.published(sid) {
            member.stay = Stay::Leaving;
        }
    }

    /// Sound of a track that is not published (any more) is not heard.
    pub(super) fn push(&mut self, sid: &TrackSid, sound: &Sound) {
        if let Some(member) = self.published(sid) {
            member.voice.push(sound);
        }
    }

    pub(super) fn counters(&self, sid: &TrackSid) -> Option<VoiceCounters> {
        let mut members = self.members.iter().rev();
        members.find(|m| m.sid == *sid).map(|m| m.voice.counters())
    }

    /// The next `frames` frames of all voices together, interleaved.
    pub(super) fn mix(&mut self, frames: usize) -> &[i16] {
        self.sum.clear();
        self.sum.resize(frames + LOOK_AHEAD, [0; 2]);
        for Member { voice, .. } in &mut self.members {
            voice.prepare(frames);
            voice.add_to(&mut self.sum);
            voice.advance(frames);
        }
        self.members.retain(|m| m.stay == Stay::Published || !m.voice.is_silent());
        self.position += frames as i64;
        self.mixed.clear();
        self.limiter.limit(&self.sum, &mut self.mixed);
        &self.mixed
    }

    fn published(&mut self, sid: &TrackSid) -> Option<&mut Member> {
        self.members.iter_mut().find(|m| m.stay == Stay::Published && m.sid == *sid)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::sid;
    use super::*;
    use crate::media::MediaTime;

    const TICK: usize = 1600;

    fn level(value: i16, frames: usize) -> Sound {
        Sound { time: MediaTime::ZERO, samples: vec![value; frames * 2] }
    }

    #[test]
    fn without_voices_there_is_silence_of_the_right_length() {
        assert_eq!(Mixer::default().mix(TICK), [0; 2 * TICK]);
    }

    #[test]
    fn voices_are_added_at_unity_gain() {
        let mut mixer = Mixer::default();
        for (name, value) in [("a", 1000), ("b", -300), ("c", 7)] {
            mixer.add(sid(name));
            mixer.push(&sid(name), &level(value, 4800));
        }
        let mixed = mixer.mix(TICK);
        assert_eq!(mixed.len(), 2 * TICK);
        assert!(mixed[480..].iter().all(|&value| value == 707));
    }

    #[test]
    fn many_loud_voices_are_turned_down_together_and_do_not_wrap() {
        let mut mixer = Mixer::default();
        for voice in 0..25 {
            let name = voice.to_string();
            mixer.add(sid(&name));
            mixer.push(&sid(&name), &level(i16::MAX, 4800));
        }
        mixer.mix(TICK);
        assert!(mixer.mix(TICK).iter().all(|&value| value >= 32_766));
    }

    #[test]
    fn a_voice_that_joins_late_lies_where_the_others_are() {
        let mut mixer = Mixer::default();
        mixer.add(sid("a"));
        mixer.push(&sid("a"), &level(100, 4800));
        mixer.mix(TICK);
        mixer.add(sid("b"));
        mixer.push(&sid("b"), &level(10, 4800));
        assert!(mixer.mix(TICK)[480..].iter().all(|&value| value == 110));
    }

    #[test]
    fn a_voice_that_leaves_is_heard_to_its_end_and_then_forgotten() {
        let mut mixer = Mixer::default();
        mixer.add(sid("a"));
        mixer.push(&sid("a"), &level(100, 2400));
        mixer.remove(&sid("a"));
        mixer.push(&sid("a"), &level(9, 9600));
        assert_eq!(mixer.mix(TICK)[2 * TICK - 1], 100);
        assert_eq!(mixer.mix(TICK)[2 * 799], 100);
        mixer.mix(TICK);
        assert_eq!(mixer.counters(&sid("a")), None);
    }

    #[test]
    fn a_track_that_comes_again_is_another_voice() {
        let mut mixer = Mixer::default();
        mixer.add(sid("a"));
        mixer.push(&sid("a"), &level(100, 2400));
        mixer.remove(&sid("a"));
        mixer.add(sid("a"));
        mixer.add(sid("a"));
        mixer.push(&sid("a"), &level(10, 2400));
        assert_eq!(mixer.mix(TICK)[2 * TICK - 1], 110);
    }
}
