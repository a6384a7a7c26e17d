//! Turns the kernel's counts into the load of the machine. Pure: samples in, a load out.
//!
//! Contract: figures are those of the last [`WINDOW`]. A process that was sampled only once has none.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::capacity::{Cost, Load, Pool};

/// Long enough to cover a keyframe or a change of the layout, short enough to notice a meeting that begins.
const WINDOW: Duration = Duration::from_secs(20);
/// A worker that was measured for a shorter time is still starting.
const SETTLED: Duration = Duration::from_secs(8);

/// The counts of one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// Counted from any fixed moment.
    pub at: Duration,
    /// The number of processors, and the processor seconds used so far: the machine's, then those of control
    /// groups.
    pub processors: Vec<Pool>,
    /// Bytes.
    pub memory: Vec<Pool>,
    /// By process id: processor seconds so far, and bytes.
    pub workers: HashMap<u32, Cost>,
}

#[derive(Debug, Default)]
pub struct Meter {
    samples: VecDeque<Sample>,
}

impl Meter {
    /// Takes the next sample; returns the load since the oldest sample of the window.
    pub fn take(&mut self, sample: Sample) -> Load {
        let horizon = sample.at.saturating_sub(WINDOW);
        while self.samples.front().is_some_and(|oldest| oldest.at < horizon) {
            self.samples.pop_front();
        }
        let load = match self.samples.front() {
            Some(oldest) => Load {
                processors: rates(oldest, &sample),
                memory: sample.memory.clone(),
                workers: self.costs(&sample),
            },
            None => Load::default(),
        };
        self.samples.push_back(sample);
        load
    }

    fn costs(&self, now: &Sample) -> Vec<Cost> {
        let cost = |(pid, counted): (&u32, &Cost)| {
            let first = self.samples.iter().find(|sample| sample.workers.contains_key(pid))?;
            let since = now.at.checked_sub(first.at).filter(|since| *since >= SETTLED)?;
            let cores = (counted.cores - first.workers.get(pid)?.cores) / since.as_secs_f64();
            Some(Cost { cores: cores.max(0.0), bytes: counted.bytes })
        };
        now.workers.iter().filter_map(cost).collect()
    }
}

fn rates(before: &Sample, now: &Sample) -> Vec<Pool> {
    let elapsed = now.at.saturating_sub(before.at).as_secs_f64();
    if elapsed <= 0.0 || before.processors.len() != now.processors.len() {
        return Vec::new();
    }
    let pairs = before.processors.iter().zip(&now.processors);
    pairs
        .map(|(before, now)| Pool { total: now.total, used: ((now.used - before.used) / elapsed).max(0.0) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: u64, used: f64, workers: &[(u32, f64)]) -> Sample {
        Sample {
            at: Duration::from_secs(at),
            processors: vec![Pool { total: 4.0, used }],
            memory: vec![Pool { total: 8.0, used: 2.0 }],
            workers: workers.iter().map(|&(pid, cores)| (pid, Cost { cores, bytes: 7 })).collect(),
        }
    }

    #[test]
    fn the_first_sample_shows_nothing() {
        assert_eq!(Meter::default().take(sample(0, 1000.0, &[])), Load::default());
    }

    #[test]
    fn use_is_that_of_the_last_twenty_seconds() {
        let mut meter = Meter::default();
        for at in 0..100 {
            meter.take(sample(at, 4.0 * at as f64, &[]));
        }
        let load = meter.take(sample(100, 396.0, &[]));
        // From 80 s on: 19 s of four processors, and one idle second.
        assert_eq!(load.processors, [Pool { total: 4.0, used: 76.0 / 20.0 }]);
        assert_eq!(load.memory, [Pool { total: 8.0, used: 2.0 }]);
    }

    #[test]
    fn a_worker_has_a_cost_once_it_has_settled() {
        let mut meter = Meter::default();
        meter.take(sample(0, 0.0, &[]));
        meter.take(sample(2, 0.0, &[(7, 1.0)]));
        assert!(meter.take(sample(9, 0.0, &[(7, 4.0)])).workers.is_empty());
        let load = meter.take(sample(12, 0.0, &[(7, 6.0), (8, 0.1)]));
        assert_eq!(load.workers, [Cost { cores: 0.5, bytes: 7 }]);
    }

    #[test]
    fn a_limit_that_comes_or_goes_is_measured_anew() {
        let mut meter = Meter::default();
        meter.take(sample(0, 0.0, &[]));
        let mut other = sample(2, 0.0, &[]);
        other.processors.push(Pool { total: 1.0, used: 0.0 });
        assert!(meter.take(other).processors.is_empty());
    }
}
