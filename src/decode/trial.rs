//! Which video codecs this machine can decode: each decoder is tried once with a real keyframe. An installed
//! element may still lack its library, or come from a build without that codec.
//!
//! The keyframes beside this file are one grey picture of 64x64 each, made by
//! `gst-launch-1.0 videotestsrc num-buffers=1 pattern=solid-color foreground-color=0xff808080 !
//! video/x-raw,format=I420,width=64,height=64 ! ENCODER ! filesink location=FILE` with the encoders `vp8enc
//! deadline=1`, `vp9enc deadline=1`, `x264enc tune=zerolatency` (constrained baseline, byte-stream; its SEI
//! taken out), `x265enc tune=zerolatency option-string=info=0` (byte-stream) and `av1enc
//! usage-profile=realtime cpu-used=10`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio::sync::{Notify, OnceCell};

use super::error::DecodeError;
use super::{Decoded, TrackDecoder};
use crate::media::{Codec, EncodedFrame, MediaTime, Rotation};

/// A decoder takes some milliseconds, most of them to load its library from a cold disk.
const DEADLINE: Duration = Duration::from_secs(5);

/// Returns the video codecs that can be decoded here, in [`Codec::VIDEO`]'s order. Tries them once in a
/// process.
pub async fn available() -> &'static [Codec] {
    static AVAILABLE: OnceCell<Vec<Codec>> = OnceCell::const_new();
    AVAILABLE.get_or_init(try_all).await
}

/// Returns every codec that a track may have, Opus last, with the result of its trial. All trials run at the
/// same time: most of the time is spent loading libraries.
pub async fn try_each() -> Vec<(Codec, Result<(), DecodeError>)> {
    let all = Codec::VIDEO.into_iter().chain([Codec::Opus]);
    let outcomes = join_all(all.clone().map(decodes)).await;
    all.zip(outcomes).collect()
}

async fn try_all() -> Vec<Codec> {
    let outcomes = Codec::VIDEO.into_iter().zip(join_all(Codec::VIDEO.map(decodes)).await);
    let available = outcomes.filter_map(|(codec, outcome)| {
        let logged =
            |error: &DecodeError| tracing::warn!(%codec, %error, "tracks in this codec cannot be shown");
        outcome.inspect_err(logged).ok().map(|()| codec)
    });
    available.collect()
}

/// Checks that the codec's keyframe becomes a picture, or its packet sound.
async fn decodes(codec: Codec) -> Result<(), DecodeError> {
    let wake = Arc::new(Notify::new());
    let mut decoder = TrackDecoder::start(codec, "trial", Arc::clone(&wake))?;
    decoder.push(keyframe(codec))?;
    let picture = async {
        loop {
            match decoder.try_next() {
                Some(Decoded::Picture(_) | Decoded::Sound(_)) => return Ok(()),
                Some(Decoded::Failed(error)) => return Err(error),
                Some(Decoded::KeyframeWanted) => {}
                None if decoder.caught_up() => return Err(DecodeError::NoPicture { codec }),
                None => wake.notified().await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, picture).await.unwrap_or(Err(DecodeError::NoPicture { codec }))
}

fn keyframe(codec: Codec) -> EncodedFrame {
    let data: &[u8] = match codec {
        Codec::Vp8 => include_bytes!("trial/key.vp8"),
        Codec::Vp9 => include_bytes!("trial/key.vp9"),
        Codec::H264 => include_bytes!("trial/key.h264"),
        Codec::H265 => include_bytes!("trial/key.h265"),
        Codec::Av1 => include_bytes!("trial/key.av1"),
        // A packet of silence (RFC 6716, section 3.1): mono, 20 ms, CELT.
        Codec::Opus => &[0xf8, 0xff, 0xfe],
    };
    EncodedFrame {
        codec,
        time: MediaTime::ZERO,
        data: Bytes::from_static(data),
        keyframe: true,
        rotation: Rotation::Upright,
        discontinuity: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_codec_can_be_decoded_where_all_plugins_are() {
        assert_eq!(try_all().await, Codec::VIDEO);
    }

    #[tokio::test]
    async fn sound_is_tried_as_well() {
        let (codec, outcome) = try_each().await.pop().unwrap();
        assert_eq!(codec, Codec::Opus);
        outcome.unwrap();
    }
}
