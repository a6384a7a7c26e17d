//! The spool that a worker left behind: damaged in some places, cut off anywhere, read in any pieces.
//!
//! Holds: the pieces make no difference, and neither does leaving out the media; the ranges of media lie one behind the
//! other within what was read, and what can be salvaged has a head; of the last pictures none lies outside.

#![no_main]

use std::convert::Infallible;

use bytes::Bytes;
use egressd::media::{AudioSetup, EncodedSample, Size, StreamKind, StreamSetup, Streams};
use egressd::mp4::{FragmentWriter, SpoolRange, MovieConfig, SpoolReader, last_pictures, scan};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
enum Input {
    Damaged { streams: u8, samples: Vec<(bool, bool, u8)>, damage: Vec<(u16, u8)>, end: u16, pieces: Vec<u8> },
    Anything { bytes: Vec<u8>, pieces: Vec<u8> },
}

fuzz_target!(|input: Input| {
    let (bytes, pieces) = match input {
        Input::Damaged { streams, samples, damage, end, pieces } => {
            let streams = [Streams::Both, Streams::AudioOnly, Streams::VideoOnly][usize::from(streams % 3)];
            let mut bytes = spool(streams, &samples);
            for (at, value) in damage {
                if let Some(byte) = bytes.get_mut(usize::from(at)) {
                    *byte ^= value;
                }
            }
            bytes.truncate(usize::from(end));
            (bytes, pieces)
        }
        Input::Anything { bytes, pieces } => (bytes, pieces),
    };
    let mut whole = SpoolReader::new();
    let at_once = read(&mut whole, [bytes.as_slice()]);
    let mut cut = SpoolReader::new();
    let piecewise = read(&mut cut, pieces_of(&bytes, &pieces));
    assert_eq!(at_once, piecewise);
    let mut end = 0;
    for range in &at_once {
        assert!(range.offset >= end, "{at_once:?}");
        end = range.offset + range.len;
    }
    assert!(end <= bytes.len() as u64);
    let Ok(scanned) = scan(bytes.len() as u64, |at, buffer| {
        let there = &bytes[at as usize..];
        let len = there.len().min(buffer.len());
        buffer[..len].copy_from_slice(&there[..len]);
        Ok::<_, Infallible>(len)
    });
    assert_eq!(scanned.position, whole.position());
    if let (Some(config), Some(start)) = (whole.config(), whole.position().keyframe_fragment) {
        let end = whole.position().bytes as usize;
        let _ = last_pictures(config, start, &bytes[start as usize..end]);
    }
    if let Ok(index) = whole.finish() {
        assert_eq!(index.media_len(), at_once.iter().map(|range| range.len).sum::<u64>());
        assert!(!index.head().is_empty());
    }
});

/// Up to the first fault that stays.
fn read<'a>(reader: &mut SpoolReader, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<SpoolRange> {
    let mut ranges = Vec::new();
    for piece in pieces {
        match reader.feed(piece) {
            Ok(more) => ranges.extend(more),
            Err(_) => break,
        }
    }
    ranges
}

fn pieces_of<'a>(bytes: &'a [u8], lengths: &[u8]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for length in lengths {
        let (piece, more) = rest.split_at(rest.len().min(usize::from(*length)));
        pieces.push(piece);
        rest = more;
    }
    pieces.push(rest);
    pieces
}

/// A sample for each (picture or sound, keyframe, length) whose stream there is.
fn spool(streams: Streams, samples: &[(bool, bool, u8)]) -> Vec<u8> {
    let avcc =
        Bytes::from_static(&[1, 0x64, 0, 0x1f, 0xff, 0xe1, 0, 4, 0x67, 0x64, 0, 0x1f, 1, 0, 2, 0x68, 0xeb]);
    let audio = AudioSetup { specific_config: Bytes::from_static(&[0x11, 0x90]), priming: 1024 };
    let setup = StreamSetup {
        avcc: streams.has(StreamKind::Video).then_some(avcc),
        audio: streams.has(StreamKind::Audio).then_some(audio),
    };
    let config = MovieConfig::new(Size { width: 1280, height: 720 }, 4, setup);
    let (mut writer, mut bytes) = FragmentWriter::new(config);
    for (picture, keyframe, length) in samples {
        let stream = if *picture { StreamKind::Video } else { StreamKind::Audio };
        if !streams.has(stream) {
            continue;
        }
        let data = Bytes::from(vec![*length; usize::from(*length)]);
        bytes.extend(writer.push(EncodedSample { stream, data, keyframe: *keyframe }).into_iter().flatten());
    }
    bytes.extend(writer.finish().into_iter().flatten());
    bytes
}
