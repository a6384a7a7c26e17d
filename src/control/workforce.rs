//! Who records at the moment: one place for each recording that has, or is to have, a worker.
//!
//! Does not decide how many there may be of them by what they cost (`capacity` does). Contract: a place is given back
//! when it is dropped.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};

/// The recordings that have places. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Workforce(Arc<Mutex<Places>>);

#[derive(Debug, Default)]
struct Places {
    next: u64,
    /// The worker's process id, while there is a process.
    taken: HashMap<u64, Option<u32>>,
}

/// The right of one recording to have a worker.
#[derive(Debug)]
pub struct Place {
    number: u64,
    workforce: Workforce,
}

impl Workforce {
    /// A place, unless so many are taken.
    pub fn take_place(&self, limit: Option<NonZeroU32>) -> Option<Place> {
        self.locked(|places| {
            if limit.is_some_and(|limit| places.taken.len() >= limit.get() as usize) {
                return None;
            }
            let number = places.next;
            places.next += 1;
            places.taken.insert(number, None);
            Some(Place { number, workforce: self.clone() })
        })
    }

    /// How many places are taken.
    pub fn places(&self) -> usize {
        self.locked(|places| places.taken.len())
    }

    /// The processes that record, and how many recordings there are that have none at the moment.
    pub fn workers(&self) -> (Vec<u32>, usize) {
        self.locked(|places| {
            let pids: Vec<u32> = places.taken.values().copied().flatten().collect();
            let without = places.taken.len() - pids.len();
            (pids, without)
        })
    }

    fn locked<T>(&self, work: impl FnOnce(&mut Places) -> T) -> T {
        // Nothing here panics half-way through a change.
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    /// Notes which process works here.
    pub fn is_worked_by(&self, pid: Option<u32>) {
        self.workforce.locked(|places| places.taken.insert(self.number, pid));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.workforce.locked(|places| places.taken.remove(&self.number));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_no_more_places_than_the_limit_and_a_dropped_one_is_free_again() {
        let workforce = Workforce::default();
        let one = NonZeroU32::new(1);
        let place = workforce.take_place(one).unwrap();
        assert!(workforce.take_place(one).is_none());
        drop(place);
        assert!(workforce.take_place(one).is_some());
    }

    #[test]
    fn the_processes_at_work_are_known() {
        let workforce = Workforce::default();
        let (first, _second) = (workforce.take_place(None).unwrap(), workforce.take_place(None).unwrap());
        first.is_worked_by(Some(7));
        assert_eq!(workforce.workers(), (vec![7], 1));
        first.is_worked_by(None);
        assert_eq!(workforce.workers(), (vec![], 2));
    }
}
