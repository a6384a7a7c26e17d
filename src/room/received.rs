//! A frame as the network brought it: str0m's `MediaData` in our words.
//!
//! str0m gives out what it has of a picture once it has given up the rest, and does not always tell. What is whole is
//! found out in `pieces`; whether a frame goes on from the one before is decided in `track`.

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
    /// When its first packet came.
    pub arrival: Instant,
    pub data: Bytes,
    /// A decoder can start with it.
    pub keyframe: bool,
    /// Nothing that matters is missing before it, as far as str0m can tell.
    pub contiguous: bool,
    /// The lowest spatial layer in it; 0 for a codec or a stream that has none.
    pub lowest_layer: usize,
    pub rotation: Rotation,
}

/// `None` if it is of a codec that was not negotiated.
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
        // An AV1 unit without its base layer has no keyframe's mark either, and is not contiguous.
        _ => 0,
    }
}

/// What the sender says is how far its camera was turned (3GPP TS 26.114, section 7.4.5); it must be turned as
/// far the other way, which is what these names mean there already.
fn rotation(orientation: VideoOrientation) -> Rotation {
    match orientation {
        VideoOrientation::Deg0 => Rotation::Upright,
        VideoOrientation::Deg90 => Rotation::By90,
        VideoOrientation::Deg180 => Rotation::By180,
        VideoOrientation::Deg270 => Rotation::By270,
    }
}
