//! Decodes one track: encoded frames in, pictures or sound out, by a small static GStreamer pipeline of
//! its own (`pipelines/decode-*.txt`).
//!
//! Not here: scaling, placing, mixing, and what to do when a track fails. GStreamer's types do not leave
//! this folder.
//!
//! Contract: nothing here blocks, and what is pushed faster than it is taken waits encoded, not decoded. Outputs
//! keep the time stamps and the rotation of their inputs. Once [`TrackDecoder::caught_up`] says so, every output of
//! what was pushed can be taken by [`TrackDecoder::try_next`]. No decoder of VP8, VP9 or AV1 can tell that a frame
//! which it builds on is missing: who pushes must see to it that none is, or wait for a keyframe.

mod conceal;
mod decoder;
mod error;
mod outlet;
mod output;
mod pipeline;
#[cfg(test)]
mod tests;
mod trial;
mod turns;

pub use decoder::TrackDecoder;
pub use error::DecodeError;
pub use trial::{available, try_each};

use crate::media::{Picture, Sound};

pub enum Decoded {
    /// Never one of the SFU's blank frames (16x16 at most): those end here.
    Picture(Picture),
    Sound(Sound),
    /// The decoder gives out nothing until a keyframe comes.
    KeyframeWanted,
    /// Nothing more comes out of this decoder.
    Failed(DecodeError),
}
