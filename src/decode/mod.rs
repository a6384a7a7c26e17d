//! Decodes one track: encoded frames in, pictures or sound out, by a small static GStreamer pipeline of
//! its own (`pipelines/decode-*.txt`).
//!
//! Not here: scaling, placing, mixing, and what to do when a track fails. GStreamer's types do not leave
//! this folder.
//!
//! Contract: nothing here blocks. Frames that are pushed faster than outputs are taken wait encoded, not
//! decoded. Outputs keep the time stamps and the rotation of their inputs. Once [`TrackDecoder::caught_up`]
//! returns `true`, [`TrackDecoder::try_next`] can take every output of the pushed frames. No decoder of VP8,
//! VP9 or AV1 notices that a frame on which it builds is missing. So the caller must push frames without a
//! gap, or wait for a keyframe.

mod conceal;
mod decoder;
mod error;
mod output;
mod output_sender;
mod pipeline;
mod rotations;
#[cfg(test)]
mod tests;
mod trial;

pub use decoder::TrackDecoder;
pub use error::DecodeError;
pub use trial::{available, try_each};

use crate::media::{Picture, Sound};

pub enum Decoded {
    /// Never one of the SFU's blank frames (16x16 at most): the decoder drops those.
    Picture(Picture),
    Sound(Sound),
    /// The decoder returns nothing until a keyframe comes.
    KeyframeWanted,
    /// The last output of this decoder.
    Failed(DecodeError),
}
