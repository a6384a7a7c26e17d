//! CRC-64/NVME, a checksum that can be combined: an object's follows from those of its parts. Pure.
//!
//! Contract: a [`Checksum`] knows how many bytes it covers. `a.followed_by(b)` is the checksum of the bytes
//! of `a` and then those of `b`.

use crc_fast::{CrcAlgorithm, Digest, checksum_combine};

const ALGORITHM: CrcAlgorithm = CrcAlgorithm::Crc64Nvme;

/// The checksum and the number of some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Checksum {
    crc64: u64,
    len: u64,
}

/// A checksum while bytes are added.
#[derive(Clone, Debug)]
pub struct Summing(Digest);

impl Checksum {
    pub fn new(crc64: u64, len: u64) -> Self {
        Self { crc64, len }
    }

    pub fn of(bytes: &[u8]) -> Self {
        let mut summing = Summing::default();
        summing.add(bytes);
        summing.done()
    }

    pub fn crc64(self) -> u64 {
        self.crc64
    }

    /// Returns the number of bytes that it covers.
    pub fn size(self) -> u64 {
        self.len
    }

    pub fn followed_by(self, next: Self) -> Self {
        Self {
            crc64: checksum_combine(ALGORITHM, self.crc64, next.crc64, next.len),
            len: self.len + next.len,
        }
    }
}

impl Summing {
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub fn done(self) -> Checksum {
        Checksum { crc64: self.0.finalize(), len: self.0.get_amount() }
    }
}

impl Default for Summing {
    fn default() -> Self {
        Self(Digest::new(ALGORITHM))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn it_is_the_checksum_of_the_nvme_specification() {
        // The check value of CRC-64/NVME in the catalogue of parametrised CRC algorithms.
        assert_eq!(Checksum::of(b"123456789"), Checksum::new(0xae8b_1486_0a79_9888, 9));
    }

    proptest! {
        #[test]
        fn the_checksums_of_the_parts_make_that_of_the_whole(
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..12),
        ) {
            let joined = parts.iter().fold(Checksum::default(), |sum, part| sum.followed_by(Checksum::of(part)));
            prop_assert_eq!(joined, Checksum::of(&parts.concat()));
        }
    }
}
