//! What a store is tried out with before anybody relies on it, and what came of it. Pure data; each store has its own way.
//!
//! Contract: a trial touches objects of its own only, and what it could not remove again it says.

use bytes::Bytes;
use rand::Rng;
use rand::distr::Alphanumeric;

use super::error::StorageError;
use super::key::ObjectKey;

/// What a recording needs of its store, in the order in which it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The bucket or folder is there.
    Reach,
    /// A small object is stored.
    Write,
    /// And read back.
    Read,
    /// An upload in parts is begun, found again and given up.
    Parts,
    /// The small object is removed. Recordings do without.
    Remove,
}

/// One step of a trial. What needs an earlier one that failed is not tried.
#[derive(Debug)]
pub struct Tried {
    pub step: Step,
    pub outcome: Result<(), StorageError>,
}

impl Tried {
    pub(super) fn new(step: Step, outcome: Result<(), StorageError>) -> Self {
        Self { step, outcome }
    }

    pub fn is_good(&self) -> bool {
        self.outcome.is_ok()
    }
}

/// What the small object holds.
pub(super) const TEXT: Bytes =
    Bytes::from_static(b"egressd tried whether it can write here; this may be removed\n");

/// Nobody else's key.
pub(super) fn key() -> ObjectKey {
    const LEN: usize = 12;
    let mark: String = rand::rng().sample_iter(&Alphanumeric).take(LEN).map(char::from).collect();
    format!("egressd-check-{mark}.txt").parse().expect("letters, digits, hyphens and a dot")
}
