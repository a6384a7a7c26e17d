//! The least values of the recent past: the packet with the least delay shows a clock's error best.

use std::collections::VecDeque;

use crate::media::MediaTime;

/// How long the fastest packet counts. Long enough to contain one that met no queue, short enough to follow a
/// clock that runs 200 ppm slow (2 ms in this time).
const WINDOW_SECONDS: i64 = 10;
/// How long a report counts: libwebrtc sends them every 5 s for sound, and the SFU repeats them.
const REPORT_WINDOW_NANOS: i64 = 30_000_000_000;
/// More reports than any sender sends in that time.
const REPORTS_KEPT: usize = 60;
/// An older report must be better by this much for each second of its age (100 ppm). Otherwise a slow sound
/// card would be noticed only half a minute later.
const AGEING_DIVISOR: i64 = 10_000;
/// libwebrtc stamps audio reports when it sends them, up to 40 ms late. No machine sets its clock by less
/// than this (ntpd's least step is 128 ms). A larger difference means that the reports belong to different
/// clocks, or that a busy machine stamped one too late.
const REPORT_JUMP_NANOS: i64 = 100_000_000;
/// Reports must agree on another clock for this long to be believed: the SFU repeats each of a publisher's
/// reports for some 10 s. Meanwhile the old reports hold. That is right either way, as RTP time does not
/// depend on the wall clock.
const DOUBT_NANOS: i64 = 15_000_000_000;

/// The least (arrival - RTP) of the last [`WINDOW_SECONDS`], in buckets of one second.
#[derive(Default)]
pub struct Arrivals {
    buckets: VecDeque<(i64, i64)>,
}

impl Arrivals {
    pub fn push(&mut self, now: MediaTime, value: i64) {
        let second = second(now);
        match self.buckets.back_mut() {
            Some((s, least)) if *s >= second => *least = value.min(*least),
            Some(_) | None => self.buckets.push_back((second, value)),
        }
        while self.buckets.front().is_some_and(|(s, _)| *s <= second - WINDOW_SECONDS) {
            self.buckets.pop_front();
        }
    }

    pub fn least(&self) -> Option<i64> {
        self.buckets.iter().map(|(_, least)| *least).min()
    }

    /// Returns whether anything arrived within the window.
    pub fn is_fresh(&self, now: MediaTime) -> bool {
        self.buckets.back().is_some_and(|(s, _)| *s > second(now) - WINDOW_SECONDS)
    }

    pub fn clear(&mut self) {
        self.buckets.clear();
    }
}

fn second(time: MediaTime) -> i64 {
    time.nanos().div_euclid(1_000_000_000)
}

/// How a report compares with the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reported {
    AsBefore,
    /// It contradicts the ones before it, but may be a single wrong one.
    Doubted,
    /// The wall clock or the RTP clock was set.
    Jumped,
}

/// (NTP - RTP) of the last reports. They are stamped late or right, never early, so the least is the right
/// one.
#[derive(Default)]
pub struct Reports {
    /// NTP and (NTP - RTP), newest last.
    kept: VecDeque<(i64, i64)>,
    /// The reports that contradict `kept` and agree with one another, as in `kept`.
    doubted: VecDeque<(i64, i64)>,
}

impl Reports {
    pub fn push(&mut self, ntp: i64, offset: i64) -> Reported {
        if agrees(&self.kept, offset) {
            self.doubted.clear();
            self.keep(ntp, offset);
            return Reported::AsBefore;
        }
        // The least is right: a first report that was stamped late must not be believed for long.
        if self.kept.back().is_some_and(|(_, last)| offset < *last) && span(&self.kept, ntp) < DOUBT_NANOS {
            self.clear();
            self.keep(ntp, offset);
            return Reported::Jumped;
        }
        if !agrees(&self.doubted, offset) || self.doubted.len() == REPORTS_KEPT {
            self.doubted.clear();
        }
        self.doubted.push_back((ntp, offset));
        if span(&self.doubted, ntp) < DOUBT_NANOS {
            return Reported::Doubted;
        }
        self.kept = std::mem::take(&mut self.doubted);
        Reported::Jumped
    }

    fn keep(&mut self, ntp: i64, offset: i64) {
        while self.kept.front().is_some_and(|(at, _)| ntp.saturating_sub(*at) > REPORT_WINDOW_NANOS)
            || self.kept.len() == REPORTS_KEPT
        {
            self.kept.pop_front();
        }
        self.kept.push_back((ntp, offset));
    }

    pub fn least(&self) -> Option<i64> {
        let newest = self.kept.back()?.0;
        let aged =
            |(at, offset): &(i64, i64)| offset.saturating_add(newest.saturating_sub(*at) / AGEING_DIVISOR);
        self.kept.iter().map(aged).min()
    }

    pub fn clear(&mut self) {
        self.kept.clear();
        self.doubted.clear();
    }
}

/// Returns how long before `ntp` the first of `reports` was made.
fn span(reports: &VecDeque<(i64, i64)>, ntp: i64) -> i64 {
    reports.front().map_or(0, |(first, _)| ntp.saturating_sub(*first))
}

/// Returns whether a report belongs to the same clocks as the last of `reports`, or `true` if there is none.
fn agrees(reports: &VecDeque<(i64, i64)>, offset: i64) -> bool {
    let last = reports.back();
    last.is_none_or(|(_, last)| last.saturating_sub(offset).saturating_abs() <= REPORT_JUMP_NANOS)
}
