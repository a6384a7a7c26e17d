//! The sample descriptions of the two tracks, with the bit rates in them.

use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor, SLConfig};
use mp4_atom::{Atom, Audio, Avc1, Avcc, Btrt, BufMut, Encode, Esds, Mp4a, Pasp, Result, Stsd, Visual};

use super::index::Index;
use super::{VideoConfig, sample_duration};
use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, AudioSetup, StreamKind};

pub(super) fn stsd(index: &Index, stream: StreamKind, buf: &mut Vec<u8>) -> Result<()> {
    buf.encode_atom(Stsd::KIND, |buf| {
        0u32.encode(buf)?; // version and flags
        1u32.encode(buf)?; // entries
        match stream {
            StreamKind::Video => index.config.video.as_ref().map_or(Ok(()), |video| avc1(index, video, buf)),
            StreamKind::Audio => index.config.audio.as_ref().map(|audio| mp4a(index, audio)).encode(buf),
        }
    })
}

/// Written here instead of by `mp4-atom`, so that the encoder's `avcC` goes into the file unchanged.
fn avc1(index: &Index, video: &VideoConfig, buf: &mut Vec<u8>) -> Result<()> {
    let visual = Visual {
        data_reference_index: 1,
        width: side(video.size.width),
        height: side(video.size.height),
        ..Default::default()
    };
    buf.encode_atom(Avc1::KIND, |buf| {
        visual.encode(buf)?;
        buf.encode_atom(Avcc::KIND, |buf| video.avcc.as_ref().encode(buf))?;
        Pasp::new(1, 1)?.encode(buf)?;
        let rate = BitRate::of(index, StreamKind::Video);
        Btrt::new(0, rate.peak, rate.average)?.encode(buf)
    })
}

fn mp4a(index: &Index, audio: &AudioSetup) -> Mp4a {
    let rate = BitRate::of(index, StreamKind::Audio);
    let dec_config = DecoderConfig {
        object_type_indication: 0x40, // MPEG-4 audio (ISO/IEC 14496-1, table 5)
        stream_type: 5,               // audio (table 6)
        max_bitrate: rate.peak,
        avg_bitrate: rate.average,
        dec_specific: Some(DecoderSpecific { raw: audio.specific_config.to_vec(), ..Default::default() }),
        ..Default::default()
    };
    let es_desc = EsDescriptor {
        dec_config,
        sl_config: SLConfig {},
        ..Default::default() // in a file the ES_ID is 0 (ISO/IEC 14496-14)
    };
    Mp4a {
        audio: Audio {
            data_reference_index: 1,
            channel_count: AUDIO_CHANNELS as u16,
            sample_size: 16,
            sample_rate: (AUDIO_RATE as u16).into(),
        },
        esds: Esds { es_desc },
        btrt: None,
        taic: None,
    }
}

/// The format has 16 bits for a side. H.264 allows no side above 16,880 pixels at any level.
pub(super) fn side(pixels: u32) -> u16 {
    u16::try_from(pixels).unwrap_or(u16::MAX)
}

/// Bits a second; 0 if there is no sample yet.
struct BitRate {
    average: u32,
    /// The bit rate of the busiest second.
    peak: u32,
}

impl BitRate {
    fn of(index: &Index, stream: StreamKind) -> Self {
        let sizes = &index.samples(stream).sizes;
        let timescale = u64::from(index.config.timescale(stream));
        let duration = u64::from(sample_duration(stream));
        let bytes: u64 = sizes.iter().copied().map(u64::from).sum();
        let time = sizes.len() as u64 * duration;
        let average = u128::from(bytes) * 8 * u128::from(timescale) / u128::from(time.max(1));
        let second = timescale.div_ceil(duration) as usize;
        Self {
            average: u32::try_from(average).unwrap_or(u32::MAX),
            peak: u32::try_from(largest_sum(sizes, second) * 8).unwrap_or(u32::MAX),
        }
    }
}

/// Returns the largest sum of `window` consecutive sizes.
fn largest_sum(sizes: &[u32], window: usize) -> u64 {
    let mut sum = 0;
    let mut largest = 0;
    for (n, &size) in sizes.iter().enumerate() {
        sum += u64::from(size);
        if let Some(gone) = n.checked_sub(window) {
            sum -= u64::from(sizes[gone]);
        }
        largest = largest.max(sum);
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_that_of_the_busiest_window() {
        assert_eq!(largest_sum(&[], 3), 0);
        assert_eq!(largest_sum(&[5, 1], 3), 6);
        assert_eq!(largest_sum(&[1, 2, 9, 9, 1, 2], 2), 18);
    }
}
