//! Whether there is room for one more recording. Pure.
//!
//! Goes by measurements: how much of the machine is used now, and what recordings cost here. Contract: a
//! recording is refused before it would harm those that run. If none runs, busy processors are no reason to
//! refuse, as no recording would be harmed.

/// The least that a recording is expected to need: nine participants in 1280x720, decoded on the processor.
const LEAST: Cost = Cost { cores: 0.35, bytes: 200 << 20 };

/// Higher numbers need not be counted: other limits are reached first.
const ROOM_MAX: usize = 10_000;

/// The processor time and the memory of a recording.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// Processor seconds a second.
    pub cores: f64,
    pub bytes: u64,
}

/// A limited resource: processors or bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pool {
    pub total: f64,
    pub used: f64,
}

/// The load of the machine at the moment. Empty if nothing was measured yet: then there is no reason to
/// refuse.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Load {
    /// The machine's processors, and the processors that a control group allows.
    pub processors: Vec<Pool>,
    /// The machine's memory, and the memory that a control group allows.
    pub memory: Vec<Pool>,
    /// The workers that ran long enough to be measured.
    pub workers: Vec<Cost>,
}

/// The resource that does not suffice for another recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shortage {
    /// As many recordings run as are allowed.
    Slots,
    Disk,
    Memory,
    Processors,
}

impl Load {
    /// Returns whether another recording fits. `running` recordings have a slot, and no resource may be used
    /// by more than `percent`.
    pub fn admits(&self, running: usize, percent: u32) -> Result<(), Shortage> {
        let expected = self.expected();
        // Recordings that have just begun are not measured yet, or not with all that they will take.
        let coming = running.saturating_sub(self.workers.len()) as f64 + 1.0;
        let fits = |pools: &[Pool], each: f64| {
            pools.iter().all(|pool| pool.used + coming * each <= pool.total * f64::from(percent) / 100.0)
        };
        if !fits(&self.memory, expected.bytes as f64) {
            return Err(Shortage::Memory);
        }
        if running > 0 && !fits(&self.processors, expected.cores) {
            return Err(Shortage::Processors);
        }
        Ok(())
    }

    /// Returns how many recordings may run in addition to the machine's present load.
    pub fn room_for(&self, percent: u32) -> usize {
        let none_of_ours = Self { workers: Vec::new(), ..self.clone() };
        let one_more = |running: &usize| none_of_ours.admits(*running, percent).is_ok();
        match none_of_ours.admits(0, percent) {
            Ok(()) => 1 + (1..ROOM_MAX).take_while(one_more).count(),
            Err(_) => 0,
        }
    }

    /// Returns the expected cost of one more recording.
    fn expected(&self) -> Cost {
        let count = self.workers.len().max(1);
        let cores = self.workers.iter().map(|cost| cost.cores).sum::<f64>() / count as f64;
        let bytes = self.workers.iter().map(|cost| cost.bytes).sum::<u64>() / count as u64;
        Cost { cores: cores.max(LEAST.cores), bytes: bytes.max(LEAST.bytes) }
    }
}

impl Shortage {
    /// Returns the reason for users, without a full stop.
    pub fn reason(self) -> &'static str {
        match self {
            Self::Slots => "as many recordings run as are allowed",
            Self::Disk => "the recorder's disk is short of room",
            Self::Memory => "the recorder is short of memory",
            Self::Processors => "the recorder's processors are busy",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: f64 = (1_u64 << 30) as f64;

    fn load(cores: (f64, f64), memory: (f64, f64), workers: &[Cost]) -> Load {
        let pool = |(total, used)| vec![Pool { total, used }];
        Load {
            processors: pool(cores),
            memory: pool((memory.0 * GIB, memory.1 * GIB)),
            workers: workers.to_vec(),
        }
    }

    fn worker(cores: f64) -> Cost {
        Cost { cores, bytes: 100 << 20 }
    }

    #[test]
    fn what_is_not_measured_refuses_nothing() {
        assert_eq!(Load::default().admits(100, 90), Ok(()));
    }

    #[test]
    fn one_more_fits_as_long_as_nine_tenths_of_the_processors_are_enough() {
        let running = [worker(0.5), worker(0.7)];
        assert_eq!(load((2.0, 1.1), (8.0, 2.0), &running).admits(2, 90), Ok(()));
        let full = load((2.0, 1.3), (8.0, 2.0), &running);
        assert_eq!(full.admits(2, 90), Err(Shortage::Processors));
        assert_eq!(full.admits(2, 100), Ok(()));
    }

    #[test]
    fn a_recording_that_costs_little_so_far_is_not_taken_for_cheap() {
        let quiet = load((1.0, 0.6), (8.0, 2.0), &[worker(0.01)]);
        assert_eq!(quiet.admits(1, 90), Err(Shortage::Processors));
    }

    #[test]
    fn recordings_that_have_just_begun_count_as_what_they_will_cost() {
        let load = load((2.0, 0.2), (8.0, 2.0), &[]);
        assert_eq!(load.admits(3, 90), Ok(()));
        assert_eq!(load.admits(4, 90), Err(Shortage::Processors));
    }

    #[test]
    fn where_nothing_runs_busy_processors_are_no_reason_but_memory_is() {
        assert_eq!(load((2.0, 2.0), (8.0, 2.0), &[]).admits(0, 90), Ok(()));
        assert_eq!(load((2.0, 0.0), (8.0, 7.1), &[]).admits(0, 90), Err(Shortage::Memory));
    }

    #[test]
    fn as_many_are_borne_as_would_be_admitted_one_after_the_other() {
        // 3.6 processors at 0.35 each; 7.2 GiB at 200 MiB each.
        assert_eq!(load((4.0, 0.0), (8.0, 0.0), &[]).room_for(90), 10);
        assert_eq!(load((64.0, 0.0), (2.0, 0.0), &[]).room_for(100), 10);
        assert_eq!(load((2.0, 2.0), (8.0, 0.0), &[]).room_for(90), 1, "where nothing runs, one is admitted");
        assert_eq!(load((2.0, 0.0), (1.0, 1.0), &[]).room_for(90), 0);
        assert_eq!(Load::default().room_for(90), ROOM_MAX);
    }

    #[test]
    fn the_tightest_limit_counts() {
        let mut load = load((64.0, 1.0), (256.0, 10.0), &[worker(0.5)]);
        load.processors.push(Pool { total: 1.0, used: 0.5 });
        assert_eq!(load.admits(1, 90), Err(Shortage::Processors));
        load.processors.pop();
        load.memory.push(Pool { total: GIB, used: 0.8 * GIB });
        assert_eq!(load.admits(1, 90), Err(Shortage::Memory));
    }
}
