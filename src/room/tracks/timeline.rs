//! Places the RTP time stamps of every track on the recording's one timeline. Pure: arrival times and sender
//! reports are arguments. docs/time.md explains it with its numbers.
//!
//! The SFU forwards each publisher's own NTP clock in the sender reports (RFC 3550, section 6.4.1). So the
//! tracks of one publisher are aligned with one another exactly. Each publisher is aligned with the recorder
//! by its fastest packets: the least (arrival - NTP) of its tracks is the error of its clock plus the least
//! network delay. Only differences count, so a clock may be wrong by minutes. Until a track's first report
//! has come (1 to 9 s), it is placed by its own fastest arrivals, less the lag that was measured for the same
//! publisher's tracks of that kind.
//!
//! Contract: for one track, a later RTP time never gets an earlier place. Corrections are slewed so slowly
//! that nobody sees or hears them; `clock` lists the exceptions.

mod clock;
mod window;

#[cfg(test)]
mod tests;

use std::collections::HashMap;

use self::clock::TrackClock;
use self::window::Reported;
use crate::ids::TrackSid;
use crate::media::{MediaTime, TrackKind};

/// How many publishers without tracks are remembered. They may return soon, from the same machine over the
/// same path; 1000 take 100 kB.
const IDLE_PUBLISHERS: usize = 1000;

/// The clock part of an RTCP sender report.
#[derive(Clone, Copy, Debug)]
pub struct SenderReport {
    /// The publisher's wall clock, in nanoseconds since 1970.
    pub ntp_nanos: i64,
    /// The RTP time stamp of the same moment.
    pub rtp: u32,
}

/// How far a track was moved from its first place: its clock's error, as far as it was corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFigures {
    pub correction_nanos: i64,
    /// How often the track was moved at once instead of little by little.
    pub steps: u64,
}

/// All clocks of a room.
#[derive(Default)]
pub struct Timeline {
    /// The publisher of each track.
    owners: HashMap<TrackSid, String>,
    publishers: HashMap<String, Publisher>,
}

/// One participant's wall clock, and the tracks that are stamped with it.
#[derive(Default)]
struct Publisher {
    tracks: Vec<(TrackSid, TrackClock)>,
    /// Counts how often the wall clock was set: reports from before and after do not agree.
    setting: u64,
    /// How much longer a track of each kind took than the publisher's fastest one, when last known.
    audio_lag: i64,
    video_lag: i64,
}

impl Timeline {
    /// Adds a track of `publisher` (its participant identity). A known track keeps its clock and moves to
    /// `publisher`: the offer may come before the publishers of its tracks are known.
    pub fn add(&mut self, sid: TrackSid, publisher: String, kind: TrackKind) {
        let known = self.take(&sid);
        self.forget_idle_publishers();
        let owner = self.publishers.entry(publisher.clone()).or_default();
        owner.tracks.push((sid.clone(), known.unwrap_or_else(|| TrackClock::new(kind))));
        self.owners.insert(sid, publisher);
    }

    /// Removes a track. Called too when a track continues with other RTP times, as after a rejoin.
    pub fn remove(&mut self, sid: &TrackSid) {
        self.take(sid);
    }

    pub fn sender_report(&mut self, sid: &TrackSid, report: SenderReport) {
        let Some(publisher) = self.publisher(sid) else { return };
        let setting = publisher.setting;
        let Some(track) = publisher.track(sid) else { return };
        match track.sender_report(report) {
            // Another track has reported already that the wall clock was set.
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

    /// Returns the place of a frame whose (unwrapped) RTP time is `rtp` and whose first packet came at
    /// `arrival`; `None` for an unknown track.
    pub fn place(&mut self, sid: &TrackSid, rtp: u64, arrival: MediaTime) -> Option<MediaTime> {
        self.publisher(sid)?.place(sid, rtp, arrival)
    }

    /// Returns `None` for an unknown track.
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
        // The wall clock's error plus the least network delay, from every track that was received lately and
        // whose reports belong to the same setting of that clock.
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
