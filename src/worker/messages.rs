//! What the service and a worker say to each other: JSON, one message a line. The service writes
//! [`Command`]s to the worker's standard input, the worker writes [`Event`]s to its standard
//! output; log lines go to standard error. Pure data and its two conversions, no I/O.
//!
//! Contract: `Start` is the first command and comes once. `Ended` is the last event; a worker
//! that goes away without it has crashed. Bytes once called final never change.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize, Serializer};

use crate::ids::{EgressId, RoomName};
use crate::media::{Codec, View};
use crate::mp4::SpoolPosition;
use crate::options::RecordingOptions;
use crate::report::QualityReport;

/// The longest line either side accepts. A report of a thousand tracks is below 2 MiB; a start command that has none is
/// below 8 KiB.
pub const MAX_LINE_BYTES: usize = 4 << 20;

/// From the service to the worker. The end of standard input means that the service is gone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Command {
    Start(Box<WorkerSpec>),
    /// Look like this from now on.
    View(View),
    /// Write the newest frame to this file, as JPEG, and say so by [`Event::Preview`]. Not before that comes again.
    Preview {
        file: PathBuf,
    },
    /// Join with this access token from now on, if the room is joined again.
    Token {
        #[serde(serialize_with = "exposed")]
        token: SecretString,
    },
    /// Take in no more media, write what is there, end.
    Stop,
}

/// All that a worker must know to make one recording.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WorkerSpec {
    pub egress_id: EgressId,
    pub room: RoomName,
    pub livekit_url: String,
    /// The access token that joins the room as this recording. Travels over standard input only: neither the command
    /// line nor the environment shows it.
    #[serde(serialize_with = "exposed")]
    pub token: SecretString,
    /// The fragmented MP4 that the worker creates, or goes on with. The worker holds an exclusive lock on it
    /// (`File::lock`) as long as it lives: a restarted service reads it only once that is gone.
    pub spool: PathBuf,
    pub options: RecordingOptions,
    pub idle_timeout_ms: u64,
    /// PEM certificates that are trusted besides the system's.
    pub ca_file: Option<PathBuf>,
    /// How long LiveKit may be out of reach before the recording ends.
    pub give_up_after_ms: u64,
    /// Video codecs that are not to be decoded, whatever this machine can.
    pub disabled_codecs: Vec<Codec>,
    /// Where an earlier worker of this recording left off; none if there was none.
    #[serde(default)]
    pub resume: Option<Resume>,
}

/// What there is of a recording whose worker is gone. The next one makes the ticks from there on: frozen and silent
/// up to its joining.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resume {
    /// As [`Event::Joined`] told it first.
    pub zero_unix_ms: i64,
    /// What is behind that place in the spool is cut off. Without a single byte the spool begins anew, at the same zero.
    pub position: SpoolPosition,
    /// The last report that was told, if there was one.
    pub report: Option<Box<QualityReport>>,
}

/// From the worker to the service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Event {
    /// In the room: the recording is active.
    Joined {
        room_sid: String,
        /// The time of the recording's first frame by the wall clock, in milliseconds since 1970 (UTC).
        zero_unix_ms: i64,
    },
    /// The first frame or sound of a participant has come.
    FirstMedia,
    /// Sent with every fragment, and at least once a second, also when nothing was added.
    Progress {
        /// This many bytes of the spool will never change.
        final_bytes: u64,
        /// Video frames of the recording so far.
        ticks: u64,
    },
    /// LiveKit is out of reach, or is again within it.
    Reachable { reachable: bool },
    /// What the recording has been like so far. Now and then, and once before `Ended`; not if there was none.
    Report { report: Box<QualityReport> },
    /// What became of [`Command::Preview`].
    Preview { outcome: PreviewOutcome },
    /// The spool is complete and closed; the last line.
    Ended { reason: EndReason, ticks: u64, final_bytes: u64, error: Option<String> },
}

/// Whether there is a preview in its file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PreviewOutcome {
    Written,
    /// No frame has been made yet.
    NoFrame,
    Failed {
        reason: String,
    },
}

/// Why a recording took in no more media.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum EndReason {
    Stopped,
    RoomClosed,
    /// Nobody but hidden participants for the idle time.
    Idle,
    MaxDuration,
    MaxSize,
    /// There is no place left for the spool; an error says so. What had its place is whole.
    DiskFull,
    /// Standard input ended: the service is gone.
    ParentGone,
    /// The encoders cannot be made to work; an error says so.
    EncodersFailed,
    Failed,
}

/// A line that is not a message of this protocol.
#[derive(Debug, thiserror::Error)]
#[error("expected a message as one line of JSON, got {len} bytes that are none")]
pub struct InvalidMessage {
    len: usize,
    #[source]
    source: serde_json::Error,
}

impl WorkerSpec {
    pub fn give_up_after(&self) -> Duration {
        Duration::from_millis(self.give_up_after_ms)
    }

    pub fn idle_timeout(&self) -> Duration {
        Duration::from_millis(self.idle_timeout_ms)
    }
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stopped => "stopped",
            Self::RoomClosed => "room closed",
            Self::Idle => "nobody in the room",
            Self::MaxDuration => "maximum duration reached",
            Self::MaxSize => "maximum size reached",
            Self::DiskFull => "disk full",
            Self::ParentGone => "service gone",
            Self::EncodersFailed => "encoders failed",
            Self::Failed => "failed",
        })
    }
}

