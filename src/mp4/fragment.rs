//! The worker's side: samples to fragments.

use bytes::Bytes;
use mp4_atom::{FourCC, Ftyp, Mfhd, Moof, Moov, Mvex, Tfdt, Tfhd, Traf, Trex, Trun, TrunEntry, TrunSamples};

use super::MovieConfig;
use super::error::Mp4Error;
use super::tracks::{self, AAC_FRAME, AUDIO_TRACK, Duration, PICTURE_UNITS, VIDEO_TRACK};
use crate::media::{EncodedSample, StreamKind};

/// Fragments a second. A worker that dies loses one; its 200 bytes of index are not uploaded.
const FRAGMENTS_PER_SECOND: u32 = 2;
/// `sample_depends_on` = 2: a keyframe (ISO/IEC 14496-12, 8.8.3.1).
const KEYFRAME: u32 = 0x0200_0000;
/// `sample_depends_on` = 1 and `sample_is_non_sync_sample`.
const DELTA: u32 = 0x0101_0000;
const MDAT_HEADER: usize = 8;

/// Cuts two streams into fragments. A fragment need not begin with a keyframe: it is there so that what
/// is on disk is whole, not to be jumped to.
pub struct FragmentWriter {
    pictures_per_fragment: usize,
    sequence_number: u32,
    video: Stream,
    audio: Stream,
}

struct Stream {
    track_id: u32,
    units_per_sample: u32,
    /// Units before the first sample of `samples`.
    start: u64,
    samples: Vec<Sample>,
}

struct Sample {
    data: Bytes,
    flags: u32,
}

impl FragmentWriter {
    /// The second value goes to the file first.
    pub fn new(config: MovieConfig) -> Result<(Self, Vec<u8>), Mp4Error> {
        let head = initial_boxes(&config)?;
        let writer = Self {
            pictures_per_fragment: config.frame_rate.div_ceil(FRAGMENTS_PER_SECOND) as usize,
            sequence_number: 1,
            video: Stream::new(VIDEO_TRACK, PICTURE_UNITS),
            audio: Stream::new(AUDIO_TRACK, AAC_FRAME),
        };
        Ok((writer, head))
    }

    /// Answers with a whole fragment once there is one. It holds the sound that came until then.
    pub fn push(&mut self, sample: EncodedSample) -> Result<Option<Vec<u8>>, Mp4Error> {
        let stream = match sample.stream {
            StreamKind::Video => &mut self.video,
            StreamKind::Audio => &mut self.audio,
        };
        let flags = if sample.keyframe { KEYFRAME } else { DELTA };
        stream.samples.push(Sample { data: sample.data, flags });
        if self.video.samples.len() < self.pictures_per_fragment {
            return Ok(None);
        }
        self.fragment().map(Some)
    }

    /// What is left.
    pub fn finish(mut self) -> Result<Option<Vec<u8>>, Mp4Error> {
        if self.video.samples.is_empty() && self.audio.samples.is_empty() {
            return Ok(None);
        }
        self.fragment().map(Some)
    }

    fn fragment(&mut self) -> Result<Vec<u8>, Mp4Error> {
        // The offsets in the box depend on its own length, which does not depend on them.
        let mut boxes = Vec::new();
        tracks::encode("moof", &self.moof(0), &mut boxes)?;
        let moof = self.moof(boxes.len() + MDAT_HEADER);
        boxes.clear();
        tracks::encode("moof", &moof, &mut boxes)?;
        let media = self.video.bytes() + self.audio.bytes();
        boxes.reserve_exact(media + MDAT_HEADER);
        let size = u32::try_from(media + MDAT_HEADER);
        let size =
            size.map_err(|_| Mp4Error::Encode { name: "mdat", source: mp4_atom::Error::InvalidSize })?;
        boxes.extend_from_slice(&size.to_be_bytes());
        boxes.extend_from_slice(b"mdat");
        self.video.drain_into(&mut boxes);
        self.audio.drain_into(&mut boxes);
        self.sequence_number += 1;
        Ok(boxes)
    }

    fn moof(&self, media_at: usize) -> Moof {
        let streams = [(&self.video, media_at), (&self.audio, media_at + self.video.bytes())];
        let traf = streams.into_iter().filter(|(s, _)| !s.samples.is_empty()).map(|(s, at)| s.traf(at));
        Moof { mfhd: Mfhd { sequence_number: self.sequence_number }, traf: traf.collect() }
    }
}

impl Stream {
    fn new(track_id: u32, units_per_sample: u32) -> Self {
        Self { track_id, units_per_sample, start: 0, samples: Vec::new() }
    }

    fn bytes(&self) -> usize {
        self.samples.iter().map(|s| s.data.len()).sum()
    }

    fn traf(&self, data_offset: usize) -> Traf {
        let entry = |s: &Sample| TrunEntry {
            size: u32::try_from(s.data.len()).ok(),
            flags: Some(s.flags),
            ..Default::default()
        };
        let run = Trun {
            data_offset: i32::try_from(data_offset).ok(),
            samples: TrunSamples::Explicit(self.samples.iter().map(entry).collect()),
        };
        Traf {
            tfhd: Tfhd { track_id: self.track_id, default_base_is_moof: true, ..Default::default() },
            tfdt: Some(Tfdt { base_media_decode_time: self.start }),
            trun: vec![run],
            ..Default::default()
        }
    }

    fn drain_into(&mut self, bytes: &mut Vec<u8>) {
        self.start += self.samples.len() as u64 * u64::from(self.units_per_sample);
        for sample in self.samples.drain(..) {
            bytes.extend_from_slice(&sample.data);
        }
    }
}

fn initial_boxes(config: &MovieConfig) -> Result<Vec<u8>, Mp4Error> {
    let MovieConfig { size, frame_rate, setup } = config;
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"iso5"),
        minor_version: 512,
        compatible_brands: [b"iso5", b"iso6", b"mp41"].map(FourCC::new).to_vec(),
    };
    // A duration of zero: in the fragments.
    let nothing = Duration::default();
    let video = tracks::stbl(tracks::video_entry(setup, *size)?);
    let audio = tracks::stbl(tracks::audio_entry(setup)?);
    let trex = |track_id, default_sample_duration| Trex {
        track_id,
        default_sample_description_index: 1,
        default_sample_duration,
        ..Default::default()
    };
    let mvex =
        Mvex { mehd: None, trex: vec![trex(VIDEO_TRACK, PICTURE_UNITS), trex(AUDIO_TRACK, AAC_FRAME)] };
    let moov = Moov {
        mvhd: tracks::mvhd(0),
        mvex: Some(mvex),
        trak: vec![
            tracks::video_trak(*size, *frame_rate, nothing, video),
            tracks::audio_trak(setup.audio_priming, nothing, audio),
        ],
        ..Default::default()
    };
    let mut boxes = Vec::new();
    tracks::encode("ftyp", &ftyp, &mut boxes)?;
    tracks::encode("moov", &moov, &mut boxes)?;
    Ok(boxes)
}
