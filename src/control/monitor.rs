//! Looks every two seconds at what the machine does and how much room its disk has.
//!
//! Does not act on it: recordings and starts do. Contract: whoever reads what it tells reads something that is at most
//! a few seconds old.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::capacity::Load;
use super::machine;
use super::meter::Meter;
use super::space::Space;
use super::workforce::Workforce;

/// A recording of 6 Mbit/s writes 1.5 MB in this time.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Below this part of what is to stay free recordings are ended.
const EXHAUSTED: u64 = 4;

/// What the monitor has seen, for those that care.
#[derive(Debug, Clone)]
pub struct Outlook {
    pub load: watch::Receiver<Arc<Load>>,
    pub space: watch::Receiver<Space>,
}

pub struct Monitor {
    folder: PathBuf,
    /// Bytes that are to stay free.
    least_free: u64,
    workforce: Workforce,
    load: watch::Sender<Arc<Load>>,
    space: watch::Sender<Space>,
}

impl Monitor {
    /// Of the disk that `folder` is on, and of these workers.
    pub fn new(folder: PathBuf, least_free: u64, workforce: Workforce) -> (Self, Outlook) {
        let (load, loads) = watch::channel(Arc::default());
        let (space, spaces) = watch::channel(Space::Ample);
        let monitor = Self { folder, least_free, workforce, load, space };
        (monitor, Outlook { load: loads, space: spaces })
    }

    pub async fn run(self, cancel: CancellationToken) {
        let begun = Instant::now();
        let mut meter = Meter::default();
        let mut ticks = tokio::time::interval(LOOK_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                _ = ticks.tick() => self.look(begun.elapsed(), &mut meter).await,
            }
        }
    }

    async fn look(&self, at: Duration, meter: &mut Meter) {
        let (folder, workers) = (self.folder.clone(), self.workforce.workers().0);
        // A file system may not answer.
        let looked = tokio::task::spawn_blocking(move || {
            (machine::sample(at, &workers), machine::free_bytes(&folder))
        });
        let Ok((sample, free)) = looked.await else {
            return tracing::error!("looking at the machine failed");
        };
        self.load.send_replace(Arc::new(meter.take(sample)));
        match free {
            Ok(free) => self.tell_space(free),
            Err(error) => tracing::warn!(%error, "the disk does not say how much room it has"),
        }
    }

    fn tell_space(&self, free: u64) {
        let space = space(free, self.least_free);
        let news = self.space.send_if_modified(|told| std::mem::replace(told, space) != space);
        if news {
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
        let told = [1000, 999, 250, 249, 0].map(|free| space(free, 1000));
        assert_eq!(told, [Space::Ample, Space::Short, Space::Short, Space::Exhausted, Space::Exhausted]);
        assert_eq!(space(0, 0), Space::Ample);
    }
}
