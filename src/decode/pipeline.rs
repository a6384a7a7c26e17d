//! Makes pipelines from the descriptions in `pipelines/decode-*.txt`.

use gst::prelude::*;

use super::error::DecodeError;
use crate::media::Codec;

/// A pipeline, with the elements that the description names `in` and `out` and their pads.
pub struct Parts {
    pub pipeline: gst::Pipeline,
    pub source: gst_app::AppSrc,
    pub source_pad: gst::Pad,
    pub sink: gst_app::AppSink,
    pub sink_pad: gst::Pad,
}

pub fn build(codec: Codec, name: &str) -> Result<Parts, DecodeError> {
    let setup = |reason: String| DecodeError::Setup { codec, reason };
    gst::init().map_err(|e| setup(e.to_string()))?;
    let pipeline = gst::parse::launch(&without_comments(description(codec)))
        .map_err(|e| setup(e.to_string()))?
        .downcast::<gst::Pipeline>()
        .map_err(|_| setup("the description is not a pipeline".into()))?;
    pipeline.set_property("name", name);
    let missing = |what: &str| setup(format!("the description has no {what}"));
    let source: gst_app::AppSrc = find(&pipeline, "in").ok_or_else(|| missing("appsrc name=in"))?;
    let sink: gst_app::AppSink = find(&pipeline, "out").ok_or_else(|| missing("appsink name=out"))?;
    let source_pad = source.static_pad("src").ok_or_else(|| missing("source pad"))?;
    let sink_pad = sink.static_pad("sink").ok_or_else(|| missing("sink pad"))?;
    Ok(Parts { pipeline, source, source_pad, sink, sink_pad })
}

fn description(codec: Codec) -> &'static str {
    match codec {
        Codec::Vp8 => include_str!("../../pipelines/decode-vp8.txt"),
        Codec::Vp9 => include_str!("../../pipelines/decode-vp9.txt"),
        Codec::H264 => include_str!("../../pipelines/decode-h264.txt"),
        Codec::H265 => include_str!("../../pipelines/decode-h265.txt"),
        Codec::Av1 => include_str!("../../pipelines/decode-av1.txt"),
        Codec::Opus => include_str!("../../pipelines/decode-opus.txt"),
    }
}

/// gst-launch's syntax has no comments.
fn without_comments(description: &str) -> String {
    description.lines().filter(|l| !l.starts_with('#')).collect::<Vec<_>>().join("\n")
}

fn find<T: IsA<gst::Element>>(pipeline: &gst::Pipeline, name: &str) -> Option<T> {
    pipeline.by_name(name)?.downcast().ok()
}
