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
            for (sum, frame) in self.sum.iter_mut().zip(voice.frames()) {
                sum[0] += i32::from(frame[0]);
                sum[1] += i32::from(frame[1]);
            }
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
