//! The worker's side: encoded samples in, a fragmented MP4 out, piece by piece.
//!
//! Every piece is complete: the first few pieces are a playable file.

use mp4_atom::{Atom, Encode, Ftyp, Header, Mdat, Mfhd, Moof, Result, Tfdt, Tfhd, Traf, Trun, TrunEntry};

use super::index::Index;
use super::moov::{self, Layout, NON_SYNC, SYNC_SAMPLE};
use super::spool::SpoolPosition;
use super::{AAC_FRAME, MovieConfig, sample_duration, track_id};
use crate::media::{AUDIO_RATE, EncodedSample, StreamKind};

/// A crash loses the samples that are not in a fragment yet, so fragments are short. But each costs a `moof`
/// of about 350 bytes: at three a second 0.3 % of a spool of 3 Mbit/s. In the finished file picture and sound
/// alternate as often, which is usual.
const FRAGMENTS_PER_SECOND: u32 = 3;

/// Turns samples into fragments. Each has a third of a second of video and the sound that came with it, or of
/// sound if there is no video.
///
/// Neither stream waits for the other: the sound of a fragment may begin and end before or after its video.
#[derive(Debug)]
pub struct FragmentWriter {
    /// A fragment is complete when it has enough samples of this stream.
    leader: StreamKind,
    samples_per_fragment: usize,
    sequence_number: u32,
    video: Held,
    audio: Held,
}

/// The samples of a stream that are not in a fragment yet.
#[derive(Debug)]
struct Held {
    stream: StreamKind,
    /// How many samples are in the fragments before.
    written: u64,
    samples: Vec<EncodedSample>,
}

impl FragmentWriter {
    /// Returns the writer, and the `ftyp` and `moov` that come before the first fragment.
    pub fn new(config: MovieConfig) -> (Self, Vec<u8>) {
        let nothing = SpoolPosition::default();
        (Self::behind(nothing, &config), init(config))
    }

    /// Returns a writer that continues after the last whole fragment of a spool. Its samples must match
    /// `config`, which must be the spool's own.
    pub fn behind(position: SpoolPosition, config: &MovieConfig) -> Self {
        let (leader, samples_a_second) = match &config.video {
            Some(video) => (StreamKind::Video, video.frame_rate),
            None => (StreamKind::Audio, AUDIO_RATE.div_ceil(AAC_FRAME)),
        };
        Self {
            leader,
            samples_per_fragment: samples_a_second.div_ceil(FRAGMENTS_PER_SECOND) as usize,
            sequence_number: position.fragments.wrapping_add(1),
            video: Held::behind(position.ticks, StreamKind::Video),
            audio: Held::behind(position.audio_frames, StreamKind::Audio),
        }
    }

    /// Takes the next sample of its stream; returns a `moof` and its `mdat` once a fragment is complete.
    pub fn push(&mut self, sample: EncodedSample) -> Option<Vec<u8>> {
        match sample.stream {
            StreamKind::Video => self.video.samples.push(sample),
            StreamKind::Audio => self.audio.samples.push(sample),
        }
        let leading = match self.leader {
            StreamKind::Video => &self.video,
            StreamKind::Audio => &self.audio,
        };
        (leading.samples.len() >= self.samples_per_fragment).then(|| self.cut())
    }

    /// Returns the last fragment, if any samples are left.
    pub fn finish(mut self) -> Option<Vec<u8>> {
        let rest = !(self.video.samples.is_empty() && self.audio.samples.is_empty());
        rest.then(|| self.cut())
    }

    fn cut(&mut self) -> Vec<u8> {
        let mut fragment = self.describe().expect("every field of the moof is in its range");
        for held in [&mut self.video, &mut self.audio] {
            held.write(&mut fragment);
        }
        self.sequence_number = self.sequence_number.wrapping_add(1);
        fragment
    }

