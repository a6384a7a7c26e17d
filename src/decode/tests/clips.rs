//! Streams to decode, from GStreamer's encoders with the settings of a WebRTC sender.

use std::time::Duration;

use bytes::Bytes;
use gst::prelude::*;

use crate::media::{Codec, EncodedFrame, MediaTime, Picture, Rotation, Size};

pub const FRAME_TIME: Duration = Duration::from_nanos(33_333_333);
pub const PACKET_TIME: Duration = Duration::from_millis(20);

const AV1_DELIMITER: &[u8] = &[0x12, 0x00];

/// A video in which every picture is an even grey of its own.
pub struct Clip {
    pub frames: Vec<EncodedFrame>,
    pub greys: Vec<u8>,
}

impl Clip {
    /// A clip that begins at time zero with a keyframe, and has no other.
    pub fn greys(codec: Codec, size: Size, count: usize) -> Self {
        gst::init().expect("GStreamer");
        let Size { width, height } = size;
        let encoder = match codec {
            Codec::Vp8 => "vp8enc deadline=1 keyframe-max-dist=10000 error-resilient=partitions",
            Codec::H264 => {
                "x264enc tune=zerolatency key-int-max=10000 option-string=scenecut=0 \
                 ! video/x-h264,profile=constrained-baseline,stream-format=byte-stream,alignment=au"
            }
            Codec::Vp9 => {
                "vp9enc deadline=1 cpu-used=8 keyframe-max-dist=10000 lag-in-frames=0 target-bitrate=2000000"
            }
            Codec::Av1 => {
                "av1enc usage-profile=realtime cpu-used=10 keyframe-max-dist=10000 lag-in-frames=0 target-bitrate=2000"
            }
            Codec::H265 => {
                "x265enc tune=zerolatency speed-preset=ultrafast key-int-max=10000 qp=10 \
                 ! video/x-h265,stream-format=byte-stream,alignment=au"
            }
            Codec::Opus => panic!("no pictures in Opus"),
        };
        let caps = format!("video/x-raw,format=I420,width={width},height={height},framerate=30/1");
        let greys: Vec<u8> = (0..count).map(|n| 40 + (n * 5 % 160) as u8).collect();
        let pictures = greys.iter().map(|grey| grey_picture(&caps, *grey)).collect();
        Self { frames: encode(codec, &caps, encoder, pictures, FRAME_TIME), greys }
    }

    /// Returns the same clip, beginning at `start`.
    pub fn from(mut self, start: MediaTime) -> Self {
        for frame in &mut self.frames {
            frame.time = MediaTime::from_nanos(frame.time.nanos() + start.nanos());
        }
        self
    }
}

/// Returns quiet stereo with one loud click at `click` ns, in packets of 20 ms.
pub fn opus_with_click(packets: usize, click: u64) -> Vec<EncodedFrame> {
    gst::init().expect("GStreamer");
    let caps = "audio/x-raw,format=S16LE,rate=48000,channels=2,layout=interleaved";
    let click = (click * 48_000 / 1_000_000_000) as usize;
    let sample =
        |n: usize| -> [i16; 2] { if (click..click + 4).contains(&n) { [30_000; 2] } else { [0; 2] } };
    let samples = (0..packets * 960).flat_map(sample).flat_map(i16::to_le_bytes).collect::<Vec<u8>>();
    let buffers = samples.chunks(960 * 4).map(|c| gst::Buffer::from_slice(c.to_vec())).collect();
    let mut frames = encode(Codec::Opus, caps, "opusenc bitrate=64000", buffers, PACKET_TIME);
    // The encoder adds a last packet with its look-ahead.
    frames.truncate(packets);
    frames
}

