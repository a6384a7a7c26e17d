//! The running recordings at the moment, for metrics and the console.
//!
//! Measures nothing: workers report about their recordings, and `admission` about the workers. Contract: a
//! recording is listed from the start of its first worker until it has ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use crate::admission;
use crate::ids::{EgressId, RoomName};
use crate::report::{QualityReport, TrackReport};

/// A running recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningRecording {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub vitals: Vitals,
    /// The cost of its present worker, if it has one.
    pub cost: Option<ProcessCost>,
}

/// The last report of its worker: frames and lag twice a second, the rest every ten seconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vitals {
    /// The process id of its worker.
    pub worker: Option<u32>,
    /// In a recording without video, the ticks.
    pub frames: u64,
    /// How far the newest frame is behind the room.
    pub lag: Duration,
    pub hurried_frames: u64,
    pub longest_delay: Duration,
    /// The sum over all tracks, as are the two fields that follow.
    pub packets_lost: u64,
    pub frames_lost: u64,
    pub frozen: Duration,
    /// The participants who are in the room now.
    pub participants: usize,
    pub tracks: usize,
}

/// The cost of a process so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProcessCost {
    /// The processor time since its start.
    pub cpu: Duration,
    /// Resident memory.
    pub bytes: u64,
}

/// The running recordings. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashMap<EgressId, (RoomName, Vitals)>>>);

/// Publishes the vitals of one recording. The recording is listed until this is dropped.
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

    /// Returns all running recordings, with the cost of their workers. Reads two small files of `/proc` for
    /// each.
    pub async fn all(&self) -> Vec<RunningRecording> {
        let listed: Vec<_> =
            self.locked(|map| map.iter().map(|(id, known)| (id.clone(), known.clone())).collect());
        let measured = tokio::task::spawn_blocking(move || listed.into_iter().map(measured).collect());
        measured.await.unwrap_or_default()
    }

    fn locked<T>(&self, work: impl FnOnce(&mut HashMap<EgressId, (RoomName, Vitals)>) -> T) -> T {
        // The lock is usable after a panic: no panic happens in the middle of a change.
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
            // A participant or track that is still there has its end at the end of the file.
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

/// Returns how far the newest of `frames` frames is behind the room; zero as long as `zero` is not known.
pub fn lag(zero: Option<Timestamp>, frames: u64, frame_rate: u32, now: Timestamp) -> Duration {
    let Some(zero) = zero else { return Duration::ZERO };
    let made = Duration::from_secs_f64(frames as f64 / f64::from(frame_rate.max(1)));
    // A clock that was set back would give a negative lag.
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
