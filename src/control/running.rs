//! What the running recordings are like at the moment, for whoever watches the service.
//!
//! Does not measure anything: workers tell of their recordings, the kernel of the workers (`machine`). Contract: a
//! recording is listed from its first worker's start until it has ended, so there are as many as run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::admission;
use crate::ids::{EgressId, RoomName};
use crate::report::{QualityReport, TrackReport};

/// One recording that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRecording {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub vitals: Vitals,
    /// Of its present worker, if it has one.
    pub cost: Option<ProcessCost>,
}

/// As its worker told last: of frames and lag twice a second, of the rest every ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The process id of its worker.
    pub worker: Option<u32>,
    /// Ticks, of a recording without pictures.
    pub frames: u64,
    /// How long ago it was what the newest frame shows.
    pub lag: Duration,
    pub hurried_frames: u64,
    pub longest_delay: Duration,
    /// Of all tracks, as are the two that follow.
    pub packets_lost: u64,
    pub frames_lost: u64,
    pub frozen: Duration,
    /// Those who are there now.
    pub participants: usize,
    pub tracks: usize,
}

/// What a process has cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessCost {
    /// Processor time since it began.
    pub cpu: Duration,
    /// Resident memory.
    pub bytes: u64,
}

/// Those that run. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashMap<EgressId, (RoomName, Vitals)>>>);

/// Notes how one recording is; it is off the list when this is dropped.
#[derive(Debug)]
pub struct VitalsTeller {
    egress_id: EgressId,
    room: RoomName,
    running: Running,
}

impl Running {
    pub fn teller(&self, egress_id: EgressId, room: RoomName) -> VitalsTeller {
        VitalsTeller { egress_id, room, running: self.clone() }
    }

    /// All of them, with what their workers have cost. Reads two small files of /proc for each.
    pub async fn all(&self) -> Vec<RunningRecording> {
        let listed: Vec<_> =
            self.locked(|map| map.iter().map(|(id, known)| (id.clone(), known.clone())).collect());
        let measured = tokio::task::spawn_blocking(move || listed.into_iter().map(measured).collect());
        measured.await.unwrap_or_default()
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<EgressId, (RoomName, Vitals)>) -> T) -> T {
        // Nothing here panics half-way through a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl VitalsTeller {
    pub fn worked_by(&self, pid: Option<u32>) {
        self.note(|vitals| vitals.worker = pid);
    }

    pub fn progress(&self, frames: u64, lag: Duration) {
        self.note(|vitals| (vitals.frames, vitals.lag) = (frames, lag));
    }

    pub fn report(&self, report: &QualityReport) {
        let now_ms = report.file.duration_ms;
        let sum = |figure: fn(&TrackReport) -> u64| report.tracks.iter().map(figure).sum::<u64>();
        self.note(|vitals| {
            vitals.hurried_frames = report.file.hurried_frames;
            vitals.longest_delay = Duration::from_millis(report.file.longest_delay_ms);
            vitals.packets_lost = report.file.packets_lost;
            vitals.frames_lost = sum(|track| track.frames_lost);
            vitals.frozen = Duration::from_millis(sum(|track| track.frozen_ms));
            // Who and what is there still, ends where the file does.
            vitals.participants = report.participants.iter().filter(|one| one.to_ms >= now_ms).count();
            vitals.tracks = report.tracks.iter().filter(|track| track.to_ms >= now_ms).count();
        });
    }

    fn note(&self, change: impl FnOnce(&mut Vitals)) {
        let fresh = || (self.room.clone(), Vitals::default());
        self.running.locked(|map| change(&mut map.entry(self.egress_id.clone()).or_insert_with(fresh).1));
    }
}

impl Drop for VitalsTeller {
    fn drop(&mut self) {
        self.running.locked(|map| map.remove(&self.egress_id));
    }
}

/// How long ago it was what the newest of so many frames shows; nothing while nobody knows when the first one was.
pub fn lag(zero: Option<Timestamp>, frames: u64, frame_rate: u32, now: Timestamp) -> Duration {
    let Some(zero) = zero else { return Duration::ZERO };
    let made = Duration::from_secs_f64(frames as f64 / f64::from(frame_rate.max(1)));
    // With a clock that was set back it would be shown before it happened.
    Duration::try_from(now.duration_since(zero)).unwrap_or_default().saturating_sub(made)
}

fn measured((egress_id, (room, vitals)): (EgressId, (RoomName, Vitals))) -> RunningRecording {
    let cost = vitals.worker.and_then(admission::process).map(|cost| ProcessCost {
        cpu: Duration::try_from_secs_f64(cost.cores).unwrap_or_default(),
        bytes: cost.bytes,
    });
    RunningRecording { egress_id, room, vitals, cost }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{FileReport, ParticipantReport};

    #[tokio::test]
    async fn a_recording_is_listed_from_its_first_worker_until_it_has_ended() {
        let running = Running::default();
        let teller = running.teller(EgressId::random(), "room".parse().unwrap());
        assert!(running.all().await.is_empty());
        teller.worked_by(Some(std::process::id()));
        teller.progress(30, Duration::from_millis(900));
        let [one] = &running.all().await[..] else { panic!("one runs") };
        assert_eq!((one.vitals.frames, one.vitals.lag), (30, Duration::from_millis(900)));
        assert!(one.cost.is_some_and(|cost| cost.bytes > 0));
        teller.worked_by(None);
        assert_eq!(running.all().await[0].cost, None);
        drop(teller);
        assert!(running.all().await.is_empty());
    }

    #[test]
    fn the_lag_is_what_the_clock_is_ahead_of_the_frames() {
        let (zero, now) =
            ("2024-04-21T10:00:00Z".parse().unwrap(), "2024-04-21T10:00:10.9Z".parse().unwrap());
        assert_eq!(lag(Some(zero), 300, 30, now), Duration::from_millis(900));
        assert_eq!(lag(None, 300, 30, now), Duration::ZERO);
        assert_eq!(lag(Some(now), 0, 30, zero), Duration::ZERO);
    }

    #[tokio::test]
    async fn of_a_report_the_present_and_the_sums_are_kept() {
        let running = Running::default();
        let teller = running.teller(EgressId::random(), "room".parse().unwrap());
        let track =
            |to_ms, frames_lost| TrackReport { to_ms, frames_lost, frozen_ms: 250, ..TrackReport::default() };
        let person = |to_ms| ParticipantReport { to_ms, ..ParticipantReport::default() };
        teller.report(&QualityReport {
            file: FileReport {
                duration_ms: 5000,
                packets_lost: 7,
                longest_delay_ms: 40,
                ..FileReport::default()
            },
            participants: vec![person(5000), person(4000)],
            tracks: vec![track(5000, 1), track(5000, 2), track(100, 4)],
            ..QualityReport::default()
        });
        let vitals = &running.all().await[0].vitals;
        assert_eq!((vitals.participants, vitals.tracks), (1, 2));
        assert_eq!((vitals.packets_lost, vitals.frames_lost), (7, 7));
        assert_eq!(
            (vitals.frozen, vitals.longest_delay),
            (Duration::from_millis(750), Duration::from_millis(40))
        );
    }
}
