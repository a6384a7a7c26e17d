//! Turns H.264 as stored in an MP4 (ISO/IEC 14496-15: lengths before the NAL units, parameter sets apart)
//! into the byte stream that decoders of live media take (ITU-T H.264, annex B).

use bytes::Bytes;

const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// The content of an `avcC`: the size of the lengths, and the parameter sets.
pub(super) struct Avc {
    length_bytes: usize,
    /// With start codes before them.
    parameter_sets: Vec<u8>,
}

impl Avc {
    /// Returns `None` if the record is broken.
    pub(super) fn read(avcc: &[u8]) -> Option<Self> {
        // Version, profile, compatibility, level; then the size of the lengths in 2 bits and the number of
        // SPS in 5.
        let mut rest = avcc.get(4..)?;
        let length_bytes = usize::from(take(&mut rest, 1)?[0] & 3) + 1;
        let mut parameter_sets = Vec::new();
        for mask in [0x1f, 0xff] {
            let sets = take(&mut rest, 1)?[0] & mask;
            for _ in 0..sets {
                parameter_sets.extend(START_CODE);
                parameter_sets.extend(unit(&mut rest, 2)?);
            }
        }
        Some(Self { length_bytes, parameter_sets })
    }

    /// Returns one sample as an access unit, a keyframe with the parameter sets before it. Returns `None` if
    /// the sample is broken.
    pub(super) fn access_unit(&self, mut sample: &[u8], keyframe: bool) -> Option<Bytes> {
        let mut access_unit = Vec::with_capacity(sample.len() + self.parameter_sets.len() + 16);
        if keyframe {
            access_unit.extend(&self.parameter_sets);
        }
        while !sample.is_empty() {
            access_unit.extend(START_CODE);
            access_unit.extend(unit(&mut sample, self.length_bytes)?);
        }
        Some(access_unit.into())
    }
}

/// Removes and returns a NAL unit with its length before it.
fn unit<'a>(rest: &mut &'a [u8], length_bytes: usize) -> Option<&'a [u8]> {
    let length = take(rest, length_bytes)?;
    let length = length.iter().fold(0, |sum, &byte| sum << 8 | usize::from(byte));
    take(rest, length)
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AVCC: &[u8] = &[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 2, 0x67, 0x64, 1, 0, 3, 0x68, 0xeb, 0xec];

    #[test]
    fn lengths_become_start_codes() {
        let avc = Avc::read(AVCC).expect("a good record");
        let sample = [0, 0, 0, 2, 0x41, 7, 0, 0, 0, 1, 0x06];
        let expected: &[u8] = &[0, 0, 0, 1, 0x41, 7, 0, 0, 0, 1, 0x06];
        assert_eq!(avc.access_unit(&sample, false).expect("a good sample"), expected);
    }

    #[test]
    fn a_keyframe_comes_with_its_parameter_sets() {
        let avc = Avc::read(AVCC).expect("a good record");
        let expected: &[u8] = &[0, 0, 0, 1, 0x67, 0x64, 0, 0, 0, 1, 0x68, 0xeb, 0xec, 0, 0, 0, 1, 0x65];
        assert_eq!(avc.access_unit(&[0, 0, 0, 1, 0x65], true).expect("a good sample"), expected);
    }

    #[test]
    fn what_is_cut_off_is_nothing() {
        for len in 0..AVCC.len() {
            assert!(Avc::read(&AVCC[..len]).is_none(), "{len} bytes");
        }
        let avc = Avc::read(AVCC).expect("a good record");
        assert!(avc.access_unit(&[0, 0, 0, 2, 0x41], false).is_none());
        assert!(avc.access_unit(&[0, 0, 0], false).is_none());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(record in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Some(avc) = Avc::read(&record) {
                let _ = avc.access_unit(&record, true);
            }
        }
    }
}
