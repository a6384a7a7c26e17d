//! Encodes the recording: one picture and one stretch of sound a tick in, H.264 and AAC samples out, by one
//! static GStreamer pipeline (`pipelines/output-video.txt` and `output-audio.txt`), or one of the two. A single frame as
//! JPEG, too.
//!
//! Not here: boxes and files. The samples are handed out, so that the length of fragments, the count of
//! final bytes and what a full disk does are decided by `mp4` and `worker`. GStreamer's types do not leave
//! this folder.
//!
//! Contract: nothing blocks. [`Encoded::Setup`] comes first, then one video sample for every tick pushed, in
//! order, and the sound of all ticks, as far as the recording has these streams; after [`Encoder::finish`], [`Encoded::End`] comes last.

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
    /// Nothing more comes out of this encoder.
    Failed(EncodeError),
}
