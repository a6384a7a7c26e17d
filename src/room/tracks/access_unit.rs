//! Looks into access units of H.264 or H.265 (Annex B): whether a decoder can start with one. Pure.
//!
//! If the first slices or packets of a keyframe were lost, str0m returns the rest as a frame of its own and
//! marks it as a keyframe. A decoder would show it as grey or old blocks.

use crate::media::Codec;

/// Separates the NAL units that str0m makes from RTP; it cannot occur inside of one (ITU-T H.264, section
/// 7.4.1).
const START_CODE: [u8; 3] = [0, 0, 1];

/// Returns whether the unit has all parameter sets before its first slice, and whether that slice begins the
/// picture. Always `true` for codecs whose keyframes come in one piece.
pub fn can_start_decoder(codec: Codec, unit: &[u8]) -> bool {
    match codec {
        Codec::H264 => begins_whole(unit, h264, &[Part::SequenceSet, Part::PictureSet]),
        Codec::H265 => begins_whole(unit, h265, &[Part::VideoSet, Part::SequenceSet, Part::PictureSet]),
        Codec::Vp8 | Codec::Vp9 | Codec::Av1 | Codec::Opus => true,
    }
}

/// Returns whether the unit is the rest of a picture whose beginning is missing. For H.265 only: of other
/// codecs str0m says so.
pub fn lacks_first_slice(codec: Codec, unit: &[u8]) -> bool {
    codec == Codec::H265 && nal_units(unit).map(h265).find(Part::is_slice) == Some(Part::LaterSlice)
}

/// The types of NAL units that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    VideoSet,
    SequenceSet,
    PictureSet,
    FirstSlice,
    LaterSlice,
    Other,
}

impl Part {
    fn is_slice(&self) -> bool {
        matches!(self, Self::FirstSlice | Self::LaterSlice)
    }
}

fn begins_whole(unit: &[u8], part: impl Fn(&[u8]) -> Part, needed: &[Part]) -> bool {
    let mut missing = needed.to_vec();
    for part in nal_units(unit).map(part) {
        match part {
            Part::FirstSlice => return missing.is_empty(),
            Part::LaterSlice => return false,
            set => missing.retain(|needed| *needed != set),
        }
    }
    false
}

/// ITU-T H.264, section 7.3.1 and table 7-1. A slice header begins with `first_mb_in_slice`, whose value 0 is
/// coded as a single 1 bit.
fn h264(nal: &[u8]) -> Part {
    match nal.first().map(|header| header & 0x1f) {
        Some(7) => Part::SequenceSet,
        Some(8) => Part::PictureSet,
        Some(1..=5) if top_bit(nal.get(1)) => Part::FirstSlice,
        Some(1..=5) => Part::LaterSlice,
        _ => Part::Other,
    }
}

/// ITU-T H.265, section 7.3.1.2 and table 7-1. A slice header begins with `first_slice_segment_in_pic_flag`.
fn h265(nal: &[u8]) -> Part {
    match nal.first().map(|header| header >> 1 & 0x3f) {
        Some(32) => Part::VideoSet,
        Some(33) => Part::SequenceSet,
        Some(34) => Part::PictureSet,
        Some(0..=31) if top_bit(nal.get(2)) => Part::FirstSlice,
        Some(0..=31) => Part::LaterSlice,
        _ => Part::Other,
    }
}

fn top_bit(byte: Option<&u8>) -> bool {
    byte.is_some_and(|byte| byte & 0x80 != 0)
}

/// Returns a slice from each start code to the end of `unit`: only the first bytes are read.
fn nal_units(unit: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = unit;
    std::iter::from_fn(move || {
        rest = after_start_code(rest)?;
        Some(rest)
    })
}

fn after_start_code(bytes: &[u8]) -> Option<&[u8]> {
    let at = bytes.windows(START_CODE.len()).position(|window| window == START_CODE)?;
    Some(&bytes[at + START_CODE.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns an access unit of these NAL units.
    fn unit(nals: &[&[u8]]) -> Vec<u8> {
        nals.iter().flat_map(|nal| [&[0, 0, 0, 1], *nal].concat()).collect()
    }

    const SPS: &[u8] = &[0x67, 0x42, 0xc0, 0x15];
    const PPS: &[u8] = &[0x68, 0xcb, 0x8c];
    const IDR: &[u8] = &[0x65, 0x88, 0x84];
    const LATER_IDR: &[u8] = &[0x65, 0x00, 0x9a, 0x88];

    #[test]
    fn an_h264_keyframe_begins_with_its_parameter_sets_and_its_first_slice() {
        assert!(can_start_decoder(Codec::H264, &unit(&[SPS, PPS, IDR])));
        assert!(can_start_decoder(
            Codec::H264,
            &unit(&[&[0x09, 0x10], SPS, PPS, &[0x06, 5, 1, 7], IDR, LATER_IDR])
        ));
    }

    #[test]
    fn what_is_left_of_an_h264_keyframe_without_its_first_packet_starts_nothing() {
        for rest in
            [&[IDR, LATER_IDR][..], &[PPS, IDR], &[LATER_IDR], &[SPS, PPS, LATER_IDR], &[SPS, PPS], &[]]
        {
            assert!(!can_start_decoder(Codec::H264, &unit(rest)), "{rest:?}");
        }
    }

    #[test]
    fn an_h265_keyframe_needs_three_parameter_sets() {
        let (vps, sps, pps): (&[u8], &[u8], &[u8]) = (&[0x40, 1, 0x0c], &[0x42, 1, 1], &[0x44, 1, 0xc1]);
        let (idr, later): (&[u8], &[u8]) = (&[0x28, 1, 0xaf], &[0x28, 1, 0x2f]);
        assert!(can_start_decoder(Codec::H265, &unit(&[vps, sps, pps, idr, later])));
        for rest in [&[sps, pps, idr][..], &[vps, sps, idr], &[idr], &[vps, sps, pps, later]] {
            assert!(!can_start_decoder(Codec::H265, &unit(rest)), "{rest:?}");
        }
    }

    #[test]
    fn bytes_of_any_kind_are_no_more_than_not_a_keyframe() {
        for codec in [Codec::H264, Codec::H265] {
            for bytes in [&[][..], &[0, 0, 1], &[0, 0, 0, 1, 0x40], &[0xff; 40], &[0; 40]] {
                assert!(!can_start_decoder(codec, bytes));
            }
        }
    }

    #[test]
    fn other_codecs_have_keyframes_of_one_piece() {
        assert!(can_start_decoder(Codec::Vp8, &[]));
    }
}
