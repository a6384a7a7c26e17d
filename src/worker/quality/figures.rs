//! The figures of one track, added up over everything that counted them. Pure.

use super::super::feed::Counters;
use crate::compose::{VideoCounters, VoiceCounters};
use crate::report::TrackReport;
use crate::room::ReceiveFigures;

/// What sources that have ended counted, and what the present ones have counted so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    past: Totals,
    present: Totals,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    received: ReceiveFigures,
    fed: Counters,
    seen: VideoCounters,
    heard: VoiceCounters,
}

impl Figures {
    /// Every source begins anew: the track has come back.
    pub fn begin_anew(&mut self) {
        self.past = self.total();
        self.present = Totals::default();
    }

    pub fn received(&mut self, figures: ReceiveFigures) {
        // The track was negotiated anew without having gone.
        if figures.packets < self.present.received.packets {
            self.past.received = sum_received(self.past.received, self.present.received);
        }
        self.present.received = figures;
    }

    pub fn fed(&mut self, counters: Counters) {
        self.present.fed = counters;
    }

    pub fn seen(&mut self, counters: VideoCounters) {
        self.present.seen = counters;
    }

    pub fn heard(&mut self, counters: VoiceCounters) {
        self.present.heard = counters;
    }

    pub fn total(&self) -> Totals {
        let Self { past, present } = *self;
        Totals {
            received: sum_received(past.received, present.received),
            fed: sum_fed(past.fed, present.fed),
            seen: sum_seen(past.seen, present.seen),
            heard: sum_heard(past.heard, present.heard),
        }
    }
}

impl Totals {
    pub fn fill(self, facts: TrackReport) -> TrackReport {
        let Self { received, fed, seen, heard } = self;
        TrackReport {
            packets: received.packets,
            packets_lost: received.packets_lost,
            retransmissions_asked: received.nacks,
            keyframes_asked: received.plis,
            frames_received: fed.received,
            frames_decoded: fed.decoded,
            frames_shown: seen.shown,
            frames_lost: received.frames_dropped + fed.skipped,
            decoder_failures: fed.decoder_failures,
            silences: heard.breaks,
            clock_correction_ms: received.clock_correction_nanos as f64 / 1e6,
            clock_steps: received.clock_steps,
            ..facts
        }
    }
}

// Sums are written out field by field: a field that is added to the type must be decided upon here.

fn sum_received(a: ReceiveFigures, b: ReceiveFigures) -> ReceiveFigures {
    ReceiveFigures {
        packets: a.packets + b.packets,
        bytes: a.bytes + b.bytes,
        packets_lost: a.packets_lost + b.packets_lost,
        nacks: a.nacks + b.nacks,
        plis: a.plis + b.plis,
        frames_dropped: a.frames_dropped + b.frames_dropped,
        clock_correction_nanos: a.clock_correction_nanos + b.clock_correction_nanos,
        clock_steps: a.clock_steps + b.clock_steps,
    }
}

fn sum_fed(a: Counters, b: Counters) -> Counters {
    Counters {
        received: a.received + b.received,
        decoded: a.decoded + b.decoded,
        skipped: a.skipped + b.skipped,
        decoder_failures: a.decoder_failures + b.decoder_failures,
    }
}

fn sum_seen(a: VideoCounters, b: VideoCounters) -> VideoCounters {
    VideoCounters {
        shown: a.shown + b.shown,
        skipped: a.skipped + b.skipped,
        hidden: a.hidden + b.hidden,
        unusable: a.unusable + b.unusable,
    }
}

fn sum_heard(a: VoiceCounters, b: VoiceCounters) -> VoiceCounters {
    VoiceCounters { late: a.late + b.late, too_early: a.too_early + b.too_early, breaks: a.breaks + b.breaks }
}
