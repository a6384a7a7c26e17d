//! The types that the media folders share: time on the recording's timeline, codecs, encoded frames, pictures
//! and sound. Pure data; no clock, no socket, no foreign library.

use std::fmt;
use std::ops::{Add, Sub};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Sample rate of all sound after the Opus decoder, in Hz. Opus itself has no other clock.
pub const AUDIO_RATE: u32 = 48_000;
/// All sound after the decoder is interleaved stereo.
pub const AUDIO_CHANNELS: usize = 2;

/// A point on the recording's timeline, in nanoseconds since its zero; may be negative.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(i64);

impl MediaTime {
    pub const ZERO: Self = Self(0);

    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    pub const fn from_millis(millis: i64) -> Self {
        Self(millis * 1_000_000)
    }

    pub const fn nanos(self) -> i64 {
        self.0
    }

    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Returns `self - earlier` in nanoseconds; negative if `earlier` is the later one.
    pub const fn nanos_since(self, earlier: Self) -> i64 {
        self.0 - earlier.0
    }
}

impl Add<Duration> for MediaTime {
    type Output = Self;
    fn add(self, d: Duration) -> Self {
        Self(self.0 + d.as_nanos() as i64)
    }
}

impl Sub<Duration> for MediaTime {
    type Output = Self;
    fn sub(self, d: Duration) -> Self {
        Self(self.0 - d.as_nanos() as i64)
    }
}

impl fmt::Debug for MediaTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.6}s", self.as_secs_f64())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TrackKind {
    Audio,
    Video,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    Vp8,
    Vp9,
    H264,
    H265,
    Av1,
    Opus,
}

impl Codec {
    /// All video codecs that a LiveKit room can carry.
    pub const VIDEO: [Self; 5] = [Self::Vp8, Self::Vp9, Self::H264, Self::H265, Self::Av1];

    pub const fn kind(self) -> TrackKind {
        match self {
            Self::Vp8 | Self::Vp9 | Self::H264 | Self::H265 | Self::Av1 => TrackKind::Video,
            Self::Opus => TrackKind::Audio,
        }
    }

    /// Returns the codec of a MIME subtype in upper or lower case (`H264`, as in RFC 6184), or of a user's
    /// spelling.
    pub fn named(name: &str) -> Option<Self> {
        let all = [
            ("vp8", Self::Vp8),
            ("vp9", Self::Vp9),
            ("h264", Self::H264),
            ("h265", Self::H265),
            ("av1", Self::Av1),
            ("opus", Self::Opus),
        ];
        all.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, codec)| codec)
    }

    /// Returns the name that is shown to people.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Vp8 => "VP8",
            Self::Vp9 => "VP9",
            Self::H264 => "H.264",
            Self::H265 => "H.265",
            Self::Av1 => "AV1",
            Self::Opus => "Opus",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How far a picture must be turned, clockwise, to be upright.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Rotation {
    #[default]
    Upright,
    By90,
    By180,
    By270,
}

/// What a video track shows. It decides how the picture is fitted into its cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VideoSource {
    Camera,
    ScreenShare,
}

/// A participant whom others in the room can see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Participant {
    /// LiveKit's key for the participant: one per participant and room.
    pub identity: String,
    /// The name that others see; may be empty.
    pub name: String,
    /// The participant who joined first has the smallest.
    pub order: u64,
}

/// A participant who speaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Speaker {
    pub identity: String,
    /// 0 (silent) to 1 (loudest), as LiveKit measures it.
    pub level: f32,
}

/// One depacketised frame of a track, as the SFU sent it.
#[derive(Clone, Debug)]
pub struct EncodedFrame {
    pub codec: Codec,
    /// When the frame was captured, on the recording's timeline.
    pub time: MediaTime,
    /// VP8, VP9: one frame (VP9: all its spatial layers). H.264, H.265: one access unit, Annex B. AV1: one
    /// temporal unit. Opus: one packet.
    pub data: Bytes,
    pub keyframe: bool,
    /// Set for video only.
    pub rotation: Rotation,
    /// Something before this frame is missing.
    pub discontinuity: bool,
}

/// Width and height in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

impl Size {
    /// The SFU sends frames of up to this width and height (8x8, 2x2 from LiveKit) when a track is muted or
    /// leaves. They come from no camera.
    const BLANK_SIDE: u32 = 16;

    pub const fn is_blank_frame(self) -> bool {
        self.width <= Self::BLANK_SIDE && self.height <= Self::BLANK_SIDE
    }
}

