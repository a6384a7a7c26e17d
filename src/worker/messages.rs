//! What service and worker say to each other: one JSON object a line, commands on the worker's standard
//! input, events on its standard output. Wire types only.
//!
//! The end of standard input means that the service is gone: the worker then ends its file properly.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::ids::{EgressId, RoomName};

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Command {
    /// The first line, and only that.
    Start(WorkerSpec),
    Stop,
}

/// One recording. LiveKit's secret comes this way because standard input, unlike arguments and
/// environment, is not shown by `ps`.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct WorkerSpec {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub livekit_url: String,
    pub livekit_api_key: String,
    pub livekit_api_secret: String,
    /// The fragmented MP4 to be created.
    pub spool: PathBuf,
    pub options: RecordingOptions,
    /// Ends the recording after this long without participants.
    pub idle_timeout_ms: u64,
    pub max_duration_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordingOptions {
    /// Pixels.
    pub width: u32,
    pub height: u32,
    /// Pictures per second, constant.
    pub frame_rate: u32,
    /// kbit/s, at most.
    pub video_kbps: u32,
    /// kbit/s.
    pub audio_kbps: u32,
}

impl Default for RecordingOptions {
    fn default() -> Self {
        Self { width: 1280, height: 720, frame_rate: 30, video_kbps: 3000, audio_kbps: 128 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// In the room: the recording runs.
    Joined { room_sid: String },
    /// A participant's first frame or sound came in.
    FirstMedia,
    /// At least once a second. These first bytes of the spool file will never change.
    Progress { final_bytes: u64, ticks: u64 },
    /// The last line; the spool file is whole and closed.
    Ended { reason: EndReason, ticks: u64, final_bytes: u64, error: Option<String> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    Stopped,
    RoomClosed,
    Idle,
    MaxDuration,
    ParentGone,
    Failed,
}

impl std::fmt::Debug for WorkerSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { egress_id, room, livekit_url, spool, options, .. } = self;
        write!(f, "WorkerSpec({egress_id} of {room} at {livekit_url}, {options:?}, to {})", spool.display())
    }
}
