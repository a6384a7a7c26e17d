//! The reader against good, short and damaged spools.

use mp4_atom::FourCC;
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::mp4::testing::{config, pieces, read, recording};

/// Feeds a spool in chunks of the given lengths, repeated; stops at a fault.
fn read_in_chunks(spool: &[u8], lens: &[usize]) -> (Vec<SpoolRange>, Option<Mp4Error>) {
    let mut reader = SpoolReader::new();
    let mut ranges = Vec::new();
    let mut rest = spool;
    for len in lens.iter().cycle() {
        let (chunk, after) = rest.split_at(rest.len().min(*len));
        match reader.feed(chunk) {
            Ok(more) => ranges.extend(more),
            Err(_) => break,
        }
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let fault = reader.feed(&[]).err();
    // Every index that the reader accepts can be written.
    if let Ok(index) = reader.finish() {
        index.head();
    }
    (ranges, fault)
}

fn fault(spool: &[u8]) -> String {
    let (_, fault) = read_in_chunks(spool, &[spool.len()]);
    fault.expect("a fault").to_string()
}

#[test]
fn the_reader_knows_what_the_writer_was_told() {
    let (ranges, index) = read(&pieces(&recording(20, 10)).concat());
    // Two ranges of ten frames each, and the sound of the last tick.
    assert_eq!(ranges.len(), 3);
    assert_eq!(index.config, config());
    assert_eq!(index.video.keyframes, [1, 11]);
    assert_eq!(index.frames(), 20);
    assert_eq!(index.audio.sizes.len(), 32);
}

#[test]
fn the_ranges_are_the_payloads_of_all_mdats() {
    let pieces = pieces(&recording(40, 30));
    let spool = pieces.concat();
    let (ranges, index) = read(&spool);
    let mut end = pieces[0].len() as u64;
    for (range, fragment) in ranges.iter().zip(&pieces[1..]) {
        end += fragment.len() as u64;
        assert_eq!(range.offset + range.len, end);
        assert_eq!(&spool[range.offset as usize - 4..][..4], b"mdat");
    }
    assert_eq!(end, spool.len() as u64);
    assert_eq!(index.media_len(), ranges.iter().map(|r| r.len).sum::<u64>());
}

#[test]
fn a_spool_cut_off_at_any_byte_has_the_whole_fragments_before_it() {
    let pieces = pieces(&recording(40, 30));
    let spool = pieces.concat();
    for len in 0..spool.len() {
        let mut reader = SpoolReader::new();
        let ranges = reader.feed(&spool[..len]).expect("nothing is wrong so far");
        let borders = pieces.iter().scan(0, |end, piece| {
            *end += piece.len();
            Some(*end)
        });
        let Some(whole) = borders.filter(|end| *end <= len).count().checked_sub(1) else {
            assert!(matches!(
                reader.finish(),
                Err(Mp4Error::NoMovie { len: l }) if l == len as u64
            ));
            continue;
        };
        let (expected_ranges, expected) = read(&pieces[..=whole].concat());
        assert_eq!(ranges, expected_ranges, "cut off at {len}");
        assert_eq!(reader.finish().expect("a moov"), expected, "cut off at {len}");
    }
}

#[test]
fn a_box_that_does_not_belong_there_is_named_with_its_place() {
    let mut spool = pieces(&recording(15, 15)).concat();
    let end = spool.len();
    spool.extend([0; 64]);
    assert_eq!(
        fault(&spool),
        format!("box `\\x00\\x00\\x00\\x00` at byte {end} of the spool, where `moof` should be")
    );
    assert_eq!(fault(b"not an MP4 at all"), "box `an M` at byte 0 of the spool, where `ftyp` should be");
}

#[test]
fn a_length_that_no_box_of_ours_has_is_refused_before_memory_is_taken() {
    let mut spool = pieces(&[])[0].clone();
    let end = spool.len();
    for len in [0, 1, 7, u32::MAX] {
        spool.truncate(end);
        spool.extend(len.to_be_bytes());
        spool.extend(b"moof");
        spool.extend([0; 16]);
        assert_eq!(fault(&spool), format!("box `moof` at byte {end} of the spool has an impossible length"));
    }
}

#[test]
fn a_missing_fragment_is_noticed() {
    let mut pieces = pieces(&recording(45, 15));
    let offset = pieces[0].len() + pieces[1].len();
    pieces.remove(2);
    assert_eq!(
        fault(&pieces.concat()),
        format!("`moof` at byte {offset} of the spool starts track 1 at 10240, not 5120")
    );
}

#[test]
fn media_of_another_length_than_its_samples_is_refused() {
    let mut spool = pieces(&recording(15, 15)).concat();
    let (ranges, _) = read(&spool);
    let header = ranges[0].offset as usize - 8;
    let len = u32::try_from(ranges[0].len).expect("a small fragment");
    spool[header..][..4].copy_from_slice(&(len + 8 + 1).to_be_bytes());
    assert_eq!(
        fault(&spool),
        format!("`mdat` at byte {header} of the spool holds {} bytes, its samples {len}", len + 1)
    );
}

#[test]
fn a_run_that_lies_elsewhere_is_refused() {
    let mut spool = pieces(&recording(15, 15)).concat();
    // The first trun: length, kind, version and flags, sample count, data offset.
    let trun = spool.windows(4).position(|w| w == b"trun").expect("a trun");
    spool[trun + 15] ^= 1;
    assert!(fault(&spool).contains("places track 1 at"), "{}", fault(&spool));
}

#[test]
fn a_run_of_four_billion_samples_in_a_few_bytes_is_refused() {
    let mut spool = pieces(&recording(15, 15)).concat();
    let trun = spool.windows(4).position(|w| w == b"trun").expect("a trun");
    // No sizes, no flags.
    spool[trun + 4..][..4].copy_from_slice(&[0, 0, 0, 1]);
    spool[trun + 8..][..4].copy_from_slice(&u32::MAX.to_be_bytes());
    assert!(fault(&spool).ends_with("is malformed"), "{}", fault(&spool));
}

#[test]
fn fragments_before_a_fault_are_given_before_it_and_kept_after_it() {
    let mut spool = pieces(&recording(30, 15)).concat();
    let good = read(&spool);
    spool.extend(b"\0\0\0\x10free12345678");
    let mut reader = SpoolReader::new();
    assert_eq!(reader.feed(&spool).expect("ranges first"), good.0);
    for _ in 0..2 {
        assert!(matches!(
            reader.feed(b"more"),
            Err(Mp4Error::UnexpectedBox { found, .. }) if found == FourCC::new(b"free")
        ));
    }
    assert_eq!(reader.finish().expect("a moov"), good.1);
}

proptest! {
    #[test]
    fn chunks_of_any_size_give_the_same(
        ticks in 0..60usize,
        gop in 1..40usize,
        lens in vec(1..600usize, 1..30),
    ) {
        let spool = pieces(&recording(ticks, gop)).concat();
        let mut reader = SpoolReader::new();
        let mut ranges = Vec::new();
        let mut rest = spool.as_slice();
        for len in lens.iter().cycle() {
            let (chunk, after) = rest.split_at(rest.len().min(*len));
            ranges.extend(reader.feed(chunk).expect("a good spool"));
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!((ranges, reader.finish().expect("a moov")), read(&spool));
    }

    #[test]
    fn damage_anywhere_is_an_error_or_a_shorter_recording_and_the_same_in_any_chunks(
        damage in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        lens in vec(1..600usize, 1..30),
    ) {
        let mut spool = pieces(&recording(40, 30)).concat();
        for (place, value) in damage {
            let n = place.index(spool.len());
            spool[n] = value;
        }
        let (ranges, fault) = read_in_chunks(&spool, &lens);
        let (same_ranges, same_fault) = read_in_chunks(&spool, &[spool.len()]);
        prop_assert_eq!(ranges, same_ranges);
        prop_assert_eq!(fault.map(|f| f.to_string()), same_fault.map(|f| f.to_string()));
    }

    #[test]
    fn every_whole_fragment_before_a_fault_is_kept(
        place in any::<prop::sample::Index>(),
        flipped in 1..=255u8,
        end in any::<prop::sample::Index>(),
    ) {
        let pieces = pieces(&recording(60, 30));
        let mut spool = pieces.concat();
        let place = pieces[0].len() + place.index(spool.len() - pieces[0].len());
        spool[place] ^= flipped;
        spool.truncate(end.index(spool.len() + 1));
        let good = place.min(spool.len());
        let borders = pieces.iter().scan(0, |end, piece| {
            *end += piece.len();
            Some(*end)
        });
        let whole: Vec<_> = borders.take_while(|end| *end <= good).collect();
        let mut reader = SpoolReader::new();
        let ranges = reader.feed(&spool).unwrap_or_default();
        prop_assert!(reader.position().bytes >= whole.last().map_or(0, |end| *end as u64));
        prop_assert!(reader.position().bytes <= spool.len() as u64);
        prop_assert!(ranges.iter().all(|range| range.offset + range.len <= spool.len() as u64));
        let expected = whole.len().checked_sub(1).map(|last| read(&pieces[..=last].concat()).0);
        prop_assert!(ranges.starts_with(&expected.unwrap_or_default()));
    }

    #[test]
    fn any_bytes_where_a_moof_or_moov_should_be_are_read_without_a_panic(
        body in vec(any::<u8>(), 0..400),
        kind in prop::sample::select(vec![*b"moov", *b"moof"]),
    ) {
        let pieces = pieces(&[]);
        let ftyp_len = pieces[0].windows(4).position(|w| w == b"moov").expect("a moov") - 4;
        let mut spool = match &kind {
            b"moov" => pieces[0][..ftyp_len].to_vec(),
            _ => pieces[0].clone(),
        };
        spool.extend((body.len() as u32 + 8).to_be_bytes());
        spool.extend(kind);
        spool.extend(body);
        let (ranges, _) = read_in_chunks(&spool, &[64]);
        prop_assert!(ranges.is_empty());
    }
}
