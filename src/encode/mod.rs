//! Encodes the recording: one picture and the sound of its time in for each tick, H.264 and AAC samples out.
//! One static GStreamer pipeline does this (`pipelines/output-video.txt` and `output-audio.txt`, or one of
//! the two). Also encodes a single frame as JPEG.
//!
//! Not here: boxes and files. `mp4` and `worker` decide how long fragments are, how many bytes are final and
//! what happens when the disk is full. GStreamer's types do not leave this folder.
//!
//! Contract: nothing blocks. [`Encoded::Setup`] comes first, then, for the streams of the recording, one
//! video sample for every pushed tick, in order, and the sound of all ticks. After [`Encoder::finish`],
//! [`Encoded::End`] comes last.

mod encoder;
mod error;
mod pictures;
mod pipeline;
mod setup;
mod start;
mod still;
#[cfg(test)]
mod tests;
mod trial;

pub use encoder::Encoder;
pub use error::EncodeError;
pub use start::StreamStart;
pub use still::jpeg;
pub use trial::trial;

use crate::media::{EncodedSample, Size, StreamSetup, Streams};

#[derive(Clone, Copy, Debug)]
pub struct EncodeSettings {
    pub streams: Streams,
    pub size: Size,
    /// Pictures per second.
    pub frame_rate: u32,
    /// kbit/s, at most.
    pub video_kbps: u32,
    /// kbit/s.
    pub audio_kbps: u32,
}

pub enum Encoded {
    Setup(StreamSetup),
    Sample(EncodedSample),
    End,
    /// The last output of this encoder.
    Failed(EncodeError),
}
