//! The `moov` of both forms of the file. The spool's `moov` is that of an index without samples, plus `mvex`.
//!
//! `mp4-atom` encodes the boxes. Their containers are written here, because `mp4-atom` writes the children in
//! another order than ISO/IEC 14496-12 strongly recommends under "Box order" (the edit list before the media,
//! the media's header first).

use mp4_atom::{
    Atom, BufMut, Co64, Dinf, Dref, Edts, Elst, ElstEntry, Encode, Hdlr, Ilst, Mdhd, Mdia, Meta, Minf, Moov,
    Mvex, Mvhd, Result, Smhd, Stbl, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry, Tkhd,
    Tool, Trak, Trex, Udta, Url, Vmhd,
};

use super::codecs::side;
use super::index::{Chunk, Index, Samples};
use super::{BOTH, codecs, sample_duration, track_id};
use crate::media::StreamKind;

/// Where the media is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// In the fragments that follow.
    Fragmented,
    /// In one piece that begins at `media_start`.
    Whole { media_start: u64, width: Width },
}

/// The size of a chunk offset: `stco` or `co64`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Width {
    Narrow,
    Wide,
}

/// Flags of a sample that depends on no other (ISO/IEC 14496-12, 8.8.3.1: `sample_depends_on` 2).
pub(super) const SYNC_SAMPLE: u32 = 0x0200_0000;
/// `sample_is_non_sync_sample`.
pub(super) const NON_SYNC: u32 = 0x0001_0000;

pub(super) fn write(index: &Index, layout: Layout, buf: &mut Vec<u8>) -> Result<()> {
    buf.encode_atom(Moov::KIND, |buf| {
        mvhd(index).encode(buf)?;
        for stream in BOTH {
            if is_present(index, layout, stream) {
                trak(index, layout, stream, buf)?;
            }
        }
        mvex(index, layout).encode(buf)?;
        udta().encode(buf)
    })
}

/// A fragmented file declares its tracks before their first sample. A whole file has no empty track.
fn is_present(index: &Index, layout: Layout, stream: StreamKind) -> bool {
    match layout {
        Layout::Fragmented => index.config.has(stream),
        Layout::Whole { .. } => !index.samples(stream).sizes.is_empty(),
    }
}

fn mvhd(index: &Index) -> Mvhd {
    Mvhd {
        timescale: index.config.movie_timescale(),
        duration: index.presented(index.leader()),
        rate: 1.into(),
        volume: 1.into(),
        next_track_id: track_id(StreamKind::Audio) + 1,
        ..Default::default()
    }
}

fn trak(index: &Index, layout: Layout, stream: StreamKind, buf: &mut Vec<u8>) -> Result<()> {
    buf.encode_atom(Trak::KIND, |buf| {
        tkhd(index, stream).encode(buf)?;
        edts(index, stream).encode(buf)?;
        buf.encode_atom(Mdia::KIND, |buf| {
            mdhd(index, stream).encode(buf)?;
            hdlr(stream).encode(buf)?;
            minf(index, layout, stream, buf)
        })
    })
}

fn tkhd(index: &Index, stream: StreamKind) -> Tkhd {
    let (width, height, volume) = match stream {
        StreamKind::Video => {
            let size = index.config.video.as_ref().map(|video| video.size);
            (size.map_or(0, |size| side(size.width)), size.map_or(0, |size| side(size.height)), 0)
        }
        StreamKind::Audio => (0, 0, 1),
    };
    Tkhd {
        track_id: track_id(stream),
        duration: index.presented(stream),
        enabled: true,
        in_movie: true,
        volume: volume.into(),
        width: width.into(),
        height: height.into(),
        ..Default::default()
    }
}

/// An edit list that skips the priming. In the spool, a duration of 0 covers all fragments.
fn edts(index: &Index, stream: StreamKind) -> Option<Edts> {
    let entry = match stream {
        StreamKind::Video => return None,
        StreamKind::Audio => ElstEntry {
            segment_duration: index.presented(stream),
            media_time: Some(index.config.priming().into()),
            media_rate: 1.into(),
        },
    };
    let entries = vec![entry];
    Some(Edts { elst: Some(Elst { entries }) })
}

fn mdhd(index: &Index, stream: StreamKind) -> Mdhd {
    Mdhd {
        timescale: index.config.timescale(stream),
        duration: index.samples(stream).end(stream),
        language: "und".into(),
        ..Default::default()
    }
}

fn hdlr(stream: StreamKind) -> Hdlr {
    let (handler, name) = match stream {
        StreamKind::Video => (b"vide", "Video"),
        StreamKind::Audio => (b"soun", "Sound"),
    };
    Hdlr { handler: handler.into(), name: name.into() }
}

