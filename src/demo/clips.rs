//! Owns the clips that test participants send: pictures and sound of our own drawing, encoded once by
//! GStreamer before anybody joins. Blocking; takes a few seconds of one core for each participant.
//!
//! Contract: picture and sound have exactly the same length, frame `n` of the picture carries the
//! number `n` if it is a figure's (see `picture`), and there is a keyframe every second.

mod encoder;

use std::sync::Arc;

use self::encoder::{Encoded, Job, Raw};
use super::card::Card;
use super::picture::Figure;
use super::voice::Voice;
use crate::media::{AUDIO_RATE, Codec, Size};
use crate::room::publisher::{AudioLevel, Clip, ClipFrame, RIDS, TrackClips};

pub const FRAME_RATE: u32 = 30;
/// RTP ticks of one frame (90 kHz) and of one packet (48 kHz, 20 ms: what browsers send).
const VIDEO_STEP: u64 = 90_000 / FRAME_RATE as u64;
const AUDIO_STEP: u64 = AUDIO_RATE as u64 / 50;
const FRAMES: u32 = FRAME_RATE * Voice::PERIOD.as_secs() as u32;
const PACKETS: u64 = 50 * Voice::PERIOD.as_secs();
/// Bits a pixel: 550 kbit/s for 640x360 at 30 frames a second, as much as a browser spends.
const BITS_PER_PIXEL: f64 = 0.08;
/// RFC 6464: the quietest level, for digital silence.
const SILENCE_DBOV: i8 = -127;

/// What one participant sends.
#[derive(Clone, Copy, Debug)]
pub struct ClipOptions {
    /// Counted from 0; decides colour, number and tone.
    pub participant: u32,
    pub size: Size,
    pub codec: VideoCodec,
    pub look: Look,
    pub layers: Layers,
    pub sound: Sound,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    Voice,
    /// The participant has no microphone.
    None,
}

