//! What pictures and sound need: encoders, decoders and fonts. Each of them is really tried.

use std::time::Duration;

use super::finding::{Finding, Subject, sentence};
use crate::config::RecordingConfig;
use crate::encode::{self, EncodeError, EncodeSettings};
use crate::media::{Codec, Size};
use crate::options::RecordingOptions;
use crate::{compose, decode};

const INSTALL: &str = "install GStreamer 1.22 or newer with the plugin sets base, good, bad, ugly and libav";

/// Tries the encoders with the settings of a recording whose start asks for nothing.
pub async fn encoders(options: &RecordingOptions) -> Finding {
    let RecordingOptions { width, height, frame_rate, .. } = *options;
    match try_encoders(options).await {
        Ok(took) => Subject::Encoders.ok(format!(
            "H.264 and AAC: a second of {width}x{height} at {frame_rate} frames was made in {:.2} s",
            took.as_secs_f64()
        )),
        Err(error) => Subject::Encoders.fault(sentence(&error), INSTALL),
    }
}

/// Encodes a second of such a recording; returns how long that took.
pub async fn try_encoders(options: &RecordingOptions) -> Result<Duration, EncodeError> {
    let RecordingOptions { streams, width, height, frame_rate, video_kbps, audio_kbps, .. } = *options;
    let size = Size { width, height };
    encode::trial(EncodeSettings { streams, size, frame_rate, video_kbps, audio_kbps }).await
}

pub async fn decoders(disabled: &[Codec]) -> Finding {
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (codec, outcome) in decode::try_each().await {
        match outcome {
            Ok(()) if disabled.contains(&codec) => {}
            Ok(()) => good.push(codec.to_string()),
            Err(error) => bad.push((codec, error)),
        }
    }
    let good = good.join(", ");
    let missing: Vec<String> =
        bad.iter().map(|(codec, error)| format!("{codec} ({})", sentence(error))).collect();
    if bad.is_empty() {
        return Subject::Decoders.ok(good);
    }
    let says = format!("{good}; none for {}", missing.join("; "));
    match bad.iter().any(|(codec, _)| *codec == Codec::Opus) {
        true => Subject::Decoders.fault(says, format!("there would be no sound: {INSTALL}")),
        false => Subject::Decoders
            .warning(says, format!("such tracks get a tile that says so, unless you {INSTALL}")),
    }
}

pub async fn fonts(recording: Option<&RecordingConfig>) -> Finding {
    // Reads every font file of the machine.
    let found = tokio::task::spawn_blocking(compose::installed_fonts).await.unwrap_or(0);
    let wanted = recording.is_some_and(|recording| {
        let decorations = &recording.defaults.decorations;
        decorations.names || decorations.initials
    });
    let advice = "install some, such as fonts-dejavu-core; docs/layouts.md says which give which scripts";
    match (found, wanted) {
        (0, true) => Subject::Fonts.fault("there are none, but names or initials are to be written", advice),
        (0, false) => Subject::Fonts.warning("there are none: starts that ask for names fail", advice),
        (1, _) => Subject::Fonts.ok("1 is installed"),
        (found, _) => Subject::Fonts.ok(format!("{found} are installed")),
    }
}