    /// Returns a `moof` and the header of its `mdat`.
    fn describe(&self) -> Result<Vec<u8>> {
        let mut buf = Vec::new();
        let media_len = self.video.len() + self.audio.len();
        // The offsets of the runs count from the moof's first byte, so the moof's length must be known before
        // it is written. The length does not depend on the values of the offsets.
        self.encode(0, media_len, &mut buf)?;
        let media_start = buf.len();
        buf.clear();
        buf.reserve(media_start + media_len);
        self.encode(media_start, media_len, &mut buf)?;
        Ok(buf)
    }

    fn encode(&self, media_start: usize, media_len: usize, buf: &mut Vec<u8>) -> Result<()> {
        let traf = [self.video.traf(media_start), self.audio.traf(media_start + self.video.len())];
        let mfhd = Mfhd { sequence_number: self.sequence_number };
        let traf = traf.into_iter().flatten().collect();
        Moof { mfhd, traf }.encode(buf)?;
        Header { kind: Mdat::KIND, size: Some(media_len) }.encode(buf)
    }
}

impl Held {
    fn behind(written: u64, stream: StreamKind) -> Self {
        Self { stream, written, samples: Vec::new() }
    }

    fn len(&self) -> usize {
        self.samples.iter().map(|s| s.data.len()).sum()
    }

    /// Returns the stream's part of the `moof`; `None` if the fragment has no sample of the stream.
    fn traf(&self, data_start: usize) -> Option<Traf> {
        if self.samples.is_empty() {
            return None;
        }
        let tfhd = Tfhd { track_id: track_id(self.stream), default_base_is_moof: true, ..Default::default() };
        let tfdt = Tfdt { base_media_decode_time: self.written * u64::from(sample_duration(self.stream)) };
        let entries: Vec<_> = self.samples.iter().map(entry).collect();
        let trun = Trun { data_offset: Some(small(data_start)), samples: entries.into() };
        Some(Traf { tfhd, tfdt: Some(tfdt), trun: vec![trun], ..Default::default() })
    }

    fn write(&mut self, buf: &mut Vec<u8>) {
        self.written += self.samples.len() as u64;
        for sample in self.samples.drain(..) {
            buf.extend_from_slice(&sample.data);
        }
    }
}

/// The duration is the track's default, and so are the flags of every audio sample.
fn entry(sample: &EncodedSample) -> TrunEntry {
    let flags = match (sample.stream, sample.keyframe) {
        (StreamKind::Audio, _) => None,
        (StreamKind::Video, true) => Some(SYNC_SAMPLE),
        // sample_depends_on 1: the sample depends on others.
        (StreamKind::Video, false) => Some(0x0100_0000 | NON_SYNC),
    };
    TrunEntry { size: Some(small(sample.data.len())), flags, ..Default::default() }
}

/// Converts a length within a fragment.
fn small<T: TryFrom<usize, Error: std::fmt::Debug>>(len: usize) -> T {
    T::try_from(len).expect("a third of a second of encoded media is far from 2 GiB")
}

fn init(config: MovieConfig) -> Vec<u8> {
    // `iso6` is the first brand with both tfdt and offsets that count from the moof.
    let ftyp = Ftyp {
        major_brand: b"iso6".into(),
        minor_version: 0,
        compatible_brands: [b"iso6", b"avc1", b"mp41"].map(Into::into).into(),
    };
    let index = Index::new(config);
    let mut buf = Vec::new();
    ftyp.encode(&mut buf)
        .and_then(|()| moov::write(&index, Layout::Fragmented, &mut buf))
        .expect("a moov without samples is a few hundred bytes");
    buf
}

#[cfg(test)]
mod tests {
    use mp4_atom::Decode;

    use super::*;
    use crate::mp4::SpoolReader;
    use crate::mp4::testing::{audio, config, object, pieces, recording, video};

    fn moof(fragment: &[u8]) -> Moof {
        Moof::decode(&mut &fragment[..]).expect("a moof")
    }

    /// Returns the sizes of the samples of a fragment, per track.
    fn sizes(fragment: &[u8]) -> Vec<(u32, Vec<usize>)> {
        let run = |traf: &Traf| {
            let samples = traf.trun[0].samples.iter();
            let sizes = samples.map(|s| s.size.expect("a size") as usize);
            (traf.tfhd.track_id, sizes.collect())
        };
        moof(fragment).traf.iter().map(run).collect()
    }

