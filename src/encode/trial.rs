//! Whether this machine can encode at all: encodes a second of generated pictures and sound once. An
//! installed element may still lack its library, or refuse the settings.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::error::EncodeError;
use super::{EncodeSettings, Encoded, Encoder};
use crate::media::{AUDIO_CHANNELS, AUDIO_RATE, StreamKind};

/// The trial takes a fifth of a second on an idle machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// Encodes a second of a recording; returns how long that took.
pub async fn trial(settings: EncodeSettings) -> Result<Duration, EncodeError> {
    let begun = Instant::now();
    let made = tokio::time::timeout(DEADLINE, a_second(settings)).await;
    made.unwrap_or(Err(EncodeError::Stuck)).map(|()| begun.elapsed())
}

async fn a_second(settings: EncodeSettings) -> Result<(), EncodeError> {
    let wake = Arc::new(Notify::new());
    let mut encoder = Encoder::start(settings, Arc::clone(&wake))?;
    let sound = vec![0; AUDIO_RATE as usize / settings.frame_rate as usize * AUDIO_CHANNELS];
    let (mut pushed, mut pictures) = (0, 0);
    loop {
        while pushed < settings.frame_rate && encoder.ready() {
            encoder.push(&picture(settings, pushed), &sound)?;
            pushed += 1;
            if pushed == settings.frame_rate {
                encoder.finish();
            }
        }
        match encoder.try_next() {
            Some(Encoded::Sample(sample)) => pictures += u32::from(sample.stream == StreamKind::Video),
            Some(Encoded::Setup(_)) => {}
            Some(Encoded::End) if pictures == pushed => return Ok(()),
            Some(Encoded::End) => return Err(EncodeError::Lost { pushed, pictures }),
            Some(Encoded::Failed(error)) => return Err(error),
            None => wake.notified().await,
        }
    }
}

/// Returns moving stripes: a plain picture would cost nothing to encode.
fn picture(settings: EncodeSettings, number: u32) -> Vec<u8> {
    let (width, height) = (settings.size.width as usize, settings.size.height as usize);
    let row: Vec<u8> = (0..width).map(|x| ((x + 4 * number as usize) % 256) as u8).collect();
    let mut picture = row.repeat(height);
    picture.resize(width * height * 3 / 2, 128);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::{Size, Streams};

    const SMALL: EncodeSettings = EncodeSettings {
        streams: Streams::Both,
        size: Size { width: 128, height: 128 },
        frame_rate: 30,
        video_kbps: 500,
        audio_kbps: 64,
    };

    #[tokio::test]
    async fn a_machine_with_all_plugins_makes_a_second() {
        trial(SMALL).await.unwrap();
    }
}
