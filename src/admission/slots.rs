//! The slots: one for each recording that has, or is to have, a worker.
//!
//! Does not decide how many recordings the machine can run (`capacity` does). Contract: a slot is given back
//! when it is dropped.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// The taken slots. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Slots(Arc<Mutex<Taken>>);

#[derive(Debug, Default)]
struct Taken {
    next: u64,
    /// The process id of each slot's worker, while there is a process.
    pids: HashMap<u64, Option<u32>>,
}

/// The right of one recording to have a worker.
#[derive(Debug)]
pub struct Slot {
    number: u64,
    slots: Slots,
}

impl Slots {
    /// Returns a slot, unless `limit` slots are taken.
    pub fn take(&self, limit: Option<NonZeroU32>) -> Option<Slot> {
        self.locked(|taken| {
            if limit.is_some_and(|limit| taken.pids.len() >= limit.get() as usize) {
                return None;
            }
            let number = taken.next;
            taken.next += 1;
            taken.pids.insert(number, None);
            Some(Slot { number, slots: self.clone() })
        })
    }

    /// Returns how many slots are taken.
    pub fn taken(&self) -> usize {
        self.locked(|taken| taken.pids.len())
    }

    /// Returns the process ids of the workers, and how many recordings have no worker at the moment.
    pub fn workers(&self) -> (Vec<u32>, usize) {
        self.locked(|taken| {
            let pids: Vec<u32> = taken.pids.values().copied().flatten().collect();
            let without = taken.pids.len() - pids.len();
            (pids, without)
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Taken) -> T) -> T {
        // The lock is usable after a panic: no panic happens in the middle of a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Slot {
    /// Notes the process id of the worker.
    pub fn set_pid(&self, pid: Option<u32>) {
        self.slots.locked(|taken| taken.pids.insert(self.number, pid));
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.locked(|taken| taken.pids.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_slots_than_the_limit_and_a_dropped_one_is_free_again() {
        let slots = Slots::default();
        let one = NonZeroU32::new(1);
        let slot = slots.take(one).unwrap();
        assert!(slots.take(one).is_none());
        drop(slot);
        assert!(slots.take(one).is_some());
    }

    #[test]
    fn the_processes_at_work_are_known() {
        let slots = Slots::default();
        let (first, _second) = (slots.take(None).unwrap(), slots.take(None).unwrap());
        first.set_pid(Some(7));
        assert_eq!(slots.workers(), (vec![7], 1));
        first.set_pid(None);
        assert_eq!(slots.workers(), (vec![], 2));
    }
}
