//! Adds the voices up, tick by tick. Owns the list of voices. [`super::voice`] places each voice on the
//! sample grid, and [`super::limiter`] handles sums above full scale.

use crate::ids::TrackSid;
use crate::media::Sound;

use super::limiter::{LOOK_AHEAD, Limiter, Sum};
use super::voice::{Voice, VoiceCounters};

#[derive(Default)]
pub(in super::super) struct Mixer {
    /// Grid position of the next frame.
    position: i64,
    voices: Vec<MixedVoice>,
    limiter: Limiter,
    /// These two buffers are kept for reuse.
    sum: Vec<Sum>,
    mixed: Vec<i16>,
}

struct MixedVoice {
    sid: TrackSid,
    voice: Voice,
    state: VoiceState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum VoiceState {
    Published,
    /// The voice is removed when its pending sound has been mixed.
    Leaving,
}

impl Mixer {
    /// Returns a mixer whose first frame is the one at this position of the grid.
    pub(in super::super) fn at(position: i64) -> Self {
        Self { position, ..Self::default() }
    }

    /// Adds a voice. A second voice of the same track is ignored.
    pub(in super::super) fn add(&mut self, sid: TrackSid) {
        if self.published(&sid).is_none() {
            self.voices.push(MixedVoice {
                sid,
                voice: Voice::new(self.position),
                state: VoiceState::Published,
            });
        }
    }

    /// Removes a voice. Its sound up to now is still mixed.
    pub(in super::super) fn remove(&mut self, sid: &TrackSid) {
        if let Some(mixed) = self.published(sid) {
            mixed.state = VoiceState::Leaving;
        }
    }

    /// Takes the next sound of a track. Ignored if the track is not published (any more).
    pub(in super::super) fn push(&mut self, sid: &TrackSid, sound: &Sound) {
        if let Some(mixed) = self.published(sid) {
            mixed.voice.push(sound);
        }
    }

    pub(in super::super) fn counters(&self, sid: &TrackSid) -> Option<VoiceCounters> {
        let mut voices = self.voices.iter().rev();
        voices.find(|m| m.sid == *sid).map(|m| m.voice.counters())
    }

    /// Returns the next `frames` frames of all voices together, interleaved.
    pub(in super::super) fn mix(&mut self, frames: usize) -> &[i16] {
        self.sum.clear();
        self.sum.resize(frames + LOOK_AHEAD, [0; 2]);
        for MixedVoice { voice, .. } in &mut self.voices {
            voice.prepare(frames);
            voice.add_to(&mut self.sum);
            voice.advance(frames);
        }
        self.voices.retain(|m| m.state == VoiceState::Published || !m.voice.is_silent());
        self.position += frames as i64;
        self.mixed.clear();
        self.limiter.limit(&self.sum, &mut self.mixed);
        &self.mixed
    }

    fn published(&mut self, sid: &TrackSid) -> Option<&mut MixedVoice> {
        self.voices.iter_mut().find(|m| m.state == VoiceState::Published && m.sid == *sid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compose::fakes::sid;
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
