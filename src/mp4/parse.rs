//! Reads what the reader needs of a spool's `moov` and `moof`.
//!
//! The spool is a file from another process, so its content is not trusted. `mp4-atom` decodes the boxes that
//! have no children. On the way down to them, every unknown box is skipped by its length instead of being
//! decoded. So the file decides neither the depth of the nesting nor how much memory is used.

use bytes::Bytes;
use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Decode, Edts, Elst, Error, Esds, FourCC, Header, Mdhd, Mdia, Minf, Mp4a, Result,
    Stbl, Stsd, Tfdt, Tfhd, Tkhd, Traf, Trak, Trun, TrunEntry, TrunSamples, Visual,
};

use super::index::Run;
use super::moov::NON_SYNC;
use super::{BOTH, MAX_FRAME_RATE, MovieConfig, TICK, VideoConfig, track_id};
use crate::media::{AudioSetup, Size, StreamKind};

/// Reads the configuration that the writer was given.
pub(super) fn movie_config(moov: &[u8]) -> Result<MovieConfig> {
    let mut config = MovieConfig { video: None, audio: None };
    for trak in children(moov, Trak::KIND) {
        let trak = trak?;
        let stream = stream(leaf::<Tkhd>(trak)?.track_id)?;
        if config.has(stream) {
            return Err(Error::DuplicateBox(Trak::KIND));
        }
        match stream {
            StreamKind::Video => config.video = Some(video(trak)?),
            StreamKind::Audio => config.audio = Some(audio(trak)?),
        }
    }
    let is_empty = config == MovieConfig { video: None, audio: None };
    if is_empty { Err(Error::MissingBox(Trak::KIND)) } else { Ok(config) }
}

fn video(trak: &[u8]) -> Result<VideoConfig> {
    let (size, avcc) = avc1(trak)?;
    Ok(VideoConfig { size, frame_rate: frame_rate(trak)?, avcc })
}

fn audio(trak: &[u8]) -> Result<AudioSetup> {
    Ok(AudioSetup { specific_config: audio_specific_config(trak)?, priming: audio_priming(trak)? })
}

/// Reads the runs of a fragment, in the order in which the `moof` lists them.
pub(super) fn runs(moof: &[u8]) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = Vec::new();
    for traf in children(moof, Traf::KIND) {
        let run = run(traf?)?;
        if runs.iter().any(|r| r.stream == run.stream) {
            return Err(Error::DuplicateBox(Traf::KIND));
        }
        runs.push(run);
    }
    Ok(runs)
}

fn run(traf: &[u8]) -> Result<Run> {
    let tfhd: Tfhd = leaf(traf)?;
    let tfdt: Tfdt = leaf(traf)?;
    let trun: Trun = leaf(traf)?;
    let stream = stream(tfhd.track_id)?;
    let data_offset = trun.data_offset;
    // A run without sizes of its own could claim 4 billion samples in 20 bytes.
    let TrunSamples::Explicit(entries) = trun.samples else {
        return Err(Error::Unsupported("a run whose samples have no sizes"));
    };
    let mut run = Run {
        stream,
        start: tfdt.base_media_decode_time,
        data_offset: data_offset.ok_or(Error::MissingContent("the offset of a run's data"))?,
        sizes: Vec::with_capacity(entries.len()),
        keyframes: Vec::new(),
    };
    for (n, entry) in (0..).zip(&entries) {
        run.sizes.push(sample_size(entry)?);
        if stream == StreamKind::Video && is_sync(entry) {
            run.keyframes.push(n);
        }
    }
    Ok(run)
}

fn stream(id: u32) -> Result<StreamKind> {
    let found = BOTH.into_iter().find(|&stream| track_id(stream) == id);
    found.ok_or(Error::Unsupported("a track besides picture and sound"))
}

fn sample_size(entry: &TrunEntry) -> Result<u32> {
    match entry {
        TrunEntry { size: Some(size), duration: None, cts: None, flags: _ } => Ok(*size),
        _ => Err(Error::Unsupported("a sample with a time of its own")),
    }
}

