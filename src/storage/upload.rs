//! An upload in parts: the trait, and the bookkeeping of parts that both stores share.
//!
//! Owns the rule that an object is joined only from parts 1, 2, 3 ... without a gap. Does not decide
//! which bytes form a part (that is [`super::parts`]).

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use rand::Rng;
use rand::distr::Alphanumeric;

use super::body::Body;
use super::checksum::Checksum;
use super::error::StorageError;
use super::key::ObjectKey;

/// An object that is uploaded in parts, which may arrive in any order and several at once.
///
/// All who send parts of it share it. If it is dropped without [`complete`](Upload::complete) or
/// [`abort`](Upload::abort), its parts stay in the store, so that [`Storage::resume`](super::Storage::resume)
/// can resume it after a crash.
pub trait Upload: Send + Sync {
    /// What `resume` needs besides the key. Opaque; may be kept in a database or a log.
    fn id(&self) -> &str;

    /// Returns the part that the store holds under this number.
    fn held(&self, number: u32) -> Option<HeldPart>;

    /// Uploads part `number` (from 1), unless the store says that it holds exactly these bytes. A part with
    /// other bytes is replaced. Every part but the last must have at least
    /// [`MIN_PART_SIZE`](super::MIN_PART_SIZE) bytes. The future may outlive the upload.
    fn put_part(&self, number: u32, body: Body) -> BoxFuture<'static, Result<(), StorageError>>;

    /// Joins parts 1, 2, 3 ... into the object, which must then have this checksum.
    ///
    /// After an error the upload stays as it is: it can be resumed or aborted.
    fn complete(self: Arc<Self>, whole: Checksum) -> BoxFuture<'static, Result<(), StorageError>>;

    /// Removes the parts from the store.
    fn abort(self: Arc<Self>) -> BoxFuture<'static, Result<(), StorageError>>;
}

/// What the store says about a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldPart {
    pub size: u64,
    /// The part's CRC-64/NVME, if the store keeps one.
    pub crc64: Option<u64>,
}

/// The parts that the store holds, each with what the store needs to know of it later.
#[derive(Debug)]
pub(super) struct HeldParts<T>(BTreeMap<u32, T>);

impl<T> HeldParts<T> {
    pub fn new() -> Self {
        Self(BTreeMap::new())
    }

    pub fn insert(&mut self, number: u32, part: T) {
        self.0.insert(number, part);
    }

    pub fn get(&self, number: u32) -> Option<&T> {
        self.0.get(&number)
    }

    /// Returns all parts in order, or an error if one is missing. S3 itself would join parts 1 and 3 without
    /// an error.
    pub fn whole(&self, key: &ObjectKey) -> Result<Vec<(u32, &T)>, StorageError> {
        let last = self.0.keys().next_back().copied().unwrap_or(1);
        let missing = (1..=last).find(|number| !self.0.contains_key(number));
        match missing {
            Some(part) => Err(StorageError::MissingPart { key: key.clone(), part }),
            None => Ok(self.0.iter().map(|(&number, part)| (number, part)).collect()),
        }
    }
}

/// Returns letters and digits that no other upload has.
pub(super) fn random_mark() -> String {
    const LEN: usize = 16;
    let random = rand::rng().sample_iter(&Alphanumeric).take(LEN);
    random.map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing_of(numbers: &[u32]) -> Option<u32> {
        let mut held = HeldParts::new();
        for &number in numbers {
            held.insert(number, ());
        }
        let key = "room/x.mp4".parse().expect("a valid key");
        match held.whole(&key) {
            Ok(parts) => {
                assert!(parts.iter().map(|p| p.0).eq(1..=numbers.len() as u32));
                None
            }
            Err(StorageError::MissingPart { part, .. }) => Some(part),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn parts_are_joined_in_order_of_number_however_they_arrived() {
        assert_eq!(missing_of(&[2, 3, 1]), None);
    }

    #[test]
    fn an_object_with_a_missing_part_is_never_joined() {
        assert_eq!(missing_of(&[]), Some(1));
        assert_eq!(missing_of(&[2, 3]), Some(1));
        assert_eq!(missing_of(&[1, 2, 4]), Some(3));
    }
}
