//! Puts every track's RTP time stamps onto the recording's one timeline. Pure: arrival times and
//! sender reports come in as arguments. docs/time.md tells the whole story with its numbers.
//!
//! The SFU forwards each publisher's own NTP clock in the sender reports (RFC 3550, section 6.4.1), so
//! the tracks of one publisher are aligned with one another exactly, and each publisher is aligned with
//! the recorder by its fastest packets: the least (arrival - NTP) of its tracks is what its clock is off
//! by plus the least network delay. Only differences count, so a clock may be set minutes wrong. Until a
//! track's first report has come (1 to 9 s), it is placed by its own fastest arrivals, less what the same
//! publisher's tracks of that kind were found to take longer.
//!
//! Contract: for one track, a later RTP time never gets an earlier place. Corrections are slewed so
//! slowly that they are not seen or heard; `clock` lists when they are not.

mod clock;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::clock::TrackClock;
use self::window::Reported;
use crate::ids::TrackSid;
use crate::media::{MediaTime, TrackKind};

/// Publishers without tracks that are remembered. They may come again in a moment, from the same machine
/// over the same path; 1000 are 100 kB.
const IDLE_PUBLISHERS: usize = 1000;

/// The clock part of an RTCP sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport {
    /// The publisher's wall clock, in nanoseconds since 1970.
    pub ntp_nanos: i64,
    /// The RTP time stamp of the same moment.
    pub rtp: u32,
}

/// How far a track was moved against its first placing: its clock's error as far as it was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFigures {
    pub correction_nanos: i64,
    /// How often it was moved at once and not little by little.
    pub steps: u64,
}

/// All clocks of a room.
#[derive(Default)]
pub struct Timeline {
    /// Whose a track is.
    owners: HashMap<TrackSid, String>,
    publishers: HashMap<String, Publisher>,
}

/// One participant's wall clock, and the tracks that are stamped with it.
#[derive(Default)]
struct Publisher {
    tracks: Vec<(TrackSid, TrackClock)>,
    /// Counts how often the wall clock was set: reports from before and after do not agree.
    setting: u64,
    /// What a track of each kind took longer than the publisher's fastest one, when that was known last.
    audio_lag: i64,
    video_lag: i64,
}

impl Timeline {
    /// A track of `publisher` (its participant identity). One that is there already keeps its clock and
    /// gets the publisher: the offer may come before it is known whose its tracks are.
    pub fn add(&mut self, sid: TrackSid, publisher: String, kind: TrackKind) {
        let known = self.take(&sid);
        self.forget_idle_publishers();
        let owner = self.publishers.entry(publisher.clone()).or_default();
        owner.tracks.push((sid.clone(), known.unwrap_or_else(|| TrackClock::new(kind))));
        self.owners.insert(sid, publisher);
    }

    /// To be called too when a track goes on with other RTP times, as after joining anew.
    pub fn remove(&mut self, sid: &TrackSid) {
        self.take(sid);
    }

    pub fn sender_report(&mut self, sid: &TrackSid, report: SenderReport) {
        let Some(publisher) = self.publisher(sid) else { return };
        let setting = publisher.setting;
        let Some(track) = publisher.track(sid) else { return };
        match track.sender_report(report) {
            // Another track has told already that the wall clock was set.
            Reported::Jumped if track.setting < setting => track.setting = setting,
            Reported::Jumped => {
                track.setting = setting + 1;
                publisher.setting = setting + 1;
                publisher.tracks.iter_mut().for_each(|(_, track)| track.compare_anew());
            }
            Reported::AsBefore => track.setting = setting,
            Reported::Doubted => {}
        }
    }

    /// The place of a frame whose (unwrapped) RTP time is `rtp` and whose first packet came at
    /// `arrival`. `None` for an unknown track.
    pub fn place(&mut self, sid: &TrackSid, rtp: u64, arrival: MediaTime) -> Option<MediaTime> {
        self.publisher(sid)?.place(sid, rtp, arrival)
    }

    /// `None` for an unknown track.
    pub fn figures(&self, sid: &TrackSid) -> Option<ClockFigures> {
        let publisher = self.publishers.get(self.owners.get(sid)?)?;
        publisher.tracks.iter().find(|(s, _)| s == sid).map(|(_, track)| track.figures())
    }

    fn publisher(&mut self, sid: &TrackSid) -> Option<&mut Publisher> {
        self.publishers.get_mut(self.owners.get(sid)?)
    }

    fn take(&mut self, sid: &TrackSid) -> Option<TrackClock> {
        let publisher = self.publishers.get_mut(&self.owners.remove(sid)?)?;
        let index = publisher.tracks.iter().position(|(s, _)| s == sid)?;
        Some(publisher.tracks.swap_remove(index).1)
    }

    fn forget_idle_publishers(&mut self) {
        let idle = self.publishers.values().filter(|p| p.tracks.is_empty()).count();
        if idle > IDLE_PUBLISHERS {
            self.publishers.retain(|_, publisher| !publisher.tracks.is_empty());
        }
    }
}

impl Publisher {
    fn track(&mut self, sid: &TrackSid) -> Option<&mut TrackClock> {
        self.tracks.iter_mut().find(|(s, _)| s == sid).map(|(_, track)| track)
    }

    fn place(&mut self, sid: &TrackSid, rtp: u64, arrival: MediaTime) -> Option<MediaTime> {
        let track = self.track(sid)?;
        track.arrived(rtp, arrival);
        let (kind, setting) = (track.kind(), track.setting);
        let (by_arrival, by_report) = (track.by_arrival(), track.by_report());
        // What the wall clock is off by, and the least network delay: as each track says that has lately
        // been heard and speaks of the same setting of that clock.
        let offsets = self.tracks.iter().filter_map(|(_, t)| t.wall_clock_offset(setting, arrival));
        let (least, aligned) = offsets.fold((i64::MAX, 0), |(least, n), offset| (least.min(offset), n + 1));
        let target = match by_report {
            Some(by_report) if aligned > 1 => {
                let target = least.saturating_add(by_report);
                *self.lag(kind) = by_arrival.saturating_sub(target);
                target
            }
            Some(_) | None => by_arrival.saturating_sub(*self.lag(kind)),
        };
        self.track(sid).map(|track| track.settle(target, aligned))
    }

    fn lag(&mut self, kind: TrackKind) -> &mut i64 {
        match kind {
            TrackKind::Audio => &mut self.audio_lag,
            TrackKind::Video => &mut self.video_lag,
        }
    }
}