/// A plane of one component. Each row has `stride` bytes, and the first `width` of them count.
#[derive(Clone, Copy)]
pub struct Plane<'a> {
    pub data: &'a [u8],
    pub stride: usize,
}

/// A decoded picture, planar 4:2:0, 8 bits. Chroma planes are ceil(width/2) x ceil(height/2).
pub trait I420: Send + Sync {
    fn size(&self) -> Size;
    /// The planes Y, U and V.
    fn planes(&self) -> [Plane<'_>; 3];
}

/// What the frame looks like apart from the tiles' content. It may change while a recording runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct View {
    pub layout: Layout,
    pub theme: Theme,
    pub fit: FitChoice,
}

/// How the frame is divided among the tiles (contract, part 3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// Equal cells, filled row by row from the left. While a screen is shared, the same as `Speaker`.
    #[default]
    Grid,
    /// The participant who speaks on a stage, the others in a column beside it.
    Speaker,
    /// The participant who speaks, alone.
    SingleSpeaker,
}

impl Layout {
    pub const ALL: [Self; 3] = [Self::Grid, Self::Speaker, Self::SingleSpeaker];
}

/// The background.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Theme {
    #[default]
    Dark,
    Light,
}

impl Theme {
    pub const ALL: [Self; 2] = [Self::Dark, Self::Light];
}

/// How pictures are fitted into their cells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FitChoice {
    /// A landscape camera fills its cell, any other picture is shown whole.
    #[default]
    ByShape,
    Cover,
    Contain,
}

impl FitChoice {
    pub const ALL: [Self; 3] = [Self::ByShape, Self::Cover, Self::Contain];
}

/// What may be drawn on and around the tiles; nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Decorations {
    /// The participant's name in a corner of their tile.
    pub names: bool,
    /// A tile with initials for a participant without a picture.
    pub initials: bool,
    /// A border around the participant who speaks.
    pub speaker_border: bool,
    pub watermark: Option<Watermark>,
}

/// A picture over the whole recording.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Watermark {
    /// A PNG file, with or without alpha.
    pub file: PathBuf,
    pub corner: Corner,
    /// 0 (invisible) to 1.
    pub opacity: f32,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Corner {
    TopLeft,
    TopRight,
    BottomLeft,
    #[default]
    BottomRight,
}

impl Corner {
    pub const ALL: [Self; 4] = [Self::TopLeft, Self::TopRight, Self::BottomLeft, Self::BottomRight];
}

/// A decoded picture, the moment it was captured, and how it must be turned.
#[derive(Clone)]
pub struct Picture {
    pub time: MediaTime,
    pub rotation: Rotation,
    pub image: Arc<dyn I420>,
}

/// Decoded sound: interleaved 16-bit stereo at [`AUDIO_RATE`].
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// The capture time of the first sample, without the decoder's own delay.
    pub time: MediaTime,
    pub samples: Vec<i16>,
}

/// The two streams of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamKind {
    Video,
    Audio,
}

/// Which of the two streams a file has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Streams {
    #[default]
    Both,
    AudioOnly,
    VideoOnly,
}

impl Streams {
    pub const fn has(self, stream: StreamKind) -> bool {
        match (self, stream) {
            (Self::Both, _) | (Self::AudioOnly, StreamKind::Audio) | (Self::VideoOnly, StreamKind::Video) => {
                true
            }
            (Self::AudioOnly, StreamKind::Video) | (Self::VideoOnly, StreamKind::Audio) => false,
        }
    }

    /// Returns whether the file has a stream for tracks of this kind.
    pub const fn takes(self, kind: TrackKind) -> bool {
        match kind {
            TrackKind::Audio => self.has(StreamKind::Audio),
            TrackKind::Video => self.has(StreamKind::Video),
        }
    }
}

/// One encoded sample of the file. The streams run without gaps: video sample `n` belongs to tick
/// `n`, audio sample `n` covers PCM samples `1024 * n ..` of the encoder's output.
#[derive(Clone, Debug)]
pub struct EncodedSample {
    pub stream: StreamKind,
    /// H.264: AVC format (length-prefixed NAL units). AAC: one raw access unit.
    pub data: Bytes,
    /// A decoder can start here. Always `true` for audio.
    pub keyframe: bool,
}

/// What a decoder must know before the first sample, from the encoders. `None` for a stream that the file
/// does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamSetup {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15).
    pub avcc: Option<Bytes>,
    pub audio: Option<AudioSetup>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct AudioSetup {
    /// `AudioSpecificConfig` (ISO/IEC 14496-3).
    pub specific_config: Bytes,
    /// How many samples the AAC encoder put in front of the first real one.
    pub priming: u32,
}
