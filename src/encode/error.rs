//! Why a recording cannot be encoded.

use crate::media::StreamKind;

#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    #[error("cannot make the encoders: {reason} (is GStreamer installed with its plugins?)")]
    Setup { reason: String },
    #[error("the {stream:?} encoder takes nothing: {reason}")]
    Refused { stream: StreamKind, reason: String },
    #[error("{element} failed: {reason}")]
    Element { element: String, reason: String },
    #[error("a tick has {got} bytes of {stream:?}, not {expected}")]
    Shape { stream: StreamKind, got: usize, expected: usize },
    #[error("the {stream:?} encoder does not say how its stream is to be decoded")]
    NoCodecData { stream: StreamKind },
    #[error("the frame cannot be made a JPEG")]
    Jpeg(#[from] image::ImageError),
    #[error("of {pushed} pictures {pictures} came out")]
    Lost { pushed: u32, pictures: u32 },
    #[error("the encoders do not come to an end")]
    Stuck,
}