fn minf(index: &Index, layout: Layout, stream: StreamKind, buf: &mut Vec<u8>) -> Result<()> {
    buf.encode_atom(Minf::KIND, |buf| {
        match stream {
            StreamKind::Video => Vmhd::default().encode(buf)?,
            StreamKind::Audio => Smhd::default().encode(buf)?,
        }
        // An empty location: the media is in the same file.
        let entries = vec![Url::default().into()];
        let dref = Dref { entries };
        Dinf { dref }.encode(buf)?;
        stbl(index, layout, stream, buf)
    })
}

fn stbl(index: &Index, layout: Layout, stream: StreamKind, buf: &mut Vec<u8>) -> Result<()> {
    let samples = index.samples(stream);
    buf.encode_atom(Stbl::KIND, |buf| {
        codecs::stsd(index, stream, buf)?;
        stts(samples, stream).encode(buf)?;
        stss(samples, layout, stream).encode(buf)?;
        stsc(&samples.chunks).encode(buf)?;
        stsz(samples).encode(buf)?;
        chunk_offsets(&samples.chunks, layout, buf)
    })
}

fn stts(samples: &Samples, stream: StreamKind) -> Stts {
    let entry = SttsEntry { sample_count: samples.sizes.len() as u32, sample_delta: sample_duration(stream) };
    let entries = if samples.sizes.is_empty() { vec![] } else { vec![entry] };
    Stts { entries }
}

/// Absent if a decoder can start at every sample (ISO/IEC 14496-12, 8.6.2.1). In the spool the fragments mark
/// the keyframes.
fn stss(samples: &Samples, layout: Layout, stream: StreamKind) -> Option<Stss> {
    match (layout, stream) {
        (Layout::Whole { .. }, StreamKind::Video) => Some(Stss { entries: samples.keyframes.clone() }),
        (Layout::Whole { .. }, StreamKind::Audio) | (Layout::Fragmented, _) => None,
    }
}

/// Returns the entries: each says how many samples the chunks have from its first chunk on.
fn stsc(chunks: &[Chunk]) -> Stsc {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (number, chunk) in (1..).zip(chunks) {
        if entries.last().map(|e| e.samples_per_chunk) != Some(chunk.samples) {
            entries.push(StscEntry {
                first_chunk: number,
                samples_per_chunk: chunk.samples,
                sample_description_index: 1,
            });
        }
    }
    Stsc { entries }
}

fn stsz(samples: &Samples) -> Stsz {
    let sizes = samples.sizes.clone();
    Stsz { samples: StszSamples::Different { sizes } }
}

fn chunk_offsets(chunks: &[Chunk], layout: Layout, buf: &mut Vec<u8>) -> Result<()> {
    let (media_start, width) = match layout {
        Layout::Fragmented => (0, Width::Narrow),
        Layout::Whole { media_start, width } => (media_start, width),
    };
    let offsets = chunks.iter().map(|chunk| media_start + chunk.offset);
    match width {
        Width::Narrow => Stco { entries: offsets.map(|offset| offset as u32).collect() }.encode(buf),
        Width::Wide => Co64 { entries: offsets.collect() }.encode(buf),
    }
}

fn mvex(index: &Index, layout: Layout) -> Option<Mvex> {
    let trex = |stream| Trex {
        track_id: track_id(stream),
        default_sample_description_index: 1,
        default_sample_duration: sample_duration(stream),
        default_sample_size: 0,
        default_sample_flags: SYNC_SAMPLE,
    };
    match layout {
        Layout::Fragmented => {
            let present = BOTH.into_iter().filter(|stream| index.config.has(*stream));
            Some(Mvex { mehd: None, trex: present.map(trex).collect() })
        }
        Layout::Whole { .. } => None,
    }
}

/// The name of the program that made the file, in the place that players read.
fn udta() -> Udta {
    let tool = Tool {
        country_indicator: 0,
        language_indicator: 0,
        text: concat!("egressd ", env!("CARGO_PKG_VERSION")).into(),
    };
    let ilst = Ilst { ctoo: Some(tool), ..Default::default() };
    let hdlr = Hdlr { handler: b"mdir".into(), name: String::new() };
    Udta { meta: Some(Meta { hdlr, items: vec![ilst.into()] }), ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_of_equal_length_share_an_entry() {
        let chunks = [15, 15, 15, 7, 15].map(|samples| Chunk { offset: 0, samples });
        let entries = stsc(&chunks).entries;
        let pairs: Vec<_> = entries.iter().map(|e| (e.first_chunk, e.samples_per_chunk)).collect();
        assert_eq!(pairs, [(1, 15), (4, 7), (5, 15)]);
    }
}
