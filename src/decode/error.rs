//! Why a track cannot be decoded.

use crate::media::Codec;

#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    #[error("cannot make a decoder for {codec}: {reason} (is GStreamer installed with its plugins?)")]
    Setup { codec: Codec, reason: String },
    #[error("the {codec} decoder takes no frame: {reason}")]
    Refused { codec: Codec, reason: String },
    #[error("{waiting} {codec} frames wait to be decoded already")]
    Full { codec: Codec, waiting: usize },
    #[error("the {codec} decoder makes no picture of a keyframe")]
    NoPicture { codec: Codec },
    #[error("{element} failed: {reason}")]
    Element { element: String, reason: String },
}
