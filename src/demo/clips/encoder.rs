//! Owns one run of a GStreamer encoder: raw frames in, encoded frames out, in order. `clips` decides what is
//! encoded and what is done with it. Blocking.

use std::sync::Arc;
use std::thread;

use gst::prelude::*;

use super::ClipError;
use crate::media::{Codec, TrackKind};

/// A working encoder takes less time for any frame, even on a busy machine.
const FRAME_DEADLINE: gst::ClockTime = gst::ClockTime::from_seconds(20);

/// One raw frame or block of samples for an encoder.
pub(super) struct Raw {
    pub data: Vec<u8>,
    pub at: gst::ClockTime,
    pub duration: gst::ClockTime,
}

pub(super) struct Encoded {
    pub data: Arc<[u8]>,
    pub keyframe: bool,
}

/// The settings in which encodings differ.
pub(super) struct Job {
    pub codec: Codec,
    pub description: &'static str,
    pub caps: gst::Caps,
    /// The encoder's property and its value, in the encoder's own unit. `None` where the description fixes
    /// it.
    pub bitrate: Option<(&'static str, i32)>,
}

/// Encodes `raw` and returns all output.
pub(super) fn run(job: &Job, raw: impl Iterator<Item = Raw> + Send) -> Result<Vec<Encoded>, ClipError> {
    let codec = job.codec;
    let missing = |source| ClipError::Pipeline { codec, source };
    let pipeline = gst::parse::launch(job.description).map_err(missing)?;
    let pipeline =
        pipeline.downcast::<gst::Pipeline>().expect("a description of several elements is a pipeline");
    let source: gst_app::AppSrc = element(&pipeline, "src");
    let sink: gst_app::AppSink = element(&pipeline, "sink");
    source.set_caps(Some(&job.caps));
    if let Some((property, value)) = job.bitrate {
        let encoder: gst::Element = element(&pipeline, "encoder");
        encoder.set_property_from_str(property, &value.to_string());
    }
    let start = |source| ClipError::Start { codec, source };
    pipeline.set_state(gst::State::Playing).map_err(start)?;
    let encoded = thread::scope(|scope| {
        scope.spawn(|| feed(&source, raw));
        let encoded = drain(codec, &pipeline, &sink);
        // Sets NULL within the scope, which wakes a feeder that waits for a failed encoder.
        let _ = pipeline.set_state(gst::State::Null);
        encoded
    })?;
    Ok(encoded)
}

/// The elements' names are fixed words of the descriptions in `pipelines/`.
fn element<T: IsA<gst::Element>>(pipeline: &gst::Pipeline, name: &str) -> T {
    let element = pipeline.by_name(name).expect("every clip description names it");
    element.downcast().expect("every clip description gives it this type")
}

/// Blocks while the encoder is busy. Ends early if the pipeline does.
fn feed(source: &gst_app::AppSrc, raw: impl Iterator<Item = Raw>) {
    for raw in raw {
        let mut buffer = gst::Buffer::from_mut_slice(raw.data);
        let header = buffer.get_mut().expect("the buffer was made just now and has no other owner");
        header.set_pts(raw.at);
        header.set_duration(raw.duration);
        if source.push_buffer(buffer).is_err() {
            return;
        }
    }
    let _ = source.end_of_stream();
}

fn drain(codec: Codec, pipeline: &gst::Pipeline, sink: &gst_app::AppSink) -> Result<Vec<Encoded>, ClipError> {
    let mut encoded = Vec::new();
    while let Some(sample) = sink.try_pull_sample(FRAME_DEADLINE) {
        let failed = |detail: &str| ClipError::Encoder { codec, detail: detail.to_owned() };
        let buffer = sample.buffer().ok_or_else(|| failed("a sample without a buffer"))?;
        let map = buffer.map_readable().map_err(|_| failed("a buffer that cannot be read"))?;
        let delta = buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        encoded.push(Encoded {
            data: map.as_slice().into(),
            keyframe: codec.kind() == TrackKind::Audio || !delta,
        });
    }
    if sink.is_eos() {
        return Ok(encoded);
    }
    Err(ClipError::Encoder { codec, detail: complaint(pipeline) })
}

/// Returns the encoder's error from the bus, if there is one.
fn complaint(pipeline: &gst::Pipeline) -> String {
    let bus = pipeline.bus().expect("every pipeline has a bus");
    match bus.pop_filtered(&[gst::MessageType::Error]) {
        Some(message) => match message.view() {
            gst::MessageView::Error(error) => error.error().to_string(),
            _ => "an error without a description".into(),
        },
        None => format!("nothing came for {FRAME_DEADLINE}"),
    }
}
