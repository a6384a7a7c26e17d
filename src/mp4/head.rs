//! The head of the finished object: everything before its media bytes.

use mp4_atom::{Atom, Encode, Free, Ftyp, Header, Mdat, Result};

use super::index::Index;
use super::moov::{self, Layout, Width};

const FREE_HEADER: usize = 8;

impl Index {
    /// Returns `ftyp`, `moov` and the header of one `mdat`. The object is this head and then all media
    /// ranges, in the order in which the reader returned them.
    ///
    /// The head grows with the recording: about 20 KiB a minute.
    pub fn head(&self) -> Vec<u8> {
        // A chunk's offset counts from the object's first byte, so the head's length must be known before it
        // is written. The length depends on the width of the offsets, not on their values.
        let len_at = |width| self.write_head(0, width).len() as u64;
        let last = self.last_offset();
        if last <= u64::from(u32::MAX) {
            let narrow = len_at(Width::Narrow);
            if narrow + last <= u64::from(u32::MAX) {
                return self.write_head(narrow, Width::Narrow);
            }
        }
        self.write_head(len_at(Width::Wide), Width::Wide)
    }

    /// Returns a head of exactly this length, padded by a `free` box before the `mdat`; `None` if the head is
    /// longer.
    pub fn head_of(&self, len: u64) -> Option<Vec<u8>> {
        let narrow = len + self.last_offset() <= u64::from(u32::MAX);
        let width = if narrow { Width::Narrow } else { Width::Wide };
        let head = self.write_head(len, width);
        let mut filling = usize::try_from(len).ok()?.checked_sub(head.len())?;
        let media = self.mdat_header();
        let mut filled = head[..head.len() - media.len()].to_vec();
        if filling > 0 {
            // A box has at least its length and its kind.
            filling = filling.checked_sub(FREE_HEADER)?;
            let free = Header { kind: Free::KIND, size: Some(filling) };
            free.encode(&mut filled).expect("memory takes all bytes");
            filled.resize(filled.len() + filling, 0);
        }
        filled.extend(media);
        Some(filled)
    }

    fn mdat_header(&self) -> Vec<u8> {
        let mut header = Vec::new();
        mdat(self.media_len()).encode(&mut header).expect("memory takes all bytes");
        header
    }

    /// Returns the offset of the last chunk in the media.
    fn last_offset(&self) -> u64 {
        let last = [&self.video, &self.audio].map(|samples| samples.chunks.last());
        let offsets = last.into_iter().flatten().map(|chunk| chunk.offset);
        offsets.max().unwrap_or(0)
    }

    fn write_head(&self, media_start: u64, width: Width) -> Vec<u8> {
        let layout = Layout::Whole { media_start, width };
        let mut buf = Vec::new();
        encode(self, layout, &mut buf).expect("the reader lets in no more samples than a moov can list");
        buf
    }
}

fn encode(index: &Index, layout: Layout, buf: &mut Vec<u8>) -> Result<()> {
    ftyp(index).encode(buf)?;
    moov::write(index, layout, buf)?;
    mdat(index.media_len()).encode(buf)
}

/// `mp4-atom` takes the 64-bit form by itself if the length needs it.
fn mdat(media: u64) -> Header {
    Header { kind: Mdat::KIND, size: Some(media as usize) }
}

fn ftyp(index: &Index) -> Ftyp {
    let brands: &[&[u8; 4]] = match index.config.video {
        Some(_) => &[b"isom", b"iso2", b"avc1", b"mp41"],
        None => &[b"isom", b"iso2", b"mp41"],
    };
    Ftyp {
        major_brand: b"isom".into(),
        minor_version: 0x200,
        compatible_brands: brands.iter().copied().map(Into::into).collect(),
    }
}

#[cfg(test)]
mod tests {
    use mp4_atom::{Codec, Decode, Moov, StszSamples, Trak};
    use proptest::prelude::*;

    use super::*;
    use crate::media::StreamKind;
    use crate::mp4::testing::{append, audio, index, object, pieces, read, recording, video};

    struct Parsed {
        moov: Moov,
        media_start: usize,
        media_len: usize,
    }

    /// Reads a head or an object, which must have exactly the three boxes.
    fn parse(head: &[u8]) -> Parsed {
        let mut rest = head;
        Ftyp::decode(&mut rest).expect("an ftyp");
        let moov = Moov::decode(&mut rest).expect("a moov");
        let mdat = Header::decode(&mut rest).expect("the header of an mdat");
        assert_eq!(mdat.kind, Mdat::KIND);
        Parsed { moov, media_start: head.len() - rest.len(), media_len: mdat.size.expect("a length") }
    }

    fn chunk_offsets(trak: &Trak) -> Vec<u64> {
        let stbl = &trak.mdia.minf.stbl;
        match (&stbl.stco, &stbl.co64) {
            (Some(stco), None) => stco.entries.iter().copied().map(u64::from).collect(),
            (None, Some(co64)) => co64.entries.clone(),
            other => panic!("one of the two: {other:?}"),
        }
    }

