//! The quality report of a recording: what an operator must see to find out what went wrong, where and when.
//! Pure data with the names and units that users see. The worker fills it in, the store keeps it as JSON, the
//! API shows it.
//!
//! All times are milliseconds of the recording: 0 is the first frame of the file. A figure that was added
//! later is 0 in older reports.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct QualityReport {
    pub file: FileReport,
    /// When the server was out of reach, or nobody recorded; the picture is frozen and the sound silent in between.
    pub gaps: Vec<Gap>,
    /// Gaps that found no place in `gaps`, which is bounded.
    pub gaps_left_out: u64,
    /// What went wrong, in sentences, in the order in which it was noticed.
    pub warnings: Vec<Warning>,
    /// Warnings that found no place in `warnings`, which is bounded.
    pub warnings_left_out: u64,
    /// Everybody who was seen in the room, in the order in which they came.
    pub participants: Vec<ParticipantReport>,
    /// Participants that found no place in `participants`, which is bounded.
    pub participants_left_out: u64,
    /// In the order in which they were published.
    pub tracks: Vec<TrackReport>,
    /// Tracks that found no place in `tracks`, which is bounded.
    pub tracks_left_out: u64,
}

/// The whole file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct FileReport {
    pub duration_ms: u64,
    pub video_frames: u64,
    /// Ticks that were made before every decoder had given out what belonged to them.
    pub hurried_frames: u64,
    /// The furthest that the making of a frame was behind its schedule: how much too slow the machine was.
    pub longest_delay_ms: u64,
    /// Of all tracks together.
    pub packets_lost: u64,
    pub longest_freeze_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Gap {
    pub from_ms: u64,
    pub to_ms: u64,
    pub reason: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Warning {
    pub at_ms: u64,
    /// The track that it is about, if it is about one.
    pub track: Option<String>,
    pub message: String,
}

/// Somebody whom others in the room could see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ParticipantReport {
    pub identity: String,
    /// What he was called at last; may be empty.
    pub name: String,
    /// From when he first came to when he last went.
    pub from_ms: u64,
    pub to_ms: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct TrackReport {
    pub sid: String,
    pub participant: String,
    /// `audio` or `video`.
    pub kind: String,
    /// `camera`, `screenShare`, or for sound `microphone`.
    pub source: String,
    /// As it came, the last one where it changed; empty if nothing came.
    pub codec: String,
    pub from_ms: u64,
    pub to_ms: u64,
    /// Of video: the picture sizes that came, in the order in which they first came.
    pub layers: Vec<LayerReport>,
    pub packets: u64,
    pub packets_lost: u64,
    pub retransmissions_asked: u64,
    pub keyframes_asked: u64,
    pub frames_received: u64,
    pub frames_decoded: u64,
    /// Of video: pictures that were seen for at least one frame of the file.
    pub frames_shown: u64,
    /// Received, but of no use: no decoder could take them, or they came too late.
    pub frames_lost: u64,
    pub decoder_failures: u64,
    /// Of video: the time on the picture, and how much of it without a new picture for too long.
    pub shown_ms: u64,
    pub frozen_ms: u64,
    pub longest_freeze_ms: u64,
    /// When the longest freeze began.
    pub longest_freeze_at_ms: u64,
    /// Of sound: what was made up over short gaps, and left silent over long ones.
    pub concealed_ms: u64,
    pub silences: u64,
    /// How far the track's clock was corrected in all, and how often at once.
    pub clock_correction_ms: f64,
    pub clock_steps: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LayerReport {
    pub width: u32,
    pub height: u32,
    pub frames: u64,
}
