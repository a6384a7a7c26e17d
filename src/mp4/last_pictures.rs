//! The pictures of a spool since its last keyframe. A decoder needs them to show the last picture again.

use bytes::Bytes;
use mp4_atom::{Atom, Avcc, Error, Mdat, Moof};

use super::annex_b::Avc;
use super::error::Mp4Error;
use super::framing::Framing;
use super::index::Run;
use super::{MovieConfig, parse};
use crate::media::StreamKind;

/// Reads the fragments of a spool from `offset` on, where the fragment with the last keyframe begins. Returns
/// access units (Annex B) in the order of decoding. The first is the keyframe with its parameter sets.
pub fn last_pictures(
    config: &MovieConfig,
    offset: u64,
    mut fragments: &[u8],
) -> Result<Vec<Bytes>, Mp4Error> {
    let mut framing = Framing::at(offset);
    let broken = Error::Unsupported("a picture that no decoder could take");
    let Some(avc) = config.video.as_ref().and_then(|video| Avc::read(&video.avcc)) else {
        return Err(Mp4Error::Malformed { offset, kind: Avcc::KIND, source: broken });
    };
    let mut pictures = Vec::new();
    while !fragments.is_empty() {
        let moof = framing.offset();
        let Some(body) = framing.collect(Moof::KIND, &mut fragments)? else { break };
        let runs = parse::runs(body).map_err(|source| framing.malformed(Moof::KIND, source))?;
        framing.pass();
        let Some(len) = framing.header(Mdat::KIND, &mut fragments)? else { break };
        framing.pass();
        let media_start = framing.position() - moof;
        let Some((media, rest)) = fragments.split_at_checked(usize::try_from(len).unwrap_or(usize::MAX))
        else {
            break;
        };
        for run in runs.iter().filter(|run| run.stream == StreamKind::Video) {
            take_pictures(run, media_start, media, &avc, &mut pictures)
                .ok_or_else(|| framing.malformed(Mdat::KIND, Error::OutOfBounds))?;
        }
        framing.skip(len);
        fragments = rest;
    }
    Ok(pictures)
}

/// Returns `None` if the media does not match the run.
fn take_pictures(
    run: &Run,
    media_start: u64,
    media: &[u8],
    avc: &Avc,
    pictures: &mut Vec<Bytes>,
) -> Option<()> {
    let start = u64::try_from(run.data_offset).ok()?.checked_sub(media_start)?;
    let mut rest = media.get(usize::try_from(start).ok()?..)?;
    for (n, size) in (0..).zip(&run.sizes) {
        let (sample, after) = rest.split_at_checked(usize::try_from(*size).ok()?)?;
        let keyframe = run.keyframes.contains(&n);
        if keyframe {
            pictures.clear();
        }
        if keyframe || !pictures.is_empty() {
            pictures.push(avc.access_unit(sample, keyframe)?);
        }
        rest = after;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mp4::SpoolReader;
    use crate::mp4::testing::{config, pieces, recording};

    /// Returns a spool whose pictures are single NAL units with their number in them.
    fn spool(ticks: usize, gop: usize) -> Vec<u8> {
        let mut samples = recording(ticks, gop);
        let pictures = samples.iter_mut().filter(|sample| sample.stream == StreamKind::Video);
        for (n, picture) in pictures.enumerate() {
            picture.data = [&[0, 0, 0, 5, 0x41][..], &(n as u32).to_be_bytes()].concat().into();
        }
        pieces(&samples).concat()
    }

    fn pictures(spool: &[u8]) -> Vec<u32> {
        let mut reader = SpoolReader::new();
        reader.feed(spool).expect("a good spool");
        let start = reader.position().keyframe_fragment.expect("a keyframe");
        let pictures = last_pictures(&config(), start, &spool[start as usize..]).expect("good fragments");
        let number = |picture: &Bytes| {
            let last = picture.last_chunk::<4>().expect("a number");
            u32::from_be_bytes(*last)
        };
        pictures.iter().map(number).collect()
    }

    #[test]
    fn they_begin_with_the_last_keyframe_wherever_it_is_in_its_fragment() {
        assert_eq!(pictures(&spool(45, 22)), [44]);
        assert_eq!(pictures(&spool(45, 30)), (30..45).collect::<Vec<_>>());
        assert_eq!(pictures(&spool(25, 7)), [21, 22, 23, 24]);
        assert_eq!(pictures(&spool(40, 60)), (0..40).collect::<Vec<_>>());
    }

    #[test]
    fn only_the_keyframe_has_parameter_sets() {
        let spool = spool(3, 30);
        let mut reader = SpoolReader::new();
        reader.feed(&spool).expect("a good spool");
        let start = reader.position().keyframe_fragment.expect("a keyframe");
        let pictures = last_pictures(&config(), start, &spool[start as usize..]).expect("good fragments");
        let lengths: Vec<_> = pictures.iter().map(Bytes::len).collect();
        // An SPS of 26 bytes and a PPS of 5 before it, each with a start code.
        assert_eq!(lengths, [9 + 30 + 9, 9, 9]);
    }

    proptest! {
        #[test]
        fn damage_and_an_early_end_are_survived(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
            end in any::<prop::sample::Index>(),
        ) {
            let mut spool = spool(40, 30);
            for (place, value) in damage {
                let n = place.index(spool.len());
                spool[n] = value;
            }
            spool.truncate(end.index(spool.len() + 1));
            let init = pieces(&[])[0].len();
            if let Some(fragments) = spool.get(init..) {
                let _ = last_pictures(&config(), init as u64, fragments);
            }
        }
    }
}
