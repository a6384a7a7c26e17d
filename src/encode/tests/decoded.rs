//! Decodes encoded samples for the tests.

use gst::prelude::*;

use crate::media::{EncodedSample, Size, StreamKind, StreamSetup};

/// Returns the luma in the middle of each picture.
pub fn greys(setup: &StreamSetup, samples: &[EncodedSample]) -> Vec<u8> {
    let caps = gst::Caps::builder("video/x-h264")
        .field("stream-format", "avc")
        .field("alignment", "au")
        .field("codec_data", gst::Buffer::from_slice(setup.avcc.clone().expect("a picture")))
        .build();
    let pictures =
        decode(&caps, "avdec_h264 max-threads=1 ! videoconvert ! video/x-raw,format=I420", samples);
    let luma = |sample: &gst::Sample| {
        let info = gst_video::VideoInfo::from_caps(sample.caps().expect("caps")).expect("video");
        let bytes = sample.buffer().expect("a buffer").map_readable().expect("its bytes");
        bytes[info.stride()[0] as usize * (info.height() as usize / 2) + info.width() as usize / 2]
    };
    pictures.iter().map(luma).collect()
}

/// Returns every sample that a decoder returns, including the priming.
pub fn sound_of(setup: &StreamSetup, samples: &[EncodedSample]) -> Vec<[i16; 2]> {
    let caps = gst::Caps::builder("audio/mpeg")
        .field("mpegversion", 4)
        .field("stream-format", "raw")
        .field("rate", 48_000)
        .field("channels", 2)
        .field("codec_data", gst::Buffer::from_slice(setup.audio.clone().expect("sound").specific_config))
        .build();
    let sounds =
        decode(&caps, "avdec_aac ! audioconvert ! audio/x-raw,format=S16LE,layout=interleaved", samples);
    let frames = |sample: &gst::Sample| {
        let bytes = sample.buffer().expect("a buffer").map_readable().expect("its bytes");
        let value = |at: &[u8]| i16::from_le_bytes([at[0], at[1]]);
        bytes.chunks_exact(4).map(|frame| [value(frame), value(&frame[2..])]).collect::<Vec<_>>()
    };
    sounds.iter().flat_map(frames).collect()
}

/// Returns the size of a JPEG and its pixels, in RGB.
pub fn pixels_of_jpeg(file: Vec<u8>) -> (Size, Vec<u8>) {
    gst::init().expect("GStreamer");
    let caps = gst::Caps::builder("image/jpeg").build();
    let file = EncodedSample { stream: StreamKind::Video, data: file.into(), keyframe: true };
    let pictures = decode(&caps, "jpegdec ! videoconvert ! video/x-raw,format=RGB", &[file]);
    let info = gst_video::VideoInfo::from_caps(pictures[0].caps().expect("caps")).expect("video");
    let bytes = pictures[0].buffer().expect("a buffer").map_readable().expect("its bytes");
    (Size { width: info.width(), height: info.height() }, bytes.to_vec())
}

fn decode(caps: &gst::Caps, decoder: &str, samples: &[EncodedSample]) -> Vec<gst::Sample> {
    let text = format!("appsrc name=in format=time max-bytes=0 ! {decoder} ! appsink name=out sync=false");
    let pipeline =
        gst::parse::launch(&text).expect("a decoder").downcast::<gst::Pipeline>().expect("a pipeline");
    let source = pipeline.by_name("in").and_downcast::<gst_app::AppSrc>().expect("appsrc");
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().expect("appsink");
    source.set_caps(Some(caps));
    pipeline.set_state(gst::State::Playing).expect("a decoder that starts");
    for (n, sample) in (0..).zip(samples) {
        let mut buffer = gst::Buffer::from_slice(sample.data.clone());
        buffer.make_mut().set_pts(gst::ClockTime::from_mseconds(20) * n);
        source.push_buffer(buffer).expect("a decoder that takes samples");
    }
    source.end_of_stream().expect("a decoder that ends");
    let decoded = std::iter::from_fn(|| sink.pull_sample().ok()).collect();
    pipeline.set_state(gst::State::Null).expect("a decoder that stops");
    decoded
}
