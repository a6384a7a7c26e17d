//! Measures every two seconds the load of the machine and the free space of its disk.
//!
//! Does not act on the measurements: recordings and starts do. Contract: the published values are at most a
//! few seconds old.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::capacity::Load;
use super::machine;
use super::meter::Meter;
use super::slots::Slots;
use super::space::Space;

/// A recording of 6 Mbit/s writes 1.5 MB in this time.
const MEASURE_EVERY: Duration = Duration::from_secs(2);
/// Recordings are ended if less than this fraction of `least_free` is free.
const EXHAUSTED: u64 = 4;

/// The last measurements of the monitor, for their readers.
#[derive(Debug, Clone)]
pub struct Measurements {
    pub load: watch::Receiver<Arc<Load>>,
    pub space: watch::Receiver<Space>,
}

pub struct Monitor {
    folder: PathBuf,
    /// How many bytes are to stay free.
    least_free: u64,
    slots: Slots,
    load: watch::Sender<Arc<Load>>,
    space: watch::Sender<Space>,
}

impl Monitor {
    /// Measures the disk with `folder`, and the workers in `slots`.
    pub fn new(folder: PathBuf, least_free: u64, slots: Slots) -> (Self, Measurements) {
        let (load, loads) = watch::channel(Arc::default());
        let (space, spaces) = watch::channel(Space::Ample);
        let monitor = Self { folder, least_free, slots, load, space };
        (monitor, Measurements { load: loads, space: spaces })
    }

    pub async fn run(self, cancel: CancellationToken) {
        let begun = Instant::now();
        let mut meter = Meter::default();
        let mut ticks = tokio::time::interval(MEASURE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                _ = ticks.tick() => self.measure(begun.elapsed(), &mut meter).await,
            }
        }
    }

    async fn measure(&self, at: Duration, meter: &mut Meter) {
        let (folder, workers) = (self.folder.clone(), self.slots.workers().0);
        // Reading may block: a file system may not answer.
        let measured = tokio::task::spawn_blocking(move || {
            (machine::sample(at, &workers), machine::free_bytes(&folder))
        });
        let Ok((sample, free)) = measured.await else {
            return tracing::error!("looking at the machine failed");
        };
        self.load.send_replace(Arc::new(meter.take(sample)));
        match free {
            Ok(free) => self.publish_space(free),
            Err(error) => tracing::warn!(%error, "the disk does not say how much room it has"),
        }
    }

    fn publish_space(&self, free: u64) {
        let space = space(free, self.least_free);
        let changed = self.space.send_if_modified(|before| std::mem::replace(before, space) != space);
        if changed {
            match space {
                Space::Ample => tracing::info!(free, "the disk has room again"),
                Space::Short => tracing::warn!(free, "the disk is short of room"),
                Space::Exhausted => tracing::error!(free, "the disk has no more room, recordings end"),
            }
        }
    }
}

fn space(free: u64, least: u64) -> Space {
    match free {
        _ if free >= least => Space::Ample,
        _ if free >= least / EXHAUSTED => Space::Short,
        _ => Space::Exhausted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_short_below_the_minimum_and_exhausted_below_a_quarter_of_it() {
        let spaces = [1000, 999, 250, 249, 0].map(|free| space(free, 1000));
        assert_eq!(spaces, [Space::Ample, Space::Short, Space::Short, Space::Exhausted, Space::Exhausted]);
        assert_eq!(space(0, 0), Space::Ample);
    }
}