/// The message as one line, its line feed included.
pub fn to_line<M: Serialize>(message: &M) -> String {
    let mut line = serde_json::to_string(message).expect("strings, numbers and UTF-8 paths always serialize");
    line.push('\n');
    line
}

/// Reads one line, with or without its line feed.
pub fn from_line<M: DeserializeOwned>(line: &str) -> Result<M, InvalidMessage> {
    serde_json::from_str(line).map_err(|source| InvalidMessage { len: line.len(), source })
}

fn exposed<S: Serializer>(secret: &SecretString, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(secret.expose_secret())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> WorkerSpec {
        WorkerSpec {
            egress_id: "EG_abcdefghijkl".parse().unwrap(),
            room: "room".parse().unwrap(),
            livekit_url: "ws://127.0.0.1:7880".into(),
            token: "hunter2".into(),
            spool: "/spool/EG_abcdefghijkl.mp4".into(),
            options: RecordingOptions::default(),
            idle_timeout_ms: 1500,
            ca_file: None,
            give_up_after_ms: 60_000,
            disabled_codecs: vec![Codec::H265],
            resume: None,
        }
    }

    #[test]
    fn a_start_command_arrives_whole_with_its_token() {
        let line = to_line(&Command::Start(Box::new(spec())));
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.starts_with(r#"{"type":"start","egressId":"EG_abcdefghijkl""#));
        let Command::Start(read) = from_line(&line).unwrap() else {
            panic!("not a start command: {line}");
        };
        assert_eq!(read.token.expose_secret(), "hunter2");
        assert_eq!(read.options, RecordingOptions::default());
        assert_eq!(read.idle_timeout(), Duration::from_millis(1500));
        assert!(line.contains(r#""disabledCodecs":["h265"]"#), "{line}");
    }

    #[test]
    fn where_to_go_on_arrives_whole() {
        let position = SpoolPosition {
            bytes: 5000,
            ticks: 90,
            audio_frames: 140,
            fragments: 9,
            keyframe_fragment: Some(1200),
        };
        let report = Some(Box::new(QualityReport { gaps_left_out: 3, ..QualityReport::default() }));
        let resume = Some(Resume { zero_unix_ms: 1_700_000_000_123, position, report });
        let line = to_line(&Command::Start(Box::new(WorkerSpec { resume: resume.clone(), ..spec() })));
        let words =
            r#""resume":{"zeroUnixMs":1700000000123,"position":{"bytes":5000,"ticks":90,"audioFrames":140,"#;
        assert!(line.contains(words), "{line}");
        let Ok(Command::Start(read)) = from_line(&line) else { panic!("not a start command: {line}") };
        assert_eq!(read.resume, resume);
    }

    #[test]
    fn the_debug_form_of_a_command_hides_the_token() {
        assert!(!format!("{:?}", Command::Start(Box::new(spec()))).contains("hunter2"));
        assert!(!format!("{:?}", Command::Token { token: "hunter2".into() }).contains("hunter2"));
    }

    #[test]
    fn the_words_on_the_wire_are_these() {
        let lines = [
            (
                Event::Joined { room_sid: "RM_1".into(), zero_unix_ms: 1_700_000_000_123 },
                r#"{"type":"joined","roomSid":"RM_1","zeroUnixMs":1700000000123}"#,
            ),
            (Event::FirstMedia, r#"{"type":"firstMedia"}"#),
            (Event::Progress { final_bytes: 7, ticks: 3 }, r#"{"type":"progress","finalBytes":7,"ticks":3}"#),
            (
                Event::Preview { outcome: PreviewOutcome::Written },
                r#"{"type":"preview","outcome":"written"}"#,
            ),
            (
                Event::Preview { outcome: PreviewOutcome::Failed { reason: "full".into() } },
                r#"{"type":"preview","outcome":{"failed":{"reason":"full"}}}"#,
            ),
            (
                Event::Ended { reason: EndReason::RoomClosed, ticks: 3, final_bytes: 7, error: None },
                r#"{"type":"ended","reason":"roomClosed","ticks":3,"finalBytes":7,"error":null}"#,
            ),
        ];
        for (event, line) in lines {
            assert_eq!(to_line(&event).trim_end(), line);
            assert_eq!(from_line::<Event>(line).unwrap(), event);
        }
        assert_eq!(to_line(&Command::Stop), "{\"type\":\"stop\"}\n");
        let preview = Command::Preview { file: "/spool/EG_abcdefghijkl.jpg".into() };
        assert_eq!(to_line(&preview).trim_end(), r#"{"type":"preview","file":"/spool/EG_abcdefghijkl.jpg"}"#);
        let token = Command::Token { token: "a.b.c".into() };
        assert_eq!(to_line(&token).trim_end(), r#"{"type":"token","token":"a.b.c"}"#);
        let view = r#"{"type":"view","layout":"grid","theme":"dark","fit":"by-shape"}"#;
        assert_eq!(to_line(&Command::View(View::default())).trim_end(), view);
        assert!(matches!(from_line(view), Ok(Command::View(read)) if read == View::default()));
    }

    #[test]
    fn a_line_of_something_else_is_an_error_that_does_not_repeat_it() {
        let error =
            from_line::<Command>(r#"{"type":"start","token":"hunter2"}"#).expect_err("fields are missing");
        assert!(!error.to_string().contains("hunter2"));
    }
}
