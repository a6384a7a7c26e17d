//! The specification of spool and head: what is written is found again, wherever it is cut.

use bytes::Bytes;
use mp4_atom::{Any, Decode, DecodeMaybe, Moov, Trak};
use proptest::prelude::*;

use super::*;
use crate::media::{EncodedSample, StreamKind};

const FRAME_RATE: u32 = 30;
/// x264's configuration of a 1280x720 High profile stream.
const AVCC: &str = "0164001fffe1001d6764001facb402802dd80b50101014000003000400000300f23c60ca8001000468ef3cb0";
/// AAC-LC, 48 kHz, stereo.
const AUDIO_SPECIFIC_CONFIG: [u8; 2] = [0x11, 0x90];

fn config() -> MovieConfig {
    MovieConfig {
        size: Size { width: 1280, height: 720 },
        frame_rate: FRAME_RATE,
        setup: StreamSetup {
            avcc: Bytes::from(hex::decode(AVCC).unwrap()),
            audio_specific_config: Bytes::from_static(&AUDIO_SPECIFIC_CONFIG),
            audio_priming: 1024,
        },
    }
}

/// A sample that can be told from every other.
fn sample(stream: StreamKind, n: usize) -> EncodedSample {
    let name = match stream {
        StreamKind::Video => "video",
        StreamKind::Audio => "audio",
    };
    let data = format!("{name} {n} {}", "x".repeat(n * 7 % 31));
    let keyframe = stream == StreamKind::Audio || n.is_multiple_of(60);
    EncodedSample { stream, data: data.into(), keyframe }
}

struct Written {
    spool: Vec<u8>,
    /// Ends of the whole fragments in it.
    fragment_ends: Vec<usize>,
    video: usize,
    audio: usize,
}

/// A spool with this many pictures and the sound that belongs to them, as the encoders interleave them.
fn write(pictures: usize) -> Written {
    let (mut writer, mut spool) = FragmentWriter::new(config()).unwrap();
    let (mut fragment_ends, mut audio) = (vec![spool.len()], 0);
    let take = |spool: &mut Vec<u8>, ends: &mut Vec<usize>, fragment: Option<Vec<u8>>| {
        if let Some(fragment) = fragment {
            spool.extend(fragment);
            ends.push(spool.len());
        }
    };
    for n in 0..pictures {
        // The audio encoder is ahead: it has no look-ahead.
        while audio * 1024 < (n + 12) * 1600 {
            let fragment = writer.push(sample(StreamKind::Audio, audio)).unwrap();
            take(&mut spool, &mut fragment_ends, fragment);
            audio += 1;
        }
        let fragment = writer.push(sample(StreamKind::Video, n)).unwrap();
        take(&mut spool, &mut fragment_ends, fragment);
    }
    take(&mut spool, &mut fragment_ends, writer.finish().unwrap());
    Written { spool, fragment_ends, video: pictures, audio }
}

/// The object that the spool's bytes make, fed in pieces of the given lengths.
fn object(spool: &[u8], pieces: &[usize]) -> (Vec<u8>, Index) {
    let (mut reader, mut ranges, mut rest) = (SpoolReader::new(), Vec::new(), spool);
    let mut pieces = pieces.iter().cycle();
    while !rest.is_empty() {
        let piece = pieces.next().map_or(rest.len(), |p| (*p).clamp(1, rest.len()));
        ranges.extend(reader.feed(&rest[..piece]).unwrap());
        rest = &rest[piece..];
    }
    let index = reader.finish().unwrap();
    let mut object = index.head().unwrap();
    for MediaRange { offset, len } in ranges {
        object.extend_from_slice(&spool[offset as usize..(offset + len) as usize]);
    }
    (object, index)
}

fn moov(object: &[u8]) -> Moov {
    let mut rest = object;
    while let Some(atom) = Any::decode_maybe(&mut rest).unwrap() {
        if let Any::Moov(moov) = atom {
            return moov;
        }
    }
    panic!("no moov");
}

/// A track's samples, found by its tables.
fn samples<'a>(object: &'a [u8], trak: &Trak) -> Vec<&'a [u8]> {
    let stbl = &trak.mdia.minf.stbl;
    let mp4_atom::StszSamples::Different { sizes } = &stbl.stsz.samples else { panic!("no sizes") };
    let (mut sizes, mut found) = (sizes.iter(), Vec::new());
    for (n, &chunk) in stbl.stco.as_ref().unwrap().entries.iter().enumerate() {
        let entry = stbl.stsc.entries.iter().rfind(|e| e.first_chunk <= n as u32 + 1).unwrap();
        let mut at = chunk as usize;
        for &size in sizes.by_ref().take(entry.samples_per_chunk as usize) {
            found.push(&object[at..at + size as usize]);
            at += size as usize;
        }
    }
    assert_eq!(sizes.next(), None, "samples in no chunk");
    found
}

fn top_level_boxes(mut bytes: &[u8]) -> Vec<(String, usize)> {
    let mut boxes = Vec::new();
    while !bytes.is_empty() {
        let mut header = bytes;
        let parsed = mp4_atom::Header::decode(&mut header).unwrap();
        let len = bytes.len() - header.len() + parsed.size.unwrap();
        boxes.push((parsed.kind.to_string(), len));
        bytes = &bytes[len..];
    }
    boxes
}