    #[test]
    fn a_fragment_is_cut_at_its_last_frame_with_the_sound_so_far() {
        let (mut writer, _) = FragmentWriter::new(config());
        for n in 0..3 {
            assert_eq!(writer.push(audio(n)), None);
        }
        for n in 0..9 {
            assert_eq!(writer.push(video(n, 30)), None);
        }
        let fragment = writer.push(video(9, 30)).expect("a third of a second of video");
        let expected = [
            (1, (0..10).map(|n| video(n, 30).data.len()).collect()),
            (2, (0..3).map(|n| audio(n).data.len()).collect::<Vec<_>>()),
        ];
        assert_eq!(sizes(&fragment), expected);
    }

    #[test]
    fn each_stream_goes_on_where_its_last_fragment_ended() {
        let pieces = pieces(&recording(30, 30));
        let starts: Vec<_> = pieces[1..]
            .iter()
            .map(|fragment| {
                let moof = moof(fragment);
                let starts = moof.traf.iter().map(|t| t.tfdt.as_ref().expect("a tfdt"));
                let starts: Vec<_> = starts.map(|t| t.base_media_decode_time).collect();
                (moof.mfhd.sequence_number, starts)
            })
            .collect();
        let expected = [
            (1, vec![0, 0]),
            (2, vec![10 * 512, 15 * 1024]),
            (3, vec![20 * 512, 30 * 1024]),
            // The sound of the last tick.
            (4, vec![46 * 1024]),
        ];
        assert_eq!(starts, expected);
    }

    #[test]
    fn keyframes_are_marked_wherever_they_are_in_a_fragment() {
        let pieces = pieces(&recording(10, 4));
        let Moof { traf, .. } = moof(&pieces[1]);
        let sync: Vec<_> = (0..10)
            .filter(|&n| {
                let entry = traf[0].trun[0].samples.get(n).expect("10 frames");
                entry.flags == Some(SYNC_SAMPLE)
            })
            .collect();
        assert_eq!(sync, [0, 4, 8]);
    }

    #[test]
    fn the_last_fragment_holds_what_is_left_of_either_stream() {
        let (writer, _) = FragmentWriter::new(config());
        assert_eq!(writer.finish(), None);

        let (mut writer, _) = FragmentWriter::new(config());
        writer.push(audio(0));
        let fragment = writer.finish().expect("one sound");
        assert_eq!(sizes(&fragment), [(2, vec![audio(0).data.len()])]);

        let (mut writer, _) = FragmentWriter::new(config());
        writer.push(video(0, 1));
        let fragment = writer.finish().expect("one frame");
        assert_eq!(sizes(&fragment), [(1, vec![video(0, 1).data.len()])]);
    }

    #[test]
    fn a_writer_that_goes_on_behind_a_spool_makes_what_the_first_one_would_have_made() {
        let samples = recording(40, 30);
        let whole = pieces(&samples);
        let mut reader = SpoolReader::new();
        reader.feed(&whole[..3].concat()).expect("a good spool");
        let mut writer = FragmentWriter::behind(reader.position(), &config());
        let (mut pictures, mut sounds) = (0, 0);
        let rest = samples.into_iter().filter(|sample| {
            let (number, gone) = match sample.stream {
                StreamKind::Video => (&mut pictures, reader.position().ticks),
                StreamKind::Audio => (&mut sounds, reader.position().audio_frames),
            };
            *number += 1;
            *number > gone
        });
        let mut made: Vec<_> = rest.filter_map(|sample| writer.push(sample)).collect();
        made.extend(writer.finish());
        assert_eq!(made, whole[3..]);
    }

    #[test]
    fn no_sample_is_lost_however_far_one_stream_runs_ahead() {
        let mut samples: Vec<_> = (0..200).map(audio).collect();
        samples.extend((0..40).map(|n| video(n, 30)));
        let object = object(&pieces(&samples).concat());
        for sample in samples {
            let found = object.windows(sample.data.len()).any(|w| w == sample.data);
            assert!(found, "{sample:?}");
        }
    }
}
