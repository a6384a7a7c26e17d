//! A frame as the network brought it: str0m's `MediaData` in our types.
//!
//! str0m returns an incomplete picture once it has given up the rest, and does not always say so. `pieces`
//! finds out what is whole; `track` decides whether a frame continues the one before.

use std::time::Instant;

use bytes::Bytes;
use str0m::format::{Codec as RtpCodec, CodecExtra};
use str0m::media::MediaData;
use str0m::rtp::VideoOrientation;

use crate::media::{Codec, Rotation};

/// A depacketised frame with its network times.
pub struct ReceivedFrame {
    pub codec: Codec,
    /// RTP time, unwrapped.
    pub rtp: u64,
    /// The RTP sequence numbers of its first and its last packet, unwrapped.
    pub sequence: (u64, u64),
    /// When the frame's first packet arrived.
    pub arrival: Instant,
    pub data: Bytes,
    /// A decoder can start with this frame.
    pub keyframe: bool,
    /// Nothing that matters is missing before this frame, as far as str0m can tell.
    pub contiguous: bool,
    /// The lowest spatial layer in the frame; 0 for a codec or a stream that has none.
    pub lowest_layer: usize,
    pub rotation: Rotation,
}

/// How much of a track was received since it was negotiated.
pub struct IngressCounts {
    /// Retransmissions included, as in `bytes`.
    pub packets: u64,
    pub bytes: u64,
    pub nacks: u64,
    pub plis: u64,
}

/// Returns `None` for a codec that was not negotiated.
pub fn received(data: MediaData) -> Option<ReceivedFrame> {
    let codec = codec(data.params.spec().codec)?;
    Some(ReceivedFrame {
        codec,
        rtp: data.time.numer(),
        sequence: (**data.seq_range.start(), **data.seq_range.end()),
        arrival: data.network_time,
        keyframe: data.is_keyframe(),
        contiguous: data.contiguous,
        lowest_layer: lowest_layer(&data.codec_extra),
        rotation: data.ext_vals.video_orientation.map_or(Rotation::Upright, rotation),
        data: Bytes::from_owner(data.data),
    })
}

fn codec(codec: RtpCodec) -> Option<Codec> {
    match codec {
        RtpCodec::Opus => Some(Codec::Opus),
        RtpCodec::Vp8 => Some(Codec::Vp8),
        RtpCodec::Vp9 => Some(Codec::Vp9),
        RtpCodec::H264 => Some(Codec::H264),
        RtpCodec::H265 => Some(Codec::H265),
        RtpCodec::Av1 => Some(Codec::Av1),
        _ => None,
    }
}

fn lowest_layer(extra: &CodecExtra) -> usize {
    match extra {
        CodecExtra::Vp9(vp9) => vp9.layers_scheme.iter().position(Option::is_some).unwrap_or(0),
        // An AV1 unit without its base layer is not marked as a keyframe either, and is not contiguous.
        _ => 0,
    }
}

/// The sender says how far its camera was turned (3GPP TS 26.114, section 7.4.5). The picture must be turned
/// as far the other way, and that is what the names in that document mean already.
fn rotation(orientation: VideoOrientation) -> Rotation {
    match orientation {
        VideoOrientation::Deg0 => Rotation::Upright,
        VideoOrientation::Deg90 => Rotation::By90,
        VideoOrientation::Deg180 => Rotation::By180,
        VideoOrientation::Deg270 => Rotation::By270,
    }
}
