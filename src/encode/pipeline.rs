//! Makes one pipeline from the descriptions in `pipelines/output-video.txt` and `pipelines/output-audio.txt`.

use gst::prelude::*;

use super::EncodeSettings;
use super::error::EncodeError;
use crate::media::{Size, StreamKind};

/// A viewer can jump to every second second, and a lost fragment costs no more than that.
const KEYFRAME_SECONDS: u32 = 2;

const VIDEO: &str = include_str!("../../pipelines/output-video.txt");
const AUDIO: &str = include_str!("../../pipelines/output-audio.txt");

pub struct Parts {
    pub pipeline: gst::Pipeline,
    /// `None` for a stream that the recording does not have.
    pub video: Option<Ends>,
    pub audio: Option<Ends>,
}

/// The input and the output of a stream.
pub struct Ends {
    pub source: gst_app::AppSrc,
    pub sink: gst_app::AppSink,
}

pub fn build(settings: EncodeSettings) -> Result<Parts, EncodeError> {
    gst::init().map_err(|e| setup(&e))?;
    let pipeline = gst::parse::launch(&description(settings)).map_err(|e| setup(&e))?;
    let pipeline = pipeline.downcast::<gst::Pipeline>().map_err(|_| setup(&"not a pipeline"))?;
    let ends = |stream, names| match settings.streams.has(stream) {
        true => ends(&pipeline, names).map(Some),
        false => Ok(None),
    };
    let video = ends(StreamKind::Video, ("video", "video_out"))?;
    let audio = ends(StreamKind::Audio, ("audio", "audio_out"))?;
    Ok(Parts { video, audio, pipeline })
}

fn ends(pipeline: &gst::Pipeline, (source, sink): (&str, &str)) -> Result<Ends, EncodeError> {
    Ok(Ends { source: find(pipeline, source)?, sink: find(pipeline, sink)? })
}

fn description(settings: EncodeSettings) -> String {
    let EncodeSettings { streams, size, frame_rate, video_kbps, audio_kbps } = settings;
    let numbers = [
        ("{width}", size.width),
        ("{height}", size.height),
        ("{frame_rate}", frame_rate),
        ("{video_kbps}", video_kbps),
        ("{audio_bps}", audio_kbps * 1000),
        ("{keyframe_interval}", frame_rate * KEYFRAME_SECONDS),
        ("{threads}", threads(settings)),
    ];
    let (pictures, sound) = (VIDEO.lines(), AUDIO.lines());
    let pictures = pictures.filter(|_| streams.has(StreamKind::Video));
    let sound = sound.filter(|_| streams.has(StreamKind::Audio));
    // gst-launch's syntax has no comments.
    let text = pictures.chain(sound).filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n");
    numbers.iter().fold(text, |text, (name, number)| text.replace(name, &number.to_string()))
}

/// 720p30 needs a fifth of a core. One thread encodes up to 1080p30, and each further thread as much again.
fn threads(settings: EncodeSettings) -> u32 {
    const PIXELS_A_SECOND: u64 = 1920 * 1080 * 30;
    const THREADS_MAX: u64 = 8;
    let EncodeSettings { size: Size { width, height }, frame_rate, .. } = settings;
    let pixels = u64::from(width) * u64::from(height) * u64::from(frame_rate);
    pixels.div_ceil(PIXELS_A_SECOND).clamp(1, THREADS_MAX) as u32
}

fn find<T: IsA<gst::Element>>(pipeline: &gst::Pipeline, name: &str) -> Result<T, EncodeError> {
    let element = pipeline.by_name(name).and_then(|e| e.downcast().ok());
    element.ok_or_else(|| setup(&format!("the description has no element {name}")))
}

pub fn setup(reason: &impl ToString) -> EncodeError {
    EncodeError::Setup { reason: reason.to_string() }
}