fn is_sync(entry: &TrunEntry) -> bool {
    entry.flags.is_none_or(|flags| flags & NON_SYNC == 0)
}

fn frame_rate(trak: &[u8]) -> Result<u32> {
    let mdhd: Mdhd = leaf(child(trak, Mdia::KIND)?)?;
    match (mdhd.timescale / TICK, mdhd.timescale % TICK) {
        (frame_rate @ 1..=MAX_FRAME_RATE, 0) => Ok(frame_rate),
        _ => Err(Error::Unsupported("a frame rate that no recording has")),
    }
}

fn avc1(trak: &[u8]) -> Result<(Size, Bytes)> {
    let mut entry = sample_entry(trak, Avc1::KIND)?;
    let visual = Visual::decode(&mut entry)?;
    let avcc = child(entry, Avcc::KIND)?;
    let size = Size { width: visual.width.into(), height: visual.height.into() };
    Ok((size, Bytes::copy_from_slice(avcc)))
}

/// Far above the 40 bytes of an `esds`. `mp4-atom` follows its descriptors to any depth.
const MAX_ESDS: usize = 512;

fn audio_specific_config(trak: &[u8]) -> Result<Bytes> {
    let mut entry = sample_entry(trak, Mp4a::KIND)?;
    Audio::decode(&mut entry)?;
    if child(entry, Esds::KIND)?.len() > MAX_ESDS {
        return Err(Error::TooLarge(Esds::KIND));
    }
    let esds: Esds = leaf(entry)?;
    let specific = esds.es_desc.dec_config.dec_specific;
    let specific = specific.ok_or(Error::MissingContent("the AudioSpecificConfig"))?;
    Ok(specific.raw.into())
}

fn audio_priming(trak: &[u8]) -> Result<u32> {
    let elst: Elst = leaf(child(trak, Edts::KIND)?)?;
    let start = elst.entries.first().and_then(|edit| edit.media_time);
    let start = start.ok_or(Error::MissingContent("the edit that skips the priming"))?;
    u32::try_from(start).map_err(|_| Error::Unsupported("priming of more than a day"))
}

fn sample_entry(trak: &[u8], kind: FourCC) -> Result<&[u8]> {
    let stbl = [Mdia::KIND, Minf::KIND, Stbl::KIND];
    let stbl = stbl.into_iter().try_fold(trak, child)?;
    // The children follow the version, the flags and the number of entries.
    let entries = child(stbl, Stsd::KIND)?.get(8..);
    child(entries.ok_or(Error::OverDecode(Stsd::KIND))?, kind)
}

fn leaf<T: Atom>(parent: &[u8]) -> Result<T> {
    let mut body = child(parent, T::KIND)?;
    let atom = T::decode_body(&mut body)?;
    match body {
        [] => Ok(atom),
        [..] => Err(Error::UnderDecode(T::KIND)),
    }
}

fn child(parent: &[u8], kind: FourCC) -> Result<&[u8]> {
    let first = children(parent, kind).next();
    first.unwrap_or(Err(Error::MissingBox(kind)))
}

/// Returns the bodies of all children of a kind, until a child does not fit into its parent.
fn children(mut rest: &[u8], kind: FourCC) -> impl Iterator<Item = Result<&[u8]>> {
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            match take_box(&mut rest) {
                Ok((found, body)) if found == kind => return Some(Ok(body)),
                Ok(_) => {}
                Err(error) => {
                    rest = &[];
                    return Some(Err(error));
                }
            }
        }
        None
    })
}

fn take_box<'a>(rest: &mut &'a [u8]) -> Result<(FourCC, &'a [u8])> {
    let header = Header::decode(rest)?;
    let size = header.size.ok_or(Error::InvalidSize)?;
    let (body, after) = rest.split_at_checked(size).ok_or(Error::OutOfBounds)?;
    *rest = after;
    Ok((header.kind, body))
}