    /// Returns the offset and the length of every sample of a track, as a player finds them.
    fn places(trak: &Trak) -> Vec<(u64, u32)> {
        let stbl = &trak.mdia.minf.stbl;
        let StszSamples::Different { sizes } = &stbl.stsz.samples else {
            panic!("{:?}", stbl.stsz);
        };
        let mut sizes = sizes.iter();
        let mut places = Vec::new();
        for (number, mut offset) in (1..).zip(chunk_offsets(trak)) {
            let entries = stbl.stsc.entries.iter();
            let entry = entries.take_while(|e| e.first_chunk <= number).last();
            let samples = entry.expect("an entry for each chunk").samples_per_chunk;
            for size in sizes.by_ref().take(samples as usize) {
                places.push((offset, *size));
                offset += u64::from(*size);
            }
        }
        assert_eq!(sizes.next(), None, "a sample without a chunk");
        places
    }

    #[test]
    fn the_durations_of_picture_and_sound_are_equal_and_exact() {
        let Parsed { moov, .. } = parse(&index(45, 100).head());
        assert_eq!((moov.mvhd.timescale, moov.mvhd.duration), (48_000, 72_000));
        let [video, audio] = moov.trak.as_slice() else {
            panic!("{:?}", moov.trak);
        };
        assert_eq!((video.tkhd.duration, audio.tkhd.duration), (72_000, 72_000));
        assert_eq!(video.mdia.mdhd.timescale, 15_360);
        assert_eq!(video.mdia.mdhd.duration, 45 * 512);
        assert_eq!(audio.mdia.mdhd.duration, 100 * 1024);
        let edits = &audio.edts.as_ref().expect("an edit list").elst;
        let edits = &edits.as_ref().expect("an edit list").entries;
        assert_eq!(edits.len(), 1);
        assert_eq!(edits[0].media_time, Some(1024));
        assert_eq!(edits[0].segment_duration, 72_000);
        assert!(video.edts.is_none() && moov.mvex.is_none());
    }

    #[test]
    fn every_sample_has_the_same_duration() {
        let Parsed { moov, .. } = parse(&index(45, 100).head());
        for (trak, expected) in moov.trak.iter().zip([(45, 512), (100, 1024)]) {
            let entries = &trak.mdia.minf.stbl.stts.entries;
            assert_eq!(entries.len(), 1);
            assert_eq!((entries[0].sample_count, entries[0].sample_delta), expected);
        }
    }

    #[test]
    fn the_decoders_get_what_the_encoders_said_and_the_bit_rates() {
        let index = index(60, 94);
        let Parsed { moov, .. } = parse(&index.head());
        let codec = |n: usize| &moov.trak[n].mdia.minf.stbl.stsd.codecs[0];
        let (Codec::Avc1(avc1), Codec::Mp4a(mp4a)) = (codec(0), codec(1)) else {
            panic!("{:?}", moov.trak);
        };
        let mut avcc = Vec::new();
        avc1.avcc.encode_body(&mut avcc).expect("an avcC");
        assert_eq!(avcc, index.config.video.as_ref().expect("video").avcc);
        assert_eq!((avc1.visual.width, avc1.visual.height), (1280, 720));
        assert_eq!(avc1.btrt.as_ref().expect("a btrt").avg_bitrate, 240_000);
        let decoder = &mp4a.esds.es_desc.dec_config;
        let specific = decoder.dec_specific.as_ref().expect("an AudioSpecificConfig");
        assert_eq!(specific.raw, index.config.audio.as_ref().expect("sound").specific_config);
        // 1,000 bytes for 1,024 samples of 48,000 a second; 47 of them in the busiest second.
        assert_eq!((decoder.avg_bitrate, decoder.max_bitrate), (375_000, 376_000));
    }

    #[test]
    fn a_recording_without_sound_has_no_audio_track() {
        let Parsed { moov, .. } = parse(&index(30, 0).head());
        assert_eq!(moov.trak.len(), 1);
        assert_eq!(moov.mvhd.duration, 48_000);
    }

    #[test]
    fn offsets_have_64_bits_only_where_32_do_not_suffice() {
        let with_frame = |size| {
            let mut index = index(0, 0);
            append(&mut index, StreamKind::Video, vec![size]);
            append(&mut index, StreamKind::Audio, vec![1]);
            index
        };
        // The sound is at the largest offset of 32 bits, and then one byte further.
        let largest = u32::MAX - with_frame(0).head().len() as u32;
        for (size, wide) in [(largest, false), (largest + 1, true)] {
            let head = with_frame(size).head();
            let Parsed { moov, .. } = parse(&head);
            let head_len = head.len() as u64;
            assert_eq!(chunk_offsets(&moov.trak[0]), [head_len]);
            assert_eq!(chunk_offsets(&moov.trak[1]), [head_len + u64::from(size)]);
            assert_eq!(moov.trak[0].mdia.minf.stbl.co64.is_some(), wide);
        }
    }

