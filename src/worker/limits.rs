//! When a recording is as large as it may be. Pure.

use crate::media::StreamKind;
use crate::options::RecordingOptions;

/// What may still be written when the end is decided: ticks run four seconds behind at the most, and an encoder holds back
/// half a second.
const TO_COME_SECONDS: u64 = 5;

/// Whether a recording whose spool has so many bytes must end now, so that its file is not larger than it may be. The
/// file's index is smaller than those of all fragments, which are in the spool.
pub fn is_full(spool_bytes: u64, options: &RecordingOptions) -> bool {
    let Some(max) = options.max_size() else { return false };
    let rates = [(StreamKind::Video, options.video_kbps), (StreamKind::Audio, options.audio_kbps)];
    let present = rates.into_iter().filter(|(stream, _)| options.streams.has(*stream));
    let bits_per_second = present.map(|(_, kbps)| u64::from(kbps) * 1000).sum::<u64>();
    spool_bytes + bits_per_second / 8 * TO_COME_SECONDS >= max
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_ends_early_enough_for_what_is_still_to_come() {
        let options = RecordingOptions { max_size_mb: Some(10), ..RecordingOptions::default() };
        // Five seconds of 3,128 kbit/s.
        let last = 10_000_000 - 391_000 * 5;
        assert!(!is_full(last - 1, &options));
        assert!(is_full(last, &options));
    }

    #[test]
    fn without_a_limit_it_goes_on() {
        assert!(!is_full(u64::MAX, &RecordingOptions::default()));
    }
}
