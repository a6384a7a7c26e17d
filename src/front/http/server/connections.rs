//! Owns how many connections may be open, and which one is closed when another one comes. No socket, no
//! clock.
//!
//! Contract: a new connection gets a permit at once, unless a signed call is under way on every connection
//! that holds one. When all permits are taken, the connection that has proven the least is closed: the oldest
//! that never sent a signed call, otherwise the oldest without a call under way. So a client that opens
//! connections and sends nothing loses only its own.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Limits how many connections a listener has.
#[derive(Clone)]
pub struct ConnectionLimiter(Arc<Shared>);

struct Shared {
    limit: usize,
    permits: Mutex<Permits>,
    /// Notified when a permit is given back, or when a signed call ends.
    freed: Notify,
}

#[derive(Default)]
struct Permits {
    next: u64,
    /// In the order in which the connections came.
    taken: BTreeMap<u64, Arc<Record>>,
}

/// What a connection has proven.
#[derive(Default)]
struct Record {
    /// Whether a signed call ever came on it.
    proven: AtomicBool,
    /// Signed calls that are being answered. At most one, except for a moment.
    calls: AtomicUsize,
    close: CancellationToken,
}

/// A connection's permit. Dropping it gives it back.
pub struct Permit {
    number: u64,
    record: Arc<Record>,
    limiter: ConnectionLimiter,
}

/// Tells the limiter that a call's signature is right. Each request carries one.
#[derive(Clone)]
pub struct CallMarker {
    record: Arc<Record>,
    limiter: ConnectionLimiter,
}

/// A signed call that is under way. Until it ends, the connection keeps its permit.
pub struct SignedCall(CallMarker);

impl ConnectionLimiter {
    /// A limit of 0 counts as 1.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared { limit: limit.max(1), permits: Mutex::default(), freed: Notify::new() }))
    }

    /// Returns a permit for a new connection as soon as one is free.
    pub async fn take(&self) -> Permit {
        loop {
            let freed = self.0.freed.notified();
            if let Some(permit) = self.try_take() {
                return permit;
            }
            freed.await;
        }
    }

    fn try_take(&self) -> Option<Permit> {
        let mut permits = self.permits();
        if permits.taken.len() >= self.0.limit {
            let number = permits.oldest_idle()?;
            let record = permits.taken.remove(&number)?;
            record.close.cancel();
        }
        let number = permits.next;
        permits.next += 1;
        let record = Arc::new(Record::default());
        permits.taken.insert(number, Arc::clone(&record));
        Some(Permit { number, record, limiter: self.clone() })
    }

    fn permits(&self) -> MutexGuard<'_, Permits> {
        self.0.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permits {
    fn oldest_idle(&self) -> Option<u64> {
        let idle = self.taken.iter().filter(|(_, record)| record.calls.load(Ordering::Acquire) == 0);
        let least = idle.min_by_key(|(number, record)| (record.proven.load(Ordering::Acquire), **number));
        least.map(|(number, _)| *number)
    }
}

impl Permit {
    /// Returns when the connection must be closed.
    pub async fn must_close(&self) {
        self.record.close.cancelled().await;
    }

    pub fn call_marker(&self) -> CallMarker {
        CallMarker { record: Arc::clone(&self.record), limiter: self.limiter.clone() }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.limiter.permits().taken.remove(&self.number);
        self.limiter.0.freed.notify_one();
    }
}

impl CallMarker {
    pub fn begin_signed_call(self) -> SignedCall {
        self.record.proven.store(true, Ordering::Release);
        self.record.calls.fetch_add(1, Ordering::AcqRel);
        SignedCall(self)
    }
}

impl Drop for SignedCall {
    fn drop(&mut self) {
        let CallMarker { record, limiter } = &self.0;
        record.calls.fetch_sub(1, Ordering::AcqRel);
        limiter.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn taken(limiter: &ConnectionLimiter) -> Permit {
        limiter.take().now_or_never().expect("there is a permit")
    }

    fn must_close(permit: &Permit) -> bool {
        permit.record.close.is_cancelled()
    }

    #[test]
    fn nobody_goes_while_there_are_seats() {
        let limiter = ConnectionLimiter::new(3);
        let all = [taken(&limiter), taken(&limiter), taken(&limiter)];
        assert!(all.iter().all(|permit| !must_close(permit)));
        drop(all);
        let again = [taken(&limiter), taken(&limiter), taken(&limiter)];
        assert!(again.iter().all(|permit| !must_close(permit)));
    }

    #[test]
    fn the_oldest_that_never_sent_a_signed_call_goes_first() {
        let limiter = ConnectionLimiter::new(3);
        let (signed, older, newer) = (taken(&limiter), taken(&limiter), taken(&limiter));
        drop(signed.call_marker().begin_signed_call());
        let _fourth = taken(&limiter);
        assert_eq!([&signed, &older, &newer].map(must_close), [false, true, false]);
        let _fifth = taken(&limiter);
        assert_eq!([&signed, &newer].map(must_close), [false, true]);
    }

    #[test]
    fn a_connection_that_sent_a_signed_call_goes_when_all_have() {
        let limiter = ConnectionLimiter::new(2);
        let (older, newer) = (taken(&limiter), taken(&limiter));
        for permit in [&older, &newer] {
            drop(permit.call_marker().begin_signed_call());
        }
        let _third = taken(&limiter);
        assert_eq!([&older, &newer].map(must_close), [true, false]);
    }

    #[tokio::test]
    async fn a_signed_call_is_never_sent_away_and_the_next_waits_for_it() {
        let limiter = ConnectionLimiter::new(1);
        let permit = taken(&limiter);
        let call = permit.call_marker().begin_signed_call();
        let mut next = Box::pin(limiter.take());
        assert!(next.as_mut().now_or_never().is_none());
        assert!(!must_close(&permit));
        drop(call);
        let _next = next.await;
        assert!(must_close(&permit));
    }

    #[test]
    fn a_thousand_silent_ones_push_out_one_another() {
        let limiter = ConnectionLimiter::new(10);
        let signed = taken(&limiter);
        drop(signed.call_marker().begin_signed_call());
        let silent: Vec<Permit> = (0..1000).map(|_| taken(&limiter)).collect();
        assert!(!must_close(&signed));
        assert_eq!(silent.iter().filter(|permit| !must_close(permit)).count(), 9);
    }
}