    #[test]
    fn the_length_of_the_media_has_64_bits_only_where_32_do_not_suffice() {
        for (frame, header) in [(u32::MAX - 8, 8), (u32::MAX - 7, 16)] {
            let mut index = index(0, 0);
            append(&mut index, StreamKind::Video, vec![frame]);
            let head = index.head();
            assert_eq!(parse(&head).media_len, frame as usize);
            assert_eq!(&head[head.len() - header..][4..8], b"mdat");
        }
    }

    #[test]
    fn an_object_of_many_gib_is_described_whole() {
        let mut index = index(0, 0);
        for _ in 0..12 {
            append(&mut index, StreamKind::Video, vec![1 << 30; 15]);
            append(&mut index, StreamKind::Audio, vec![300; 24]);
        }
        let head = index.head();
        let parsed = parse(&head);
        assert_eq!(parsed.media_len as u64, index.media_len());
        let (offset, len) = *places(&parsed.moov.trak[1]).last().expect("a sound");
        assert_eq!(offset + u64::from(len), head.len() as u64 + index.media_len());
    }

    #[test]
    fn a_head_is_filled_up_to_the_length_that_is_asked_for_and_its_offsets_with_it() {
        let index = index(45, 100);
        let shortest = index.head().len() as u64;
        assert_eq!(index.head_of(shortest), Some(index.head()));
        for unfit in [shortest - 1, shortest + 1, shortest + 7] {
            assert_eq!(index.head_of(unfit), None);
        }
        for len in [shortest + 8, shortest + 9, shortest + 5_000_000] {
            let head = index.head_of(len).expect("a head");
            assert_eq!(head.len() as u64, len);
            let (mut rest, mut kinds) = (&head[..], Vec::new());
            while let Ok(header) = Header::decode(&mut rest) {
                kinds.push(header.kind);
                rest = rest.get(header.size.unwrap_or_default()..).unwrap_or_default();
            }
            assert_eq!(kinds, [Ftyp::KIND, Moov::KIND, Free::KIND, Mdat::KIND]);
            let moov_at = Header::decode(&mut &head[..]).expect("an ftyp").size.unwrap_or_default() + 8;
            let moov = Moov::decode(&mut &head[moov_at..]).expect("a moov");
            assert_eq!(chunk_offsets(&moov.trak[0])[0], len);
        }
    }

    proptest! {
        #[test]
        fn a_player_finds_every_sample_and_no_other_byte(ticks in 1..80usize, gop in 1..40usize) {
            let samples = recording(ticks, gop);
            let spool = pieces(&samples).concat();
            let object = object(&spool);
            let parsed = parse(&object);
            prop_assert_eq!(parsed.media_start + parsed.media_len, object.len());

            let mut all: Vec<_> = parsed.moov.trak.iter().map(places).collect();
            for (places, kind) in all.iter().zip([StreamKind::Video, StreamKind::Audio]) {
                let expected = samples.iter().filter(|s| s.stream == kind);
                let found = places.iter().map(|(at, len)| &object[*at as usize..][..*len as usize]);
                prop_assert!(found.eq(expected.map(|s| s.data.as_ref())));
            }

            let mut places: Vec<_> = all.drain(..).flatten().collect();
            places.sort_unstable();
            let mut end = parsed.media_start as u64;
            for (offset, len) in places {
                prop_assert_eq!(offset, end);
                end += u64::from(len);
            }
            prop_assert_eq!(end, object.len() as u64);
        }

        #[test]
        fn a_player_can_start_at_every_keyframe(ticks in 1..80usize, gop in 1..40usize) {
            let (_, index) = read(&pieces(&recording(ticks, gop)).concat());
            let Parsed { moov, .. } = parse(&index.head());
            let stss = moov.trak[0].mdia.minf.stbl.stss.as_ref().expect("a stss");
            let expected: Vec<_> = (0..ticks).step_by(gop).map(|n| n as u32 + 1).collect();
            prop_assert_eq!(&stss.entries, &expected);
            prop_assert!(moov.trak[1].mdia.minf.stbl.stss.is_none());
        }
    }

    #[test]
    fn sound_that_ran_ahead_is_found_too() {
        let mut samples: Vec<_> = (0..200).map(audio).collect();
        samples.extend((0..40).map(|n| video(n, 30)));
        let object = object(&pieces(&samples).concat());
        let places = places(&parse(&object).moov.trak[1]);
        let found = places.iter().map(|(at, len)| &object[*at as usize..][..*len as usize]);
        assert!(found.eq((0..200).map(|n| audio(n).data)));
    }
}
