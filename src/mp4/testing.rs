//! Recordings for the tests: the bytes of each sample show which sample it is.

use bytes::Bytes;

use super::index::{Index, Run};
use super::{FragmentWriter, MovieConfig, SpoolRange, SpoolReader, sample_duration};
use crate::media::{AudioSetup, EncodedSample, Size, StreamKind, StreamSetup};

/// Parameter sets of a 1280x720 High profile stream.
const AVCC: &[u8] = &[
    0x01, 0x64, 0x00, 0x1f, 0xff, 0xe1, 0x00, 0x1a, 0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05,
    0xbb, 0x01, 0x10, 0x00, 0x00, 0x03, 0x00, 0x10, 0x00, 0x00, 0x03, 0x03, 0xc0, 0xf1, 0x83, 0x19, 0x60,
    0x01, 0x00, 0x05, 0x68, 0xeb, 0xec, 0xb2, 0x2c, 0xfd, 0xf8, 0xf8, 0x00,
];

pub fn config() -> MovieConfig {
    config_at(30)
}

pub fn config_at(frame_rate: u32) -> MovieConfig {
    // AAC-LC, 48 kHz, stereo.
    let audio = AudioSetup { specific_config: Bytes::from_static(&[0x11, 0x90]), priming: 1024 };
    let setup = StreamSetup { avcc: Some(Bytes::from_static(AVCC)), audio: Some(audio) };
    MovieConfig::new(Size { width: 1280, height: 720 }, frame_rate, setup)
}

/// Returns the same configuration with one of its streams only.
pub fn config_of(stream: StreamKind) -> MovieConfig {
    match stream {
        StreamKind::Video => MovieConfig { audio: None, ..config() },
        StreamKind::Audio => MovieConfig { video: None, ..config() },
    }
}

/// Returns video sample `n` of a stream with a keyframe every `gop` frames.
pub fn video(n: usize, gop: usize) -> EncodedSample {
    EncodedSample { stream: StreamKind::Video, data: pattern(1, n), keyframe: n.is_multiple_of(gop) }
}

pub fn audio(n: usize) -> EncodedSample {
    EncodedSample { stream: StreamKind::Audio, data: pattern(2, n), keyframe: true }
}

/// Returns between 5 and 20 bytes that no other sample of the recording has.
fn pattern(stream: u8, n: usize) -> Bytes {
    let mut data = vec![stream];
    data.extend((n as u32).to_be_bytes());
    data.extend(vec![stream; (n * 7) % 16]);
    data.into()
}

/// Returns pictures and sound in the order of a recording.
pub fn recording(ticks: usize, gop: usize) -> Vec<EncodedSample> {
    let mut samples = Vec::new();
    let mut sounds = 0;
    for tick in 0..ticks {
        samples.push(video(tick, gop));
        while sounds * 1024 < (tick + 1) * 1600 {
            samples.push(audio(sounds));
            sounds += 1;
        }
    }
    samples
}

/// Returns the pieces of a spool: the bytes before the fragments, then each fragment.
pub fn pieces(samples: &[EncodedSample]) -> Vec<Vec<u8>> {
    pieces_of(config(), samples)
}

/// Returns the pieces of a recording that has one stream only. Samples of the other stream are left out.
pub fn pieces_with(stream: StreamKind, samples: &[EncodedSample]) -> Vec<Vec<u8>> {
    let samples: Vec<_> = samples.iter().filter(|sample| sample.stream == stream).cloned().collect();
    pieces_of(config_of(stream), &samples)
}

fn pieces_of(config: MovieConfig, samples: &[EncodedSample]) -> Vec<Vec<u8>> {
    let (mut writer, init) = FragmentWriter::new(config);
    let mut pieces = vec![init];
    pieces.extend(samples.iter().cloned().filter_map(|s| writer.push(s)));
    pieces.extend(writer.finish());
    pieces
}

pub fn read(spool: &[u8]) -> (Vec<SpoolRange>, Index) {
    let mut reader = SpoolReader::new();
    let ranges = reader.feed(spool).expect("a good spool");
    (ranges, reader.finish().expect("a spool with a moov"))
}

/// Returns the finished object.
pub fn object(spool: &[u8]) -> Vec<u8> {
    let (ranges, index) = read(spool);
    let mut object = index.head();
    for range in ranges {
        object.extend(&spool[range.offset as usize..][..range.len as usize]);
    }
    object
}

/// Returns an index of samples of 1,000 bytes each, which do not exist.
pub fn index(frames: usize, sounds: usize) -> Index {
    let mut index = Index::new(config());
    append(&mut index, StreamKind::Video, vec![1000; frames]);
    append(&mut index, StreamKind::Audio, vec![1000; sounds]);
    index
}

pub fn append(index: &mut Index, stream: StreamKind, sizes: Vec<u32>) {
    if sizes.is_empty() {
        return;
    }
    let start = index.samples(stream).sizes.len() as u64;
    index.append(vec![Run {
        stream,
        start: start * u64::from(sample_duration(stream)),
        data_offset: 0,
        sizes,
        keyframes: vec![0],
    }]);
}
