//! A track whose media is received: which of its frames a decoder may get, and what the network did to it.
//! Pure: time is an argument.

use std::time::Instant;

use super::keyframes::{GateDecision, KeyframeGate};
use super::received::{IngressCounts, ReceivedFrame};
use super::timeline::ClockFigures;
use crate::media::TrackKind;
use crate::room::ReceiveFigures;

#[derive(Default)]
pub struct Track {
    gate: KeyframeGate,
    figures: ReceiveFigures,
    /// The figures that were sent last.
    sent: ReceiveFigures,
    /// The last RTP sequence number (unwrapped) that became part of a frame.
    last_sequence: Option<u64>,
    /// The figures from before the last renegotiation.
    before: ReceiveFigures,
}

impl Track {
    /// Decides on a frame. Sound always passes: each of its packets can be decoded alone.
    pub fn receive(&mut self, frame: &ReceivedFrame, now: Instant) -> GateDecision {
        let goes_on = self.goes_on_with(frame);
        self.count_lost(frame);
        let decision = match frame.codec.kind() {
            TrackKind::Video => self.gate.frame(frame.keyframe, goes_on, now),
            TrackKind::Audio => GateDecision::Pass,
        };
        self.figures.frames_dropped += u64::from(decision != GateDecision::Pass);
        decision
    }

    /// Notes that the decoder needs a keyframe; returns whether to ask for it now.
    pub fn keyframe_wanted(&mut self, now: Instant) -> bool {
        self.gate.wanted(now)
    }

    /// Notes whether the track is shown.
    pub fn set_shown(&mut self, shown: bool) {
        match shown {
            true if self.gate.is_closed() => self.gate.restart(),
            true => {}
            false => self.gate.close(),
        }
    }

    /// Called when the track was silent on purpose: a decoder must start with the next keyframe.
    pub fn restart(&mut self) {
        self.gate.restart();
    }

    /// Called when the track comes from a new session: its packets are numbered and counted from the start
    /// again.
    pub fn renegotiate(&mut self) {
        if !self.gate.is_closed() {
            self.gate.restart();
        }
        self.last_sequence = None;
        self.before = self.figures;
    }

    pub fn counted(&mut self, counts: IngressCounts) {
        let IngressCounts { packets, bytes, nacks, plis } = counts;
        self.figures.packets = self.before.packets + packets;
        self.figures.bytes = self.before.bytes + bytes;
        self.figures.nacks = self.before.nacks + nacks;
        self.figures.plis = self.before.plis + plis;
    }

    pub fn clocked(&mut self, clock: ClockFigures) {
        let ClockFigures { correction_nanos, steps } = clock;
        self.figures.clock_correction_nanos = self.before.clock_correction_nanos + correction_nanos;
        self.figures.clock_steps = self.before.clock_steps + steps;
    }

    /// Returns the figures if they have changed since the last call.
    pub fn new_figures(&mut self) -> Option<ReceiveFigures> {
        let changed = self.figures != self.sent;
        self.sent = self.figures;
        changed.then_some(self.figures)
    }

    /// Returns whether a decoder can continue with this frame. str0m looks at VP9's picture numbers, so it
    /// takes a picture whose lower spatial layers were lost for a whole one. But some pictures never had
    /// those layers (`L3T3_KEY`); they follow the last frame without a gap.
    fn goes_on_with(&self, frame: &ReceivedFrame) -> bool {
        let adjacent = self.last_sequence.is_none_or(|last| frame.sequence.0 == last + 1);
        frame.contiguous && (frame.lowest_layer == 0 || adjacent)
    }

    /// Counts lost packets. A gap of padding packets only is no loss: the frame after it is contiguous.
    fn count_lost(&mut self, frame: &ReceivedFrame) {
        let (first, last) = frame.sequence;
        if let Some(before) = self.last_sequence
            && !frame.contiguous
        {
            self.figures.packets_lost += first.saturating_sub(before + 1);
        }
        self.last_sequence = Some(self.last_sequence.map_or(last, |before| before.max(last)));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::media::{Codec, Rotation};

    fn frame(codec: Codec, sequence: (u64, u64), contiguous: bool) -> ReceivedFrame {
        ReceivedFrame {
            codec,
            rtp: 0,
            sequence,
            arrival: Instant::now(),
            data: Bytes::new(),
            keyframe: false,
            contiguous,
            lowest_layer: 0,
            rotation: Rotation::Upright,
        }
    }

    #[test]
    fn packets_between_two_frames_that_do_not_follow_one_another_are_lost() {
        let (mut track, now) = (Track::default(), Instant::now());
        track.receive(&frame(Codec::Opus, (10, 10), true), now);
        track.receive(&frame(Codec::Opus, (14, 14), false), now);
        assert_eq!(track.new_figures().map(|f| f.packets_lost), Some(3));
        // Padding that the SFU put between two frames is no loss.
        track.receive(&frame(Codec::Opus, (17, 17), true), now);
        assert_eq!(track.new_figures(), None);
    }

    #[test]
    fn frames_that_wait_for_a_keyframe_are_counted() {
        let (mut track, now) = (Track::default(), Instant::now());
        assert_eq!(track.receive(&frame(Codec::Vp8, (1, 3), true), now), GateDecision::DropAndRequest);
        assert_eq!(track.receive(&frame(Codec::Vp8, (4, 5), true), now), GateDecision::Drop);
        assert_eq!(track.new_figures().map(|f| (f.frames_dropped, f.packets_lost)), Some((2, 0)));
    }

    #[test]
    fn a_picture_that_lost_its_lower_layers_waits_for_a_keyframe() {
        let (mut track, now) = (Track::default(), Instant::now());
        let picture =
            |sequence, lowest_layer| ReceivedFrame { lowest_layer, ..frame(Codec::Vp9, sequence, true) };
        track.receive(&ReceivedFrame { keyframe: true, ..picture((1, 9), 0) }, now);
        assert_eq!(
            track.receive(&picture((10, 12), 2), now),
            GateDecision::Pass,
            "it never had lower layers"
        );
        assert_eq!(
            track.receive(&picture((15, 17), 0), now),
            GateDecision::Pass,
            "there was padding before it"
        );
        assert_eq!(track.receive(&picture((20, 22), 1), now), GateDecision::DropAndRequest);
        assert_eq!(track.receive(&picture((23, 25), 0), now), GateDecision::Drop);
    }

    #[test]
    fn a_track_that_is_negotiated_anew_is_counted_on() {
        let (mut track, now) = (Track::default(), Instant::now());
        track.counted(IngressCounts { packets: 5, bytes: 500, nacks: 1, plis: 1 });
        track.receive(&frame(Codec::Opus, (10, 10), true), now);
        track.renegotiate();
        track.receive(&frame(Codec::Opus, (9000, 9000), false), now);
        track.counted(IngressCounts { packets: 2, bytes: 200, nacks: 0, plis: 1 });
        let figures = track.new_figures().expect("they are new");
        assert_eq!((figures.packets, figures.bytes, figures.nacks, figures.plis), (7, 700, 1, 2));
        assert_eq!(figures.packets_lost, 0, "the numbers of two sessions are not comparable");
    }

    #[test]
    fn figures_are_told_once() {
        let mut track = Track::default();
        track.counted(IngressCounts { packets: 5, bytes: 500, nacks: 1, plis: 1 });
        assert_eq!(track.new_figures().map(|f| f.bytes), Some(500));
        assert_eq!(track.new_figures(), None);
    }
}