#[test]
fn the_object_has_a_head_one_mdat_and_not_a_byte_more() {
    let written = write(100);
    let (object, index) = object(&written.spool, &[]);
    let boxes = top_level_boxes(&object);
    let names: Vec<_> = boxes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["ftyp", "moov", "mdat"]);
    let expected: usize = (0..written.video)
        .map(|n| sample(StreamKind::Video, n).data.len())
        .chain((0..written.audio).map(|n| sample(StreamKind::Audio, n).data.len()))
        .sum();
    assert_eq!(boxes[2].1, expected + 8);
    assert_eq!(index.media_len(), expected as u64);
}

#[test]
fn every_sample_is_found_by_the_tables() {
    let written = write(100);
    let (object, _) = object(&written.spool, &[]);
    let moov = moov(&object);
    for (trak, stream, count) in
        [(&moov.trak[0], StreamKind::Video, written.video), (&moov.trak[1], StreamKind::Audio, written.audio)]
    {
        let found = samples(&object, trak);
        assert_eq!(found.len(), count);
        for (n, found) in found.into_iter().enumerate() {
            assert_eq!(found, &sample(stream, n).data[..]);
        }
    }
    assert_eq!(moov.trak[0].mdia.minf.stbl.stss.as_ref().unwrap().entries, [1, 61]);
    assert!(moov.trak[1].mdia.minf.stbl.stss.is_none());
}

#[test]
fn both_tracks_last_as_long_as_the_pictures() {
    let (object, index) = object(&write(100).spool, &[]);
    let moov = moov(&object);
    assert_eq!(moov.mvhd.timescale, 48_000);
    assert_eq!(moov.mvhd.duration, 160_000);
    assert!(moov.trak.iter().all(|t| t.tkhd.duration == 160_000));
    let edit = &moov.trak[1].edts.as_ref().unwrap().elst.as_ref().unwrap().entries[0];
    assert_eq!((edit.media_time, edit.segment_duration), (Some(1024), 160_000));
    assert_eq!(index.frames(), 100);
    assert_eq!(index.duration(), std::time::Duration::from_secs_f64(100.0 / 30.0));
}

#[test]
fn a_fragment_holds_half_a_second() {
    let written = write(90);
    // The header, six fragments of 15 pictures, and one of the sound that is left.
    assert_eq!(written.fragment_ends.len(), 1 + 6);
}

#[test]
fn a_spool_without_a_whole_header_is_none() {
    let written = write(15);
    let mut reader = SpoolReader::new();
    reader.feed(&written.spool[..200]).unwrap();
    assert!(matches!(reader.finish(), Err(Mp4Error::NotASpool { .. })));
}

#[test]
fn a_spool_of_a_header_alone_has_no_picture() {
    let written = write(15);
    let mut reader = SpoolReader::new();
    assert_eq!(reader.feed(&written.spool[..written.fragment_ends[0]]).unwrap(), []);
    assert!(reader.finish().unwrap().is_empty());
}

#[test]
fn a_box_that_claims_gigabytes_is_refused_before_it_is_read() {
    let error = SpoolReader::new().feed(b"\xff\xff\xff\xffmoov").unwrap_err();
    assert!(matches!(error, Mp4Error::TooLarge { offset: 0, .. }), "{error}");
}

#[test]
fn a_foreign_box_is_named_with_its_place() {
    let written = write(15);
    let mut reader = SpoolReader::new();
    reader.feed(&written.spool).unwrap();
    let error = reader.feed(b"\0\0\0\x08free").unwrap_err();
    let expected = format!("the box free at byte {} is not expected there", written.spool.len());
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_recording_beyond_four_gibibytes_has_wide_offsets() {
    let written = write(15);
    let mut reader = SpoolReader::new();
    reader.feed(&written.spool).unwrap();
    let index = reader.finish().unwrap();
    let runs = (0..5).map(|_| index::Run { video: true, sizes: vec![1 << 30], keyframes: vec![0] });
    let large = index.with_runs(runs.collect());
    let head = large.head().unwrap();
    let (mdat, front) = (head.len() - 16, head.len() as u64);
    assert_eq!(head[mdat..mdat + 8], *b"\0\0\0\x01mdat");
    assert_eq!(head[mdat + 8..], (5 * (1_u64 << 30) + 16).to_be_bytes());
    let moov = moov(&head[..mdat]);
    let offsets = &moov.trak[0].mdia.minf.stbl.co64.as_ref().unwrap().entries;
    assert_eq!(offsets[4], front + 4 * (1 << 30));
}

proptest! {
    #[test]
    fn pieces_of_any_size_make_the_same_object(pieces in prop::collection::vec(1_usize..3000, 1..20)) {
        let written = write(40);
        prop_assert_eq!(object(&written.spool, &pieces).0, object(&written.spool, &[]).0);
    }

    #[test]
    fn a_spool_cut_anywhere_is_as_good_as_its_whole_fragments(cut in 0.0_f64..1.0) {
        let written = write(60);
        let first = written.fragment_ends[0];
        let cut = first + ((written.spool.len() - first) as f64 * cut) as usize;
        let whole = *written.fragment_ends.iter().rfind(|end| **end <= cut).unwrap();
        let expected = object(&written.spool[..whole], &[]).0;
        prop_assert_eq!(object(&written.spool[..cut], &[]).0, expected);
    }

    #[test]
    fn garbage_is_an_error_or_nothing_but_never_a_panic(
        garbage in prop::collection::vec(any::<u8>(), 0..400),
        at in 0.0_f64..1.0,
    ) {
        let mut spool = write(20).spool;
        let at = (spool.len() as f64 * at) as usize;
        let end = spool.len().min(at + garbage.len());
        spool.splice(at..end, garbage);
        let mut reader = SpoolReader::new();
        if reader.feed(&spool).is_ok() && let Ok(index) = reader.finish() {
            let _ = index.head();
        }
    }
}
