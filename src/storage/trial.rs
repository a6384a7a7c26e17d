//! The steps with which a store is tried before anybody relies on it, and their results. Pure data; each
//! store carries them out in its own way.
//!
//! Contract: a trial touches only objects of its own. If it cannot remove them again, it says so.

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
    /// The object is read back.
    Read,
    /// An upload in parts is begun, resumed and aborted.
    Parts,
    /// The small object is removed. Recordings do not need this.
    Remove,
}

/// The result of one step. A step that needs an earlier one that failed is not tried.
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

/// The content of the small object.
pub(super) const TEXT: Bytes =
    Bytes::from_static(b"egressd tried whether it can write here; this may be removed\n");

/// Returns a key that nobody else uses.
pub(super) fn key() -> ObjectKey {
    const LEN: usize = 12;
    let mark: String = rand::rng().sample_iter(&Alphanumeric).take(LEN).map(char::from).collect();
    format!("egressd-check-{mark}.txt").parse().expect("letters, digits, hyphens and a dot")
}
