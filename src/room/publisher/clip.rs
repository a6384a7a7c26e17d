//! What a test participant sends (encoded frames), and when each frame of the endless loop is due. Pure: the
//! time is an argument, and `demo::clips` encodes.
//!
//! Contract: RTP time has no gap and no step where the clip starts again. The frames of two clips of the same
//! length stay together however often they are repeated.

use std::sync::Arc;
use std::time::Duration;

use crate::media::{AUDIO_RATE, Codec, Size, TrackKind};

/// RTP clock of every video payload (RFC 7741 and RFC 6184, section "RTP header usage").
const VIDEO_CLOCK: u32 = 90_000;

/// Encoded frames that are sent again and again.
#[derive(Debug)]
pub struct Clip {
    pub codec: Codec,
    /// The picture size that the server is told; `None` for sound.
    pub size: Option<Size>,
    /// In order of `at`; never empty.
    pub frames: Vec<ClipFrame>,
    /// RTP ticks from the clip's first frame to the first frame of its repetition.
    pub length: u64,
}

/// What a track sends: one clip alone, or the same picture in sizes that double (simulcast), the smallest
/// first. Never empty, never more than [`RIDS`].
#[derive(Clone, Debug)]
pub struct TrackClips(pub Vec<Arc<Clip>>);

/// LiveKit's names of the streams of a simulcast track, the smallest picture first.
pub const RIDS: [&str; 3] = ["q", "h", "f"];

/// One access unit in the form that the RTP packetiser takes: a VP8 frame, an H.264 access unit in Annex B,
/// an Opus packet.
#[derive(Debug)]
pub struct ClipFrame {
    /// RTP ticks since the start of the clip.
    pub at: u64,
    pub data: Arc<[u8]>,
    pub keyframe: bool,
    /// How loud a packet of sound is (RFC 6464). From this the server tells who speaks.
    pub level: Option<AudioLevel>,
}

/// RFC 6464: the level of one packet of sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioLevel {
    /// dB relative to overload, -127 (silence) to 0.
    pub dbov: i8,
    pub voice: bool,
}

/// Repeats a clip forever.
#[derive(Debug)]
pub(super) struct ClipLoop {
    clip: Arc<Clip>,
    /// RTP time of the very first frame; random as RFC 3550, section 5.1 asks for.
    first_rtp_time: u32,
    round: u64,
    next: usize,
}

/// A frame that is due.
pub(super) struct DueFrame<'a> {
    /// When the frame was "captured", counted from the start of the first round.
    pub elapsed: Duration,
    /// Not reduced to 32 bits: the packetiser does that.
    pub rtp_time: u64,
    pub frame: &'a ClipFrame,
}

pub(super) const fn clock_rate(codec: Codec) -> u32 {
    match codec.kind() {
        TrackKind::Video => VIDEO_CLOCK,
        TrackKind::Audio => AUDIO_RATE,
    }
}

impl TrackClips {
    pub fn codec(&self) -> Codec {
        self.0[0].codec
    }

    /// Returns each clip with its stream's name, `None` unless the track is simulcast.
    pub fn streams(&self) -> impl Iterator<Item = (Option<&'static str>, &Arc<Clip>)> {
        let is_simulcast = self.0.len() > 1;
        RIDS.into_iter().map(move |rid| is_simulcast.then_some(rid)).zip(&self.0)
    }
}

impl ClipLoop {
    pub fn new(clip: Arc<Clip>, first_rtp_time: u32) -> Self {
        Self { clip, first_rtp_time, round: 0, next: 0 }
    }

    /// Returns when the next frame is to be sent, counted from the start of the first round.
    pub fn due(&self) -> Duration {
        self.elapsed(self.ticks())
    }

    /// Returns the next frame and advances to the one after it.
    pub fn take(&mut self) -> DueFrame<'_> {
        let ticks = self.ticks();
        let (elapsed, index) = (self.elapsed(ticks), self.next);
        self.next += 1;
        if self.next == self.clip.frames.len() {
            self.next = 0;
            self.round += 1;
        }
        DueFrame {
            elapsed,
            rtp_time: u64::from(self.first_rtp_time) + ticks,
            frame: &self.clip.frames[index],
        }
    }

    fn ticks(&self) -> u64 {
        self.round * self.clip.length + self.clip.frames[self.next].at
    }

    /// Computes in integers, so that no rounding error adds up over the rounds.
    fn elapsed(&self, ticks: u64) -> Duration {
        let rate = u64::from(clock_rate(self.clip.codec));
        let rest = (ticks % rate) * 1_000_000_000 / rate;
        Duration::from_secs(ticks / rate) + Duration::from_nanos(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip(codec: Codec, frames: u64, step: u64) -> Arc<Clip> {
        let frame = |n| ClipFrame { at: n * step, data: Arc::from([]), keyframe: n == 0, level: None };
        Arc::new(Clip { codec, size: None, frames: (0..frames).map(frame).collect(), length: frames * step })
    }

    #[test]
    fn rtp_time_advances_by_one_frame_where_the_clip_starts_over() {
        let mut clip = ClipLoop::new(clip(Codec::Vp8, 30, 3000), 7);
        let times: Vec<u64> = (0..100).map(|_| clip.take().rtp_time).collect();
        assert_eq!(times[0], 7);
        assert!(times.windows(2).all(|w| w[1] - w[0] == 3000));
    }

    #[test]
    fn the_due_time_does_not_drift_over_an_hour_of_repetitions() {
        let mut clip = ClipLoop::new(clip(Codec::H264, 90, 3000), 0);
        for _ in 0..30 * 3600 {
            clip.take();
        }
        assert_eq!(clip.due(), Duration::from_secs(3600));
    }

    #[test]
    fn picture_and_sound_of_equal_length_start_over_together() {
        let mut video = ClipLoop::new(clip(Codec::Vp8, 30, 3000), 1);
        let mut audio = ClipLoop::new(clip(Codec::Opus, 50, 960), u32::MAX);
        for _ in 0..30 * 7 {
            video.take();
        }
        for _ in 0..50 * 7 {
            audio.take();
        }
        assert_eq!(video.due(), Duration::from_secs(7));
        assert_eq!(audio.due(), Duration::from_secs(7));
    }

    #[test]
    fn a_frame_is_due_when_the_one_taken_says_it_was() {
        let mut clip = ClipLoop::new(clip(Codec::Vp8, 30, 3000), 0);
        for _ in 0..65 {
            let due = clip.due();
            assert_eq!(clip.take().elapsed, due);
        }
    }

    #[test]
    fn rtp_time_does_not_wrap_before_the_packetiser_cuts_it() {
        let mut clip = ClipLoop::new(clip(Codec::Opus, 50, 960), u32::MAX);
        clip.take();
        assert_eq!(clip.take().rtp_time, u64::from(u32::MAX) + 960);
    }
}
