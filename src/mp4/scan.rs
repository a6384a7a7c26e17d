//! Finds where a spool ends without reading its media: after a crash, before a new worker resumes it.
//!
//! Contract: reads are in ascending order, one a fragment, each of a few kilobytes. Whatever the file
//! contains, the position is the one that a [`SpoolReader`] returns after reading the whole spool.

use super::error::Mp4Error;
use super::spool::{SpoolPosition, SpoolReader};

/// A `moof` of the writer has a tenth of this. Each read also brings the header of the next media, and most
/// of the media is skipped.
const READ_BYTES: usize = 4096;

/// How far a spool is usable.
#[derive(Debug)]
pub struct Scan {
    pub position: SpoolPosition,
    /// The fault in the bytes after that position. `None` if there are none, or only the beginning of a
    /// fragment.
    pub fault: Option<Mp4Error>,
}

/// Scans a spool of `len` bytes. `read` fills a buffer from an offset of the spool on and returns how many
/// bytes it filled. A buffer that is not full means that the spool ends there.
pub fn scan<E>(len: u64, mut read: impl FnMut(u64, &mut [u8]) -> Result<usize, E>) -> Result<Scan, E> {
    let mut reader = SpoolReader::new();
    let mut buffer = [0; READ_BYTES];
    let fault = loop {
        let at = reader.needs();
        let found = if at < len { read(at, &mut buffer)? } else { 0 };
        let bytes = &buffer[..found.min(READ_BYTES)];
        let fed = reader.feed(bytes).and_then(|_| reader.skip(len.saturating_sub(reader.needs())));
        match fed {
            Err(fault) => break Some(fault),
            Ok(_) if bytes.is_empty() => break None,
            Ok(_) => {}
        }
    };
    Ok(Scan { position: reader.position(), fault })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;
    use crate::mp4::testing::{audio, pieces, recording, video};

    /// Also returns the number of bytes that were read.
    fn scanned(spool: &[u8]) -> (Scan, usize) {
        let mut total = 0;
        let scan = scan(spool.len() as u64, |at, buffer| {
            let there = &spool[at as usize..];
            let len = there.len().min(buffer.len());
            buffer[..len].copy_from_slice(&there[..len]);
            total += len;
            Ok::<_, Infallible>(len)
        });
        let Ok(scan) = scan;
        (scan, total)
    }

    #[test]
    fn the_position_is_the_end_of_the_last_whole_fragment() {
        let pieces = pieces(&recording(45, 7));
        let spool = pieces.concat();
        let fragments = pieces.len() as u32 - 1;
        let (scan, _) = scanned(&spool);
        assert!(scan.fault.is_none());
        let SpoolPosition { bytes, ticks, audio_frames, .. } = scan.position;
        assert_eq!((bytes, ticks, audio_frames), (spool.len() as u64, 45, 71));
        assert_eq!(scan.position.fragments, fragments);

        let (cut, _) = scanned(&spool[..spool.len() - 1]);
        let last = pieces.last().expect("a fragment").len();
        assert_eq!(cut.position.bytes, (spool.len() - last) as u64);
        assert_eq!(cut.position.fragments, fragments - 1);
        assert!(cut.fault.is_none());
    }

    #[test]
    fn the_last_keyframe_is_found_by_its_fragment() {
        let pieces = pieces(&recording(45, 22));
        let (scan, _) = scanned(&pieces.concat());
        // Frame 44 is a keyframe, in the last fragment.
        let last = pieces[..pieces.len() - 1].concat().len() as u64;
        assert_eq!(scan.position.keyframe_fragment, Some(last));
        let (cut, _) = scanned(&pieces[..pieces.len() - 1].concat());
        // Frame 22 is in the third.
        assert_eq!(cut.position.keyframe_fragment, Some(pieces[..3].concat().len() as u64));
    }

    #[test]
    fn a_spool_without_a_whole_moov_has_nothing() {
        let init = &pieces(&[])[0];
        for len in 0..init.len() {
            let (scan, _) = scanned(&init[..len]);
            assert_eq!((scan.position, scan.fault.is_none()), (SpoolPosition::default(), true));
        }
        let (whole, _) = scanned(init);
        let expected = SpoolPosition { bytes: init.len() as u64, ..SpoolPosition::default() };
        assert_eq!(whole.position, expected);
    }

    #[test]
    fn media_is_not_read() {
        let mut samples: Vec<_> = (0..60).map(|n| video(n, 30)).collect();
        samples.iter_mut().for_each(|sample| sample.data = vec![7; 100_000].into());
        samples.extend((0..90).map(audio));
        let spool = pieces(&samples).concat();
        let (scan, read) = scanned(&spool);
        assert_eq!((scan.position.bytes, scan.position.ticks), (spool.len() as u64, 60));
        assert!(read < 50_000, "{read} of {} bytes were read", spool.len());
    }

    proptest! {
        #[test]
        fn what_is_skipped_makes_no_difference(
            ticks in 0..60usize,
            gop in 1..40usize,
            damage in proptest::collection::vec((any::<prop::sample::Index>(), 1..=255u8), 0..3),
            end in any::<prop::sample::Index>(),
        ) {
            let mut spool = pieces(&recording(ticks, gop)).concat();
            for (place, flipped) in damage {
                let n = place.index(spool.len());
                spool[n] ^= flipped;
            }
            spool.truncate(end.index(spool.len() + 1));
            let mut reader = SpoolReader::new();
            while reader.feed(&spool[reader.needs() as usize..]).is_ok_and(|ranges| !ranges.is_empty()) {}
            let fault = reader.feed(&[]).err();
            let (scan, _) = scanned(&spool);
            prop_assert_eq!(scan.position, reader.position());
            prop_assert_eq!(scan.fault.map(|f| f.to_string()), fault.map(|f| f.to_string()));
        }
    }
}