/// How many sizes of the picture are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layers {
    Single,
    /// The full size, a half and a quarter.
    Simulcast,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum VideoCodec {
    Vp8,
    H264,
    H265,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Look {
    /// A speaking figure, with the number of the frame.
    Figure,
    /// A plain card of the participant's own colour.
    Card,
    /// A card that costs as many bits as a busy picture.
    Busy,
}

#[derive(Debug, thiserror::Error)]
pub enum ClipError {
    #[error("{width}x{height} cannot be encoded: both must be even, 32 to 4096")]
    Size { width: u32, height: u32 },
    #[error("GStreamer does not start")]
    Init(#[source] gst::glib::Error),
    #[error("GStreamer lacks an element of the {codec:?} encoder; are the plugins of README.md installed?")]
    Pipeline {
        codec: Codec,
        #[source]
        source: gst::glib::Error,
    },
    #[error("the {codec:?} encoder does not start")]
    Start {
        codec: Codec,
        #[source]
        source: gst::StateChangeError,
    },
    #[error("the {codec:?} encoder failed: {detail}")]
    Encoder { codec: Codec, detail: String },
    #[error("the {codec:?} encoder gave {got} frames for {expected}")]
    Count { codec: Codec, expected: usize, got: usize },
}

/// Encodes a participant's picture and sound.
///
/// # Errors
/// If an encoder is missing or does not work.
pub fn encode(options: ClipOptions) -> Result<Vec<TrackClips>, ClipError> {
    gst::init().map_err(ClipError::Init)?;
    let sizes = sizes(options.size, options.layers).into_iter();
    let video = sizes.map(|size| video(ClipOptions { size, ..options }).map(Arc::new));
    let mut tracks = vec![TrackClips(video.collect::<Result<_, _>>()?)];
    match options.sound {
        Sound::Voice => tracks.push(TrackClips(vec![Arc::new(audio(options.participant)?)])),
        Sound::None => {}
    }
    Ok(tracks)
}

/// Returns the sizes of a picture's layers, the smallest first.
fn sizes(size: Size, layers: Layers) -> Vec<Size> {
    let halvings = match layers {
        Layers::Single => 0..1,
        Layers::Simulcast => 0..RIDS.len() as u32,
    };
    halvings.rev().map(|n| Size { width: size.width >> n, height: size.height >> n }).collect()
}

fn video(options: ClipOptions) -> Result<Clip, ClipError> {
    let Size { width, height } = options.size;
    let fits = |n: u32| n.is_multiple_of(2) && (32..=4096).contains(&n);
    if !fits(width) || !fits(height) {
        return Err(ClipError::Size { width, height });
    }
    let raw = (0..FRAMES).zip(pictures(options)).map(|(n, data)| Raw {
        data,
        at: gst::ClockTime::SECOND * u64::from(n) / u64::from(FRAME_RATE),
        duration: gst::ClockTime::SECOND / u64::from(FRAME_RATE),
    });
    let encoded = encoder::run(&video_job(options), raw)?;
    expect_count(options.codec.into(), FRAMES as usize, encoded.len())?;
    Ok(Clip {
        codec: options.codec.into(),
        size: Some(options.size),
        frames: (0..).zip(encoded).map(|(n, e)| e.at(n * VIDEO_STEP, None)).collect(),
        length: u64::from(FRAMES) * VIDEO_STEP,
    })
}

fn pictures(options: ClipOptions) -> Box<dyn Iterator<Item = Vec<u8>> + Send> {
    let ClipOptions { participant, size, .. } = options;
    match options.look {
        Look::Figure => {
            let (figure, voice) = (Figure::new(size, participant, FRAMES), Voice::of(participant));
            let loudness = move |n: u32| voice.loudness(f64::from(n) / f64::from(FRAME_RATE));
            Box::new((0..FRAMES).map(move |n| figure.draw(n, loudness(n))))
        }
        Look::Card => {
            let card = Card::new(size, participant, FRAMES);
            Box::new((0..FRAMES).map(move |n| card.draw(n)))
        }
        Look::Busy => {
            let card = Card::new(size, participant, FRAMES);
            Box::new((0..FRAMES).map(move |n| card.draw_busy(n)))
        }
    }
}

fn video_job(options: ClipOptions) -> Job {
    let Size { width, height } = options.size;
    let bits = f64::from(width * height * FRAME_RATE) * BITS_PER_PIXEL;
    let (description, bitrate) = match options.codec {
        VideoCodec::Vp8 => (include_str!("../../pipelines/clip-vp8.txt"), ("target-bitrate", bits as i32)),
        VideoCodec::H264 => (include_str!("../../pipelines/clip-h264.txt"), ("bitrate", (bits / 1e3) as i32)),
        VideoCodec::H265 => (include_str!("../../pipelines/clip-h265.txt"), ("bitrate", (bits / 1e3) as i32)),
    };
    Job {
        codec: options.codec.into(),
        description,
        caps: gst::Caps::builder("video/x-raw")
            .field("format", "I420")
            .field("width", width as i32)
            .field("height", height as i32)
            .field("framerate", gst::Fraction::new(FRAME_RATE as i32, 1))
            .build(),
        bitrate: Some(bitrate),
    }
}

/// Encodes two rounds and keeps the second: its first packet then continues its last one, and the decoder
/// hears no seam.
fn audio(participant: u32) -> Result<Clip, ClipError> {
    let voice = Voice::of(participant);
    let raw = (0..2 * PACKETS).map(move |n| Raw {
        data: voice
            .samples(n * AUDIO_STEP, AUDIO_STEP as usize)
            .into_iter()
            .flat_map(i16::to_le_bytes)
            .collect(),
        at: gst::ClockTime::from_mseconds(20) * n,
        duration: gst::ClockTime::from_mseconds(20),
    });
    let caps = gst::Caps::builder("audio/x-raw")
        .field("format", "S16LE")
        .field("layout", "interleaved")
        .field("rate", AUDIO_RATE as i32)
        .field("channels", 1)
        .build();
    let job = Job {
        codec: Codec::Opus,
        description: include_str!("../../pipelines/clip-opus.txt"),
        caps,
        bitrate: None,
    };
    // One more packet may follow, with samples that the encoder's look-ahead held back.
    let encoded: Vec<Encoded> =
        encoder::run(&job, raw)?.into_iter().skip(PACKETS as usize).take(PACKETS as usize).collect();
    expect_count(Codec::Opus, PACKETS as usize, encoded.len())?;
    let frame = |(n, e): (u64, Encoded)| e.at(n * AUDIO_STEP, Some(level(voice, n)));
    Ok(Clip {
        codec: Codec::Opus,
        size: None,
        frames: (0..).zip(encoded).map(frame).collect(),
        length: PACKETS * AUDIO_STEP,
    })
}

/// Returns the level of a whole packet, from its samples.
fn level(voice: Voice, packet: u64) -> AudioLevel {
    let samples = voice.samples(packet * AUDIO_STEP, AUDIO_STEP as usize);
    let power = samples.iter().map(|s| (f64::from(*s) / 32_768.0).powi(2)).sum::<f64>();
    let dbov = (10.0 * (power / samples.len() as f64).log10()).max(f64::from(SILENCE_DBOV));
    AudioLevel { dbov: dbov.round() as i8, voice: dbov > -60.0 }
}

fn expect_count(codec: Codec, expected: usize, got: usize) -> Result<(), ClipError> {
    if expected == got { Ok(()) } else { Err(ClipError::Count { codec, expected, got }) }
}

impl Encoded {
    fn at(self, at: u64, level: Option<AudioLevel>) -> ClipFrame {
        ClipFrame { at, data: self.data, keyframe: self.keyframe, level }
    }
}

impl From<VideoCodec> for Codec {
    fn from(codec: VideoCodec) -> Self {
        match codec {
            VideoCodec::Vp8 => Self::Vp8,
            VideoCodec::H264 => Self::H264,
            VideoCodec::H265 => Self::H265,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::TrackKind;

    const SMALL: Size = Size { width: 160, height: 90 };

    fn clips(codec: VideoCodec) -> Vec<Arc<Clip>> {
        let (layers, sound) = (Layers::Single, Sound::Voice);
        let tracks =
            encode(ClipOptions { participant: 1, size: SMALL, codec, look: Look::Figure, layers, sound })
                .unwrap();
        tracks.into_iter().flat_map(|track| track.0).collect()
    }

    fn seconds(clip: &Clip) -> f64 {
        let rate = match clip.codec.kind() {
            TrackKind::Video => 90_000.0,
            TrackKind::Audio => 48_000.0,
        };
        clip.length as f64 / rate
    }

    #[test]
    fn picture_and_sound_are_equally_long() {
        let clips = clips(VideoCodec::Vp8);
        assert_eq!(seconds(&clips[0]), 6.0);
        assert_eq!(seconds(&clips[1]), 6.0);
    }

    #[test]
    fn no_frame_is_missing_and_a_keyframe_comes_every_second() {
        for codec in [VideoCodec::Vp8, VideoCodec::H264, VideoCodec::H265] {
            let video = clips(codec).swap_remove(0);
            assert_eq!(video.frames.len(), 180);
            for (n, frame) in video.frames.iter().enumerate() {
                assert_eq!(frame.at, n as u64 * 3000);
                assert_eq!(frame.keyframe, n % 30 == 0, "{codec:?} frame {n}");
                assert!(!frame.data.is_empty());
            }
        }
    }

    #[test]
    fn a_vp8_keyframe_says_its_size() {
        let video = clips(VideoCodec::Vp8).swap_remove(0);
        // RFC 6386, section 9.1: start code, then width and height of 14 bits each.
        let head = &video.frames[30].data[..10];
        assert_eq!(head[0] & 1, 0);
        assert_eq!(head[3..6], [0x9d, 0x01, 0x2a]);
        assert_eq!(u16::from_le_bytes([head[6], head[7]]), 160);
        assert_eq!(u16::from_le_bytes([head[8], head[9]]), 90);
    }

    #[test]
    fn an_h264_keyframe_brings_its_parameter_sets() {
        let video = clips(VideoCodec::H264).swap_remove(0);
        let types: Vec<u8> = nal_types(&video.frames[60].data);
        assert!(types.contains(&7) && types.contains(&8) && types.contains(&5), "{types:?}");
        assert!(!nal_types(&video.frames[61].data).contains(&5));
    }

    #[test]
    fn sound_is_one_packet_every_20_ms_and_loud_only_while_speaking() {
        let sound = clips(VideoCodec::Vp8).swap_remove(1);
        assert_eq!(sound.frames.len(), 300);
        let loud = sound.frames.iter().filter(|f| f.level.is_some_and(|l| l.voice)).count();
        assert!((120..=150).contains(&loud), "{loud} of 300");
        let silent = sound.frames.iter().filter_map(|f| f.level).filter(|l| l.dbov == -127);
        assert!(silent.count() >= 140);
    }

    #[test]
    fn an_odd_size_is_refused() {
        let size = Size { width: 161, height: 90 };
        let (look, layers, sound) = (Look::Card, Layers::Single, Sound::Voice);
        let refused =
            encode(ClipOptions { participant: 0, size, codec: VideoCodec::Vp8, look, layers, sound });
        assert!(matches!(refused, Err(ClipError::Size { width: 161, .. })));
    }

    #[test]
    fn layers_double_in_size_and_a_busy_picture_uses_the_bits_that_it_may() {
        let options = ClipOptions {
            participant: 1,
            size: Size { width: 640, height: 360 },
            codec: VideoCodec::Vp8,
            look: Look::Busy,
            layers: Layers::Simulcast,
            sound: Sound::None,
        };
        let tracks = encode(options).unwrap();
        let [video] = tracks.as_slice() else { panic!("no sound was asked for: {tracks:?}") };
        for (clip, (height, bits_per_second)) in video.0.iter().zip([(90, 34e3), (180, 138e3), (360, 553e3)])
        {
            assert_eq!(clip.size.map(|size| size.height), Some(height));
            let bits = clip.frames.iter().map(|frame| frame.data.len() as f64 * 8.0).sum::<f64>();
            let share = bits / seconds(clip) / bits_per_second;
            assert!((0.7..1.5).contains(&share), "{share} of what {height} lines may take");
        }
    }

    fn nal_types(annex_b: &[u8]) -> Vec<u8> {
        let starts = annex_b.windows(4).filter(|w| w[..3] == [0, 0, 1]);
        starts.map(|w| w[3] & 0x1f).collect()
    }
}
