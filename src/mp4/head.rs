//! The head of the final file: everything in front of the media.

use mp4_atom::{
    Co64, FourCC, Ftyp, Moov, Stbl, Stco, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry,
};

use super::error::Mp4Error;
use super::index::{Movie, Run};
use super::tracks::{self, AAC_FRAME, Duration, MOVIE_TIMESCALE, PICTURE_UNITS};

/// The box's length as 32 bits, its name.
const MDAT_HEADER: u64 = 8;
/// The same with a length of 64 bits.
const LARGE_MDAT_HEADER: u64 = 16;

#[derive(Clone, Copy, PartialEq)]
enum Offsets {
    Bits32,
    Bits64,
}

pub fn build(movie: &Movie, runs: &[Run], media_len: u64) -> Result<Vec<u8>, Mp4Error> {
    let mut head = ftyp()?;
    let mdat = mdat_header(media_len);
    // The tables' length does not depend on the offsets in them, only on how wide these are.
    let front = |offsets| -> Result<u64, Mp4Error> {
        let moov = moov_bytes(movie, runs, 0, offsets)?;
        Ok((head.len() + moov.len() + mdat.len()) as u64)
    };
    let narrow = front(Offsets::Bits32)?;
    let (offsets, front) = if narrow + media_len <= u64::from(u32::MAX) {
        (Offsets::Bits32, narrow)
    } else {
        (Offsets::Bits64, front(Offsets::Bits64)?)
    };
    head.extend(moov_bytes(movie, runs, front, offsets)?);
    head.extend(mdat);
    Ok(head)
}

fn ftyp() -> Result<Vec<u8>, Mp4Error> {
    let ftyp = Ftyp {
        major_brand: FourCC::new(b"isom"),
        minor_version: 512,
        compatible_brands: [b"isom", b"iso2", b"avc1", b"mp41"].map(FourCC::new).to_vec(),
    };
    let mut bytes = Vec::new();
    tracks::encode("ftyp", &ftyp, &mut bytes)?;
    Ok(bytes)
}

fn mdat_header(media_len: u64) -> Vec<u8> {
    match u32::try_from(media_len + MDAT_HEADER) {
        Ok(size) => [&size.to_be_bytes()[..], b"mdat"].concat(),
        Err(_) => {
            let size = media_len + LARGE_MDAT_HEADER;
            [&1_u32.to_be_bytes()[..], b"mdat", &size.to_be_bytes()[..]].concat()
        }
    }
}

fn moov_bytes(movie: &Movie, runs: &[Run], media_at: u64, offsets: Offsets) -> Result<Vec<u8>, Mp4Error> {
    let video = Table::of(runs, true, media_at);
    let audio = Table::of(runs, false, media_at);
    let pictures = video.sizes.len() as u64;
    let video_duration = Duration {
        media: pictures * u64::from(PICTURE_UNITS),
        movie: pictures * u64::from(MOVIE_TIMESCALE) / u64::from(movie.frame_rate),
    };
    let samples = audio.sizes.len() as u64 * u64::from(AAC_FRAME);
    let heard = samples.saturating_sub(u64::from(movie.audio_priming));
    // Sound beyond the last picture is the encoder's padding.
    let audio_duration = Duration { media: samples, movie: heard.min(video_duration.movie) };
    let video_tables = video.stbl(tracks::stbl(movie.video_entry.clone()), PICTURE_UNITS, offsets);
    let audio_tables = audio.stbl(tracks::stbl(movie.audio_entry.clone()), AAC_FRAME, offsets);
    let stss = Some(Stss { entries: video.keyframes });
    let moov = Moov {
        mvhd: tracks::mvhd(video_duration.movie),
        trak: vec![
            tracks::video_trak(movie.size, movie.frame_rate, video_duration, Stbl { stss, ..video_tables }),
            tracks::audio_trak(movie.audio_priming, audio_duration, audio_tables),
        ],
        ..Default::default()
    };
    let mut bytes = Vec::new();
    tracks::encode("moov", &moov, &mut bytes)?;
    Ok(bytes)
}

/// One track's samples.
#[derive(Default)]
struct Table {
    sizes: Vec<u32>,
    /// Numbers of the keyframes, from 1.
    keyframes: Vec<u32>,
    /// Where each chunk begins in the file.
    chunks: Vec<u64>,
    /// How many samples each chunk has.
    chunk_lens: Vec<u32>,
}

impl Table {
    fn of(runs: &[Run], video: bool, media_at: u64) -> Self {
        let mut table = Self::default();
        let mut at = media_at;
        for run in runs {
            if run.video == video {
                let before = table.sizes.len() as u32;
                table.keyframes.extend(run.keyframes.iter().map(|k| before + k + 1));
                table.chunks.push(at);
                table.chunk_lens.push(run.sizes.len() as u32);
                table.sizes.extend(&run.sizes);
            }
            at += run.sizes.iter().copied().map(u64::from).sum::<u64>();
        }
        table
    }

    fn stbl(&self, stbl: Stbl, sample_delta: u32, offsets: Offsets) -> Stbl {
        let sample_count = self.sizes.len() as u32;
        let entries = if sample_count == 0 { vec![] } else { vec![SttsEntry { sample_count, sample_delta }] };
        let narrow = |at: &u64| u32::try_from(*at).unwrap_or(u32::MAX);
        Stbl {
            stts: Stts { entries },
            stsc: Stsc { entries: self.chunk_runs() },
            stsz: Stsz { samples: StszSamples::Different { sizes: self.sizes.clone() } },
            stco: (offsets == Offsets::Bits32)
                .then(|| Stco { entries: self.chunks.iter().map(narrow).collect() }),
            co64: (offsets == Offsets::Bits64).then(|| Co64 { entries: self.chunks.clone() }),
            ..stbl
        }
    }

    /// Chunks of equal length share an entry.
    fn chunk_runs(&self) -> Vec<StscEntry> {
        let mut entries: Vec<StscEntry> = Vec::new();
        for (n, &samples_per_chunk) in self.chunk_lens.iter().enumerate() {
            if entries.last().is_none_or(|e| e.samples_per_chunk != samples_per_chunk) {
                let first_chunk = n as u32 + 1;
                entries.push(StscEntry { first_chunk, samples_per_chunk, sample_description_index: 1 });
            }
        }
        entries
    }
}
