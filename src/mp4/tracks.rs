//! The two tracks as boxes: what the fragmented spool and the final file say alike.

use mp4_atom::{
    Atom, Audio, Avc1, Avcc, Codec, Decode, Dinf, Dref, Edts, Elst, ElstEntry, Encode, Esds, FixedPoint,
    FourCC, Hdlr, Mdhd, Mdia, Minf, Mp4a, Mvhd, Pasp, Smhd, Stbl, Stsd, Tkhd, Trak, Visual, Vmhd, esds,
};

use super::error::Mp4Error;
use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, Size, StreamSetup};

pub const VIDEO_TRACK: u32 = 1;
pub const AUDIO_TRACK: u32 = 2;
/// The movie's clock is the audio's, in which a tick is a whole number at every usual frame rate.
pub const MOVIE_TIMESCALE: u32 = AUDIO_RATE;
/// PCM samples that one AAC-LC access unit stands for.
pub const AAC_FRAME: u32 = 1024;
/// Units of the video's clock that a picture lasts: its timescale is this times the frame rate.
pub const PICTURE_UNITS: u32 = 512;

/// How long a track is, in its own clock and on the movie's.
#[derive(Clone, Copy, Default)]
pub struct Duration {
    pub media: u64,
    pub movie: u64,
}

pub fn mvhd(movie_duration: u64) -> Mvhd {
    Mvhd {
        timescale: MOVIE_TIMESCALE,
        duration: movie_duration,
        rate: 1.into(),
        volume: 1.into(),
        next_track_id: AUDIO_TRACK + 1,
        ..Default::default()
    }
}

pub fn video_entry(setup: &StreamSetup, size: Size) -> Result<Codec, Mp4Error> {
    let source = |source| Mp4Error::Setup { stream: "video", source };
    let avcc = Avcc::decode_body(&mut &setup.avcc[..]).map_err(source)?;
    let visual = Visual {
        data_reference_index: 1,
        width: pixels(size.width),
        height: pixels(size.height),
        ..Default::default()
    };
    let pasp = Some(Pasp { h_spacing: 1, v_spacing: 1 });
    Ok(Codec::Avc1(Avc1 {
        visual,
        avcc,
        btrt: None,
        colr: None,
        pasp,
        taic: None,
        fiel: None,
        spatial: None,
    }))
}

pub fn audio_entry(setup: &StreamSetup) -> Result<Codec, Mp4Error> {
    let source = |source| Mp4Error::Setup { stream: "audio", source };
    let config = esds::DecoderSpecific::decode(&mut &setup.audio_specific_config[..]).map_err(source)?;
    let dec_config = esds::DecoderConfig {
        // MPEG-4 audio, an audio stream (ISO/IEC 14496-1, 7.2.6.6).
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(config),
        ..Default::default()
    };
    let es_desc = esds::EsDescriptor { dec_config, ..Default::default() };
    let audio = Audio {
        data_reference_index: 1,
        channel_count: AUDIO_CHANNELS as u16,
        sample_size: 16,
        // 16.16 fixed point; 48 kHz fits.
        sample_rate: FixedPoint::new(AUDIO_RATE as u16, 0),
    };
    Ok(Codec::Mp4a(Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None }))
}

pub fn video_trak(size: Size, frame_rate: u32, duration: Duration, stbl: Stbl) -> Trak {
    let tkhd = Tkhd {
        width: FixedPoint::new(pixels(size.width), 0),
        height: FixedPoint::new(pixels(size.height), 0),
        ..tkhd(VIDEO_TRACK, duration)
    };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..minf(stbl) };
    let timescale = frame_rate * PICTURE_UNITS;
    Trak { tkhd, mdia: mdia(b"vide", timescale, duration, minf), ..Default::default() }
}

/// The edit list leaves out the encoder's priming, so that the first sample heard is that of tick 0.
pub fn audio_trak(priming: u32, duration: Duration, stbl: Stbl) -> Trak {
    let tkhd = Tkhd { volume: 1.into(), ..tkhd(AUDIO_TRACK, duration) };
    let edit = ElstEntry {
        segment_duration: duration.movie,
        media_time: Some(u64::from(priming)),
        media_rate: 1.into(),
    };
    let minf = Minf { smhd: Some(Smhd::default()), ..minf(stbl) };
    Trak {
        tkhd,
        edts: Some(Edts { elst: Some(Elst { entries: vec![edit] }) }),
        mdia: mdia(b"soun", AUDIO_RATE, duration, minf),
        ..Default::default()
    }
}

pub fn stbl(entry: Codec) -> Stbl {
    Stbl { stsd: Stsd { codecs: vec![entry] }, ..Default::default() }
}

pub fn encode(name: &'static str, atom: &impl Encode, into: &mut Vec<u8>) -> Result<(), Mp4Error> {
    atom.encode(into).map_err(|source| Mp4Error::Encode { name, source })
}

fn tkhd(track_id: u32, duration: Duration) -> Tkhd {
    Tkhd { track_id, duration: duration.movie, enabled: true, in_movie: true, ..Default::default() }
}

fn mdia(handler: &[u8; 4], timescale: u32, duration: Duration, minf: Minf) -> Mdia {
    let mdhd = Mdhd { timescale, duration: duration.media, language: "und".into(), ..Default::default() };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: "egressd".into() };
    Mdia { mdhd, hdlr, minf }
}

fn minf(stbl: Stbl) -> Minf {
    // One data reference, to this file.
    let dinf = Dinf { dref: Dref { entries: vec![mp4_atom::DrefEntry::Url(mp4_atom::Url::default())] } };
    Minf { dinf, stbl, ..Default::default() }
}

fn pixels(n: u32) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}
