//! Owns how many connections there may be, and which of them goes when one more comes. No socket, no clock.
//!
//! Contract: a new connection always gets a seat at once, as long as not every seat is taken by a call that is signed and
//! being answered. When all are taken, the one goes that has shown the least: the oldest of those that never sent a
//! signed call, or else of those that are not in one now. So whoever opens connections and says nothing on them pushes
//! out his own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// The seats of a listener.
#[derive(Clone)]
pub struct Seats(Arc<Shared>);

struct Shared {
    limit: usize,
    room: Mutex<Room>,
    /// Told when a seat was given back, or its call has ended.
    freed: Notify,
}

#[derive(Default)]
struct Room {
    next: u64,
    /// By the order in which they came.
    taken: BTreeMap<u64, Arc<Standing>>,
}

/// What a connection has shown of itself.
#[derive(Default)]
struct Standing {
    /// Whether a signed call ever came on it.
    proven: AtomicBool,
    /// Signed calls that are being answered: one at most, but for a moment.
    calls: AtomicUsize,
    leave: CancellationToken,
}

/// A connection's seat; given back when it is dropped.
pub struct Seat {
    number: u64,
    standing: Arc<Standing>,
    seats: Seats,
}

/// By which the way in says that a connection's call is signed. Goes with each request.
#[derive(Clone)]
pub struct Vouch {
    standing: Arc<Standing>,
    seats: Seats,
}

/// As long as it is held, the connection keeps its seat.
pub struct Vouched(Vouch);

impl Seats {
    /// At least one.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit: limit.max(1), room: Mutex::default(), freed: Notify::new() }))
    }

    /// A seat for a new connection, as soon as there can be one.
    pub async fn take(&self) -> Seat {
        loop {
            let freed = self.0.freed.notified();
            if let Some(seat) = self.try_take() {
                return seat;
            }
            freed.await;
        }
    }

    fn try_take(&self) -> Option<Seat> {
        let mut room = self.room();
        if room.taken.len() >= self.0.limit {
            let number = room.who_goes()?;
            let standing = room.taken.remove(&number)?;
            standing.leave.cancel();
        }
        let number = room.next;
        room.next += 1;
        let standing = Arc::new(Standing::default());
        room.taken.insert(number, Arc::clone(&standing));
        Some(Seat { number, standing, seats: self.clone() })
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn who_goes(&self) -> Option<u64> {
        let idle = self.taken.iter().filter(|(_, standing)| standing.calls.load(Ordering::Acquire) == 0);
        let least = idle.min_by_key(|(number, standing)| (standing.proven.load(Ordering::Acquire), **number));
        least.map(|(number, _)| *number)
    }
}

impl Seat {
    /// Resolves when the connection must go.
    pub async fn must_leave(&self) {
        self.standing.leave.cancelled().await;
    }

    pub fn vouch(&self) -> Vouch {
        Vouch { standing: Arc::clone(&self.standing), seats: self.seats.clone() }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.room().taken.remove(&self.number);
        self.seats.0.freed.notify_one();
    }
}

impl Vouch {
    pub fn signed(self) -> Vouched {
        self.standing.proven.store(true, Ordering::Release);
        self.standing.calls.fetch_add(1, Ordering::AcqRel);
        Vouched(self)
    }
}

impl Drop for Vouched {
    fn drop(&mut self) {
        let Vouch { standing, seats } = &self.0;
        standing.calls.fetch_sub(1, Ordering::AcqRel);
        seats.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn taken(seats: &Seats) -> Seat {
        seats.take().now_or_never().expect("there is a seat")
    }

    fn is_sent_away(seat: &Seat) -> bool {
        seat.standing.leave.is_cancelled()
    }

    #[test]
    fn nobody_goes_while_there_are_seats() {
        let seats = Seats::new(3);
        let all = [taken(&seats), taken(&seats), taken(&seats)];
        assert!(all.iter().all(|seat| !is_sent_away(seat)));
        drop(all);
        let again = [taken(&seats), taken(&seats), taken(&seats)];
        assert!(again.iter().all(|seat| !is_sent_away(seat)));
    }

    #[test]
    fn the_oldest_that_never_sent_a_signed_call_goes_first() {
        let seats = Seats::new(3);
        let (signed, older, newer) = (taken(&seats), taken(&seats), taken(&seats));
        drop(signed.vouch().signed());
        let _fourth = taken(&seats);
        assert_eq!([&signed, &older, &newer].map(is_sent_away), [false, true, false]);
        let _fifth = taken(&seats);
        assert_eq!([&signed, &newer].map(is_sent_away), [false, true]);
    }

    #[test]
    fn a_connection_that_sent_a_signed_call_goes_when_all_have() {
        let seats = Seats::new(2);
        let (older, newer) = (taken(&seats), taken(&seats));
        for seat in [&older, &newer] {
            drop(seat.vouch().signed());
        }
        let _third = taken(&seats);
        assert_eq!([&older, &newer].map(is_sent_away), [true, false]);
    }

    #[tokio::test]
    async fn a_signed_call_is_never_sent_away_and_the_next_waits_for_it() {
        let seats = Seats::new(1);
        let seat = taken(&seats);
        let call = seat.vouch().signed();
        let mut next = Box::pin(seats.take());
        assert!(next.as_mut().now_or_never().is_none());
        assert!(!is_sent_away(&seat));
        drop(call);
        let _next = next.await;
        assert!(is_sent_away(&seat));
    }

    #[test]
    fn a_thousand_silent_ones_push_out_one_another() {
        let seats = Seats::new(10);
        let signed = taken(&seats);
        drop(signed.vouch().signed());
        let silent: Vec<Seat> = (0..1000).map(|_| taken(&seats)).collect();
        assert!(!is_sent_away(&signed));
        assert_eq!(silent.iter().filter(|seat| !is_sent_away(seat)).count(), 9);
    }
}
