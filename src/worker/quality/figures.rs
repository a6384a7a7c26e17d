//! The figures of one track, added up over everything that counted them. Pure.

use super::{millis, since_start};
use crate::compose::{VideoFigures, VoiceCounters};
use crate::media::Size;
use crate::report::{LayerReport, TrackReport};
use crate::room::ReceiveFigures;
use crate::worker::feed::Counters;

/// The picture sizes of a track that came back again and again.
const LAYERS_MAX: usize = 32;

/// What sources that have ended counted, and what the present ones have counted so far.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// What an earlier worker reported.
    carried: TrackReport,
    received: Of<ReceiveFigures>,
    fed: Of<Counters>,
    seen: Of<VideoFigures>,
    heard: Of<VoiceCounters>,
}

/// Figures of one kind.
#[derive(Clone, Debug, Default)]
struct Of<T> {
    past: T,
    present: T,
}

/// Whether a source may go on counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    GoesOn,
    Ended,
}

impl Figures {
    pub fn carried(report: TrackReport) -> Self {
        Self { carried: report, ..Self::default() }
    }

    pub fn received(&mut self, figures: ReceiveFigures) {
        // The track was negotiated anew without having gone.
        if figures.packets < self.received.present.packets {
            let ended = self.received.present;
            self.received.take(ended, Source::Ended, add_received);
        }
        self.received.present = figures;
    }

    pub fn fed(&mut self, counters: Counters, source: Source) {
        self.fed.take(counters, source, add_fed);
    }

    pub fn seen(&mut self, figures: VideoFigures, source: Source) {
        self.seen.take(figures, source, add_seen);
    }

    pub fn heard(&mut self, counters: VoiceCounters, source: Source) {
        self.heard.take(counters, source, add_heard);
    }

    /// Writes all figures into a report that has the other facts of the track.
    pub fn fill(&self, facts: TrackReport) -> TrackReport {
        let received = self.received.total(add_received);
        let fed = self.fed.total(add_fed);
        let seen = self.seen.total(add_seen);
        let heard = self.heard.total(add_heard);
        let longest = seen.longest_freeze;
        let since = TrackReport {
            layers: seen.sizes.into_iter().map(layer).collect(),
            packets: received.packets,
            packets_lost: received.packets_lost,
            retransmissions_asked: received.nacks,
            keyframes_asked: received.plis,
            frames_received: fed.received,
            frames_decoded: fed.decoded,
            frames_shown: seen.counters.shown,
            frames_lost: received.frames_dropped + fed.skipped,
            decoder_failures: fed.decoder_failures,
            shown_ms: millis(seen.seen),
            frozen_ms: millis(seen.frozen),
            longest_freeze_ms: longest.map_or(0, |freeze| millis(freeze.length)),
            longest_freeze_at_ms: longest.map_or(0, |freeze| since_start(freeze.from)),
            concealed_ms: millis(fed.concealed),
            silences: heard.breaks,
            clock_correction_ms: received.clock_correction_nanos as f64 / 1e6,
            clock_steps: received.clock_steps,
            ..facts
        };
        add(&self.carried, since)
    }
}

impl<T: Clone + Default> Of<T> {
    fn take(&mut self, figures: T, source: Source, add: fn(T, T) -> T) {
        match source {
            Source::GoesOn => self.present = figures,
            Source::Ended => {
                self.past = add(std::mem::take(&mut self.past), figures);
                self.present = T::default();
            }
        }
    }

    fn total(&self, add: fn(T, T) -> T) -> T {
        add(self.past.clone(), self.present.clone())
    }
}

fn layer((size, frames): (Size, u64)) -> LayerReport {
    LayerReport { width: size.width, height: size.height, frames }
}

// Sums are written out field by field: a field that is added to the type must be decided upon here.

fn add_received(a: ReceiveFigures, b: ReceiveFigures) -> ReceiveFigures {
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

fn add_fed(a: Counters, b: Counters) -> Counters {
    Counters {
        received: a.received + b.received,
        decoded: a.decoded + b.decoded,
        skipped: a.skipped + b.skipped,
        decoder_failures: a.decoder_failures + b.decoder_failures,
        concealed: a.concealed + b.concealed,
    }
}

fn add_seen(mut a: VideoFigures, b: VideoFigures) -> VideoFigures {
    for (size, pictures) in b.sizes {
        if let Some((_, sum)) = a.sizes.iter_mut().find(|(known, _)| *known == size) {
            *sum += pictures;
        } else if a.sizes.len() < LAYERS_MAX {
            a.sizes.push((size, pictures));
        }
    }
    VideoFigures {
        counters: a.counters.and(b.counters),
        seen: a.seen + b.seen,
        frozen: a.frozen + b.frozen,
        // The first of two that are equally long.
        longest_freeze: b.longest_freeze.into_iter().chain(a.longest_freeze).max_by_key(|f| f.length),
        sizes: a.sizes,
    }
}

fn add_heard(a: VoiceCounters, b: VoiceCounters) -> VoiceCounters {
    VoiceCounters { late: a.late + b.late, too_early: a.too_early + b.too_early, breaks: a.breaks + b.breaks }
}

/// Adds the figures of an earlier report to those of a track.
fn add(earlier: &TrackReport, track: TrackReport) -> TrackReport {
    let earlier_freeze = (earlier.longest_freeze_ms, earlier.longest_freeze_at_ms);
    let freeze = (track.longest_freeze_ms, track.longest_freeze_at_ms);
    let (longest_freeze_ms, longest_freeze_at_ms) =
        if freeze.0 > earlier_freeze.0 { freeze } else { earlier_freeze };
    TrackReport {
        layers: layers(earlier.layers.clone(), &track.layers),
        packets: earlier.packets + track.packets,
        packets_lost: earlier.packets_lost + track.packets_lost,
        retransmissions_asked: earlier.retransmissions_asked + track.retransmissions_asked,
        keyframes_asked: earlier.keyframes_asked + track.keyframes_asked,
        frames_received: earlier.frames_received + track.frames_received,
        frames_decoded: earlier.frames_decoded + track.frames_decoded,
        frames_shown: earlier.frames_shown + track.frames_shown,
        frames_lost: earlier.frames_lost + track.frames_lost,
        decoder_failures: earlier.decoder_failures + track.decoder_failures,
        shown_ms: earlier.shown_ms + track.shown_ms,
        frozen_ms: earlier.frozen_ms + track.frozen_ms,
        longest_freeze_ms,
        longest_freeze_at_ms,
        concealed_ms: earlier.concealed_ms + track.concealed_ms,
        silences: earlier.silences + track.silences,
        clock_correction_ms: earlier.clock_correction_ms + track.clock_correction_ms,
        clock_steps: earlier.clock_steps + track.clock_steps,
        ..track
    }
}

fn layers(mut sum: Vec<LayerReport>, more: &[LayerReport]) -> Vec<LayerReport> {
    for layer in more {
        let size = (layer.width, layer.height);
        if let Some(known) = sum.iter_mut().find(|known| (known.width, known.height) == size) {
            known.frames += layer.frames;
        } else if sum.len() < LAYERS_MAX {
            sum.push(*layer);
        }
    }
    sum
}