/// Returns the sound that GStreamer's `audiotestsrc` makes of `source`, in packets of 20 ms.
pub fn opus_tones(packets: usize, source: &str) -> Vec<EncodedFrame> {
    gst::init().expect("GStreamer");
    let text = format!(
        "audiotestsrc samplesperbuffer=960 num-buffers={} {source} ! audioconvert \
         ! opusenc bitrate=96000 ! appsink name=out sync=false",
        packets + 1,
    );
    let pipeline =
        gst::parse::launch(&text).expect("an encoder").downcast::<gst::Pipeline>().expect("a pipeline");
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().expect("appsink");
    pipeline.set_state(gst::State::Playing).expect("an encoder that starts");
    let step = gst::ClockTime::from_nseconds(PACKET_TIME.as_nanos() as u64);
    let samples = std::iter::from_fn(|| sink.pull_sample().ok()).take(packets);
    let frames = samples.zip(0..).map(|(sample, n)| frame(Codec::Opus, &sample, step * n)).collect();
    pipeline.set_state(gst::State::Null).expect("an encoder that stops");
    frames
}

/// Returns Y, U and V in the middle of the picture. The far corners are read too, so that a wrong stride is
/// noticed.
pub fn centre(codec: Codec, picture: &Picture) -> [u8; 3] {
    let Size { width, height } = picture.image.size();
    let sides =
        [(width, height), (width.div_ceil(2), height.div_ceil(2)), (width.div_ceil(2), height.div_ceil(2))];
    let mut planes = picture.image.planes().into_iter().zip(sides);
    std::array::from_fn(|_| {
        let (plane, (width, height)) = planes.next().expect("three planes");
        let at = |x: u32, y: u32| plane.data[y as usize * plane.stride + x as usize];
        let middle = at(width / 2, height / 2);
        for corner in [at(0, 0), at(width - 1, 0), at(0, height - 1), at(width - 1, height - 1)] {
            assert!(
                corner.abs_diff(middle) <= 3,
                "{codec:?}: an even grey is {corner} at a corner, {middle} in the middle"
            );
        }
        middle
    })
}

pub fn sizes(pictures: &[Picture]) -> Vec<Size> {
    pictures.iter().map(|p| p.image.size()).collect()
}

fn grey_picture(caps: &str, grey: u8) -> gst::Buffer {
    let caps: gst::Caps = caps.parse().expect("caps");
    let info = gst_video::VideoInfo::from_caps(&caps).expect("video caps");
    let mut bytes = vec![128; info.size()];
    bytes[..info.offset()[1]].fill(grey);
    gst::Buffer::from_slice(bytes)
}

/// Sends `inputs`, each `step` long, through `encoder`.
fn encode(
    codec: Codec,
    caps: &str,
    encoder: &str,
    inputs: Vec<gst::Buffer>,
    step: Duration,
) -> Vec<EncodedFrame> {
    let text = format!(
        "appsrc name=in format=time max-bytes=0 caps={caps} ! {encoder} ! appsink name=out sync=false"
    );
    let pipeline =
        gst::parse::launch(&text).expect("an encoder").downcast::<gst::Pipeline>().expect("a pipeline");
    let source = pipeline.by_name("in").and_downcast::<gst_app::AppSrc>().expect("appsrc");
    let sink = pipeline.by_name("out").and_downcast::<gst_app::AppSink>().expect("appsink");
    pipeline.set_state(gst::State::Playing).expect("an encoder that starts");
    let step = gst::ClockTime::from_nseconds(step.as_nanos() as u64);
    for (n, mut buffer) in (0..).zip(inputs) {
        buffer.make_mut().set_pts(step * n);
        buffer.make_mut().set_duration(step);
        source.push_buffer(buffer).expect("an encoder that takes pictures");
    }
    source.end_of_stream().expect("an encoder that ends");
    let samples = std::iter::from_fn(|| sink.pull_sample().ok());
    let frames = samples.zip(0..).map(|(sample, n)| frame(codec, &sample, step * n)).collect();
    pipeline.set_state(gst::State::Null).expect("an encoder that stops");
    frames
}

fn frame(codec: Codec, sample: &gst::Sample, time: gst::ClockTime) -> EncodedFrame {
    let buffer = sample.buffer().expect("a buffer");
    let bytes = buffer.map_readable().expect("its bytes");
    // RTP leaves out the temporal delimiter that begins each of AV1's units.
    let data = Bytes::copy_from_slice(bytes.strip_prefix(AV1_DELIMITER).unwrap_or(&bytes));
    EncodedFrame {
        rotation: Rotation::Upright,
        codec,
        time: MediaTime::from_nanos(time.nseconds() as i64),
        data,
        keyframe: !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT),
        discontinuity: false,
    }
}
