//! One track's clock: it compares RTP time with arrival and with the publisher's wall clock, and moves the
//! track from its present place to its right one.
//!
//! Contract: the place moves by at most 0.5 % of the track's own time. It is corrected at once only
//! - in the first second of a track, while every packet may be the fastest so far,
//! - when it is off by more than a quarter of a second: no clock drifts like that,
//! - for pictures, when a further track of the publisher has become comparable: a picture may come 50 ms
//!   earlier once, and nobody sees it.

use std::time::Duration;

use super::window::{Arrivals, Reported, Reports};
use super::{ClockFigures, SenderReport};
use crate::media::{MediaTime, TrackKind};

/// 5 ms a second: a voice that is resampled this little sounds the same.
const SLEW_DIVISOR: i64 = 200;
/// How much a clock may have drifted in a pause without packets: 200 ppm.
const DRIFT_DIVISOR: i64 = 5_000;
/// A larger error means that the clock was set, not that it drifts.
const STEP_NANOS: i64 = 250_000_000;
/// How long a track counts as new.
const SETTLING: Duration = Duration::from_secs(1);
/// A frame this late would miss its tick at any place. If a frame seems so late, the RTP clock has started
/// again.
const USELESS_NANOS: i64 = 5_000_000_000;

pub struct TrackClock {
    kind: TrackKind,
    /// The setting of the publisher's wall clock to which the reports belong.
    pub setting: u64,
    arrivals: Arrivals,
    reports: Reports,
    /// A report that came before the first frame. Its RTP time cannot be unwrapped until then.
    early_report: Option<SenderReport>,
    last: Option<Arrived>,
    placed: Option<Placed>,
    steps: u64,
}

/// The last frame.
#[derive(Clone, Copy)]
struct Arrived {
    rtp: u64,
    rtp_nanos: i64,
    at: MediaTime,
}

/// The place that the last frame got.
#[derive(Clone, Copy)]
struct Placed {
    rtp_nanos: i64,
    /// The offset that was added to `rtp_nanos`.
    offset: i64,
    time: i64,
    /// The offset from which corrections are counted.
    first_offset: i64,
    settled_after: MediaTime,
    /// How many of the publisher's tracks, this one included, could be compared.
    aligned: usize,
}

impl TrackClock {
    pub fn new(kind: TrackKind) -> Self {
        Self {
            kind,
            setting: 0,
            arrivals: Arrivals::default(),
            reports: Reports::default(),
            early_report: None,
            last: None,
            placed: None,
            steps: 0,
        }
    }

    pub const fn kind(&self) -> TrackKind {
        self.kind
    }

    pub fn sender_report(&mut self, report: SenderReport) -> Reported {
        let Some(last) = self.last else {
            self.early_report = Some(report);
            return Reported::AsBefore;
        };
        let ahead = report.rtp.wrapping_sub(last.rtp as u32).cast_signed();
        let Some(rtp) = last.rtp.checked_add_signed(i64::from(ahead)) else { return Reported::AsBefore };
        self.reports.push(report.ntp_nanos, report.ntp_nanos.saturating_sub(self.nanos(rtp)))
    }

    /// Takes the arrival of a frame.
    pub fn arrived(&mut self, rtp: u64, at: MediaTime) {
        let rtp_nanos = self.nanos(rtp);
        let value = at.nanos().saturating_sub(rtp_nanos);
        if self.arrivals.least().is_some_and(|least| value.saturating_sub(least) > USELESS_NANOS) {
            self.arrivals.clear();
            self.reports.clear();
            self.placed = self.placed.map(|p| Placed { settled_after: at + SETTLING, ..p });
        }
        self.arrivals.push(at, value);
        self.last = Some(Arrived { rtp, rtp_nanos, at });
        if let Some(report) = self.early_report.take() {
            self.sender_report(report);
        }
    }

    /// Returns the offset to add to RTP times by the fastest arrival alone.
    pub fn by_arrival(&self) -> i64 {
        self.arrivals.least().unwrap_or(0)
    }

    /// Returns (NTP - RTP), once a report has come.
    pub fn by_report(&self) -> Option<i64> {
        self.reports.least()
    }

    /// Returns the least (arrival - NTP), if it is known for this setting of the wall clock and not outdated.
    pub fn wall_clock_offset(&self, setting: u64, now: MediaTime) -> Option<i64> {
        let known = self.setting == setting && self.arrivals.is_fresh(now);
        known.then_some(self.arrivals.least()?.saturating_sub(self.reports.least()?))
    }

    /// Forgets how many tracks were compared: the comparison may have been wrong.
    pub fn compare_anew(&mut self) {
        if let Some(placed) = &mut self.placed {
            placed.aligned = 0;
        }
    }

    /// Places the frame that has arrived. `target` is the right offset to add to its RTP time.
    pub fn settle(&mut self, target: i64, aligned: usize) -> MediaTime {
        let Some(Arrived { rtp_nanos, at, .. }) = self.last else { return MediaTime::ZERO };
        let Some(placed) = self.placed else {
            let time = rtp_nanos.saturating_add(target);
            let settled_after = at + SETTLING;
            let first =
                Placed { rtp_nanos, offset: target, time, first_offset: target, settled_after, aligned };
            self.placed = Some(first);
            return MediaTime::from_nanos(time);
        };
        let settling = at < placed.settled_after;
        let comparable = aligned > placed.aligned && self.kind == TrackKind::Video;
        let error = target.saturating_sub(placed.offset);
        let slewed = error.clamp(-slew(placed, rtp_nanos), slew(placed, rtp_nanos));
        let at_once = settling || comparable || error.saturating_abs() > STEP_NANOS;
        let offset = if at_once { target } else { placed.offset.saturating_add(slewed) };
        self.steps += u64::from(at_once && !settling && error != slewed);
        // A time that would go back stands still instead.
        let time = rtp_nanos.saturating_add(offset);
        let time = if rtp_nanos > placed.rtp_nanos { time.max(placed.time) } else { time };
        let first_offset = if settling { offset } else { placed.first_offset };
        self.placed = Some(Placed { rtp_nanos, offset, time, first_offset, aligned, ..placed });
        MediaTime::from_nanos(time)
    }

    pub fn figures(&self) -> ClockFigures {
        let moved = |p: Placed| p.offset.saturating_sub(p.first_offset);
        ClockFigures { correction_nanos: self.placed.map_or(0, moved), steps: self.steps }
    }

    fn nanos(&self, rtp: u64) -> i64 {
        let nanos = u128::from(rtp) * 1_000_000_000 / u128::from(rate(self.kind));
        i64::try_from(nanos).unwrap_or(i64::MAX)
    }
}

/// Returns how far the place of a frame may move since the frame before it.
fn slew(placed: Placed, rtp_nanos: i64) -> i64 {
    let since = rtp_nanos.saturating_sub(placed.rtp_nanos).saturating_abs();
    since.min(1_000_000_000) / SLEW_DIVISOR + since / DRIFT_DIVISOR
}

/// Returns the rate of a track's RTP clock in Hz: 90 kHz for every video codec (RFC 3551), 48 kHz for Opus
/// (RFC 7587).
const fn rate(kind: TrackKind) -> u32 {
    match kind {
        TrackKind::Audio => 48_000,
        TrackKind::Video => 90_000,
    }
}
