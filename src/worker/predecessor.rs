//! What an earlier worker of the same recording has left in the spool: how its streams are set up, and its last picture.
//! Reads only; the spool is cut and held elsewhere.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;

use super::WorkerError;
use crate::decode::{DecodeError, Decoded, TrackDecoder};
use crate::media::{Codec, EncodedFrame, I420, MediaTime, Plane, Rotation};
use crate::mp4::{self, MovieConfig, Mp4Error, SpoolPosition, SpoolReader};

/// The `ftyp` and `moov` of a spool have less than 2 KiB.
const HEAD_BYTES: usize = 64 * 1024;
/// From one keyframe to the next are two seconds, at the highest bit rate 13 MB.
const PICTURES_BYTES: u64 = 64 << 20;
/// Two seconds of video are decoded in a tenth of one; a machine that is swamped gets this long.
const DECODER_DEADLINE: Duration = Duration::from_secs(5);

/// What a spool holds up to a position.
pub struct Predecessor {
    pub config: MovieConfig,
    /// The last frame, I420 and tightly packed; none where it cannot be decoded.
    pub last_frame: Option<Vec<u8>>,
}

/// Why the last frame cannot be shown again.
#[derive(Debug, thiserror::Error)]
enum NoFrame {
    #[error("the spool has no picture")]
    None,
    #[error("the pictures since the last keyframe have {0} bytes")]
    TooMany(u64),
    #[error("cannot read the spool")]
    Read(#[from] io::Error),
    #[error(transparent)]
    Damaged(#[from] Mp4Error),
    #[error(transparent)]
    Decode(#[from] DecodeError),
}

/// None where the spool has not even a `moov`.
pub async fn read(path: &Path, position: SpoolPosition) -> Result<Option<Predecessor>, WorkerError> {
    if position.bytes == 0 {
        return Ok(None);
    }
    let wrong = |source| WorkerError::ReadSpool { path: path.to_owned(), source };
    let file = File::open(path).map_err(wrong)?;
    let mut head = vec![0; HEAD_BYTES.min(usize::try_from(position.bytes).unwrap_or(HEAD_BYTES))];
    file.read_exact_at(&mut head, 0).map_err(wrong)?;
    let mut reader = SpoolReader::new();
    reader.feed(&head)?;
    let config = reader.config().cloned().ok_or(Mp4Error::NoMovie { len: position.bytes })?;
    let last_frame = match last_frame(&file, &config, position).await {
        Ok(frame) => Some(frame),
        Err(_) if config.video.is_none() => None,
        Err(error) => {
            tracing::warn!(error = super::error::report(&error), "the last picture cannot be shown again");
            None
        }
    };
    Ok(Some(Predecessor { config, last_frame }))
}

async fn last_frame(file: &File, config: &MovieConfig, position: SpoolPosition) -> Result<Vec<u8>, NoFrame> {
    let start = position.keyframe_fragment.ok_or(NoFrame::None)?;
    let len = position.bytes.saturating_sub(start);
    if len > PICTURES_BYTES {
        return Err(NoFrame::TooMany(len));
    }
    let mut fragments = vec![0; len as usize];
    file.read_exact_at(&mut fragments, start)?;
    let pictures = mp4::last_pictures(config, start, &fragments)?;
    drop(fragments);
    decode(pictures).await?.ok_or(NoFrame::None)
}

/// Returns the last picture that comes out.
async fn decode(pictures: Vec<Bytes>) -> Result<Option<Vec<u8>>, DecodeError> {
    let wake = Arc::new(Notify::new());
    let mut decoder = TrackDecoder::start(Codec::H264, "the spool's end", Arc::clone(&wake))?;
    for (n, data) in (0..).zip(pictures) {
        decoder.push(EncodedFrame {
            codec: Codec::H264,
            time: MediaTime::from_millis(n * 10),
            data,
            keyframe: n == 0,
            rotation: Rotation::Upright,
            discontinuity: false,
        })?;
    }
    let mut last = None;
    let all_out = async {
        loop {
            // Asked before the outputs are taken: what came out until now is taken below.
            let caught_up = decoder.caught_up();
            while let Some(decoded) = decoder.try_next() {
                match decoded {
                    Decoded::Picture(picture) => last = Some(picture.image),
                    Decoded::Failed(error) => return Err(error),
                    Decoded::Sound(_) | Decoded::KeyframeWanted => {}
                }
            }
            if caught_up {
                return Ok(());
            }
            wake.notified().await;
        }
    };
    if let Ok(outcome) = tokio::time::timeout(DECODER_DEADLINE, all_out).await {
        outcome?;
    }
    Ok(last.map(|image| packed(&*image)))
}

fn packed(image: &dyn I420) -> Vec<u8> {
    let size = image.size();
    let (width, height) = (size.width as usize, size.height as usize);
    let mut bytes = Vec::with_capacity(width * height * 3 / 2);
    let planes = [(width, height), (width / 2, height / 2), (width / 2, height / 2)];
    for (Plane { data, stride }, (width, height)) in image.planes().into_iter().zip(planes) {
        for row in data.chunks(stride.max(1)).take(height) {
            bytes.extend_from_slice(row.get(..width).unwrap_or(row));
        }
    }
    bytes
}
