//! The outputs of a decoder: GStreamer's samples; pictures are wrapped without a copy.

use std::sync::Arc;
use std::time::Duration;

use gst_video::prelude::*;

use crate::media::{I420, MediaTime, Picture, Plane, Rotation, Size, Sound};

/// GStreamer has no negative time stamps, but frames from before the recording's zero have them.
const TIME_OFFSET: i64 = 3600 * 1_000_000_000;
/// The Opus decoder returns its signal this much later than the encoder took it (312 samples, libopus'
/// look-ahead at 48 kHz).
const OPUS_LOOK_AHEAD: Duration = Duration::from_micros(6_500);

pub fn to_clock_time(time: MediaTime) -> gst::ClockTime {
    gst::ClockTime::from_nseconds((time.nanos() + TIME_OFFSET).max(0).cast_unsigned())
}

fn from_clock_time(time: gst::ClockTime) -> MediaTime {
    MediaTime::from_nanos(time.nseconds().cast_signed() - TIME_OFFSET)
}

/// Returns an upright picture, as far as the decoder knows. Returns `None` for a blank picture of the SFU,
/// for a sample without a time, and for another format than I420.
pub fn picture(sample: &gst::Sample) -> Option<Picture> {
    let info = gst_video::VideoInfo::from_caps(sample.caps()?).ok()?;
    let buffer = sample.buffer_owned()?;
    let time = from_clock_time(buffer.pts()?);
    let frame = gst_video::VideoFrame::from_buffer_readable(buffer, &info).ok()?;
    // A blank frame does not hide the tile: the room's mute event does.
    let blank = Size { width: frame.width(), height: frame.height() }.is_blank_frame();
    (frame.format() == gst_video::VideoFormat::I420 && !blank).then(|| Picture {
        time,
        rotation: Rotation::Upright,
        image: Arc::new(MappedPicture(frame)),
    })
}

pub fn sound(sample: &gst::Sample) -> Option<Sound> {
    let buffer = sample.buffer()?;
    let time = from_clock_time(buffer.pts()?) - OPUS_LOOK_AHEAD;
    let bytes = buffer.map_readable().ok()?;
    let samples = bytes.chunks_exact(2).map(|s| i16::from_le_bytes([s[0], s[1]])).collect();
    Some(Sound { time, samples })
}

/// A decoder's own buffer, mapped for its lifetime.
struct MappedPicture(gst_video::VideoFrame<gst_video::video_frame::Readable>);

impl I420 for MappedPicture {
    fn size(&self) -> Size {
        Size { width: self.0.width(), height: self.0.height() }
    }

    fn planes(&self) -> [Plane<'_>; 3] {
        let plane = |n: u32| Plane {
            data: self.0.plane_data(n).unwrap_or_default(),
            stride: usize::try_from(self.0.plane_stride()[n as usize]).unwrap_or(0),
        };
        [plane(0), plane(1), plane(2)]
    }
}
