//! A published track, as the rest of egressd knows it.

use crate::ids::TrackSid;
use crate::media::{TrackKind, VideoSource};

/// A track to which the recorder can subscribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedTrack {
    pub sid: TrackSid,
    /// The publisher's identity: one per participant and room.
    pub publisher: String,
    pub kind: TrackKind,
    /// What a video track shows; meaningless for sound.
    pub source: VideoSource,
    /// The codec in which it is published, as a MIME type (`video/VP8`). May be empty.
    pub mime: String,
    pub muted: bool,
    /// Tiles are filled in this order: by the time when the participant joined, then by the time when the
    /// track came.
    pub order: u64,
}
