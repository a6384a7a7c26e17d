//! How a recording begins: anew, or in the spool and on the timeline of an earlier worker.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{MediaSeen, Previews, Recording};
use crate::compose::{ComposeOptions, Composer};
use crate::decode;
use crate::encode::{EncodeSettings, Encoder, StreamStart};
use crate::media::{AUDIO_RATE, Codec, MediaTime, Size, Streams};
use crate::mp4::{AAC_FRAME, SpoolPosition};
use crate::options::RecordingOptions;
use crate::report::QualityReport;
use crate::room::{self, RoomOptions};
use crate::worker::WorkerError;
use crate::worker::file::{FileWriter, Shape};
use crate::worker::idle::Idle;
use crate::worker::layers::Layers;
use crate::worker::messages::{Event, Resume, WorkerSpec};
use crate::worker::pace::Pace;
use crate::worker::predecessor::{self, Predecessor};
use crate::worker::quality::{Carried, Quality};
use crate::worker::stdio::Events;

/// Between what the two streams of a spool hold, at the most: encoders look ahead for less than that.
const OUT_OF_STEP_MAX: Duration = Duration::from_secs(60);
/// Nobody wants to look at a frozen picture for longer. It bounds what a wrong clock could cost.
const GAP_MAX: Duration = Duration::from_secs(24 * 3600);

/// What there is when a worker starts.
enum Before {
    Nothing,
    Spool(Box<Left>),
}

/// What an earlier worker has left.
struct Left {
    position: SpoolPosition,
    /// None where there is not even a `moov`.
    predecessor: Option<Predecessor>,
    report: QualityReport,
    epoch: Instant,
}

impl Recording {
    pub(super) async fn start(spec: WorkerSpec, events: &mut Events) -> Result<Self, WorkerError> {
        let wake = Arc::new(Notify::new());
        let options = spec.options.clone();
        let shape = Shape {
            size: Size { width: options.width, height: options.height },
            frame_rate: options.frame_rate,
        };
        let before = Before::read(&spec).await?;
        let encoder =
            Encoder::start_at(before.stream_start(&spec), settings(&spec, shape), Arc::clone(&wake))?;
        let mut composer = Composer::new(ComposeOptions {
            streams: options.streams,
            size: shape.size,
            frame_rate: shape.frame_rate,
            view: options.view,
            decorations: options.decorations,
        })?;
        let file = before.file(&spec, shape, &wake)?;
        let codecs = codecs(&spec.disabled_codecs).await;
        let tokens = watch::Sender::new(spec.token.clone());
        let options = room_options(&spec, tokens.subscribe(), codecs.clone(), before.epoch());
        let joined = room::join(options).await?;
        let now = MediaTime::ZERO + joined.epoch.elapsed();
        let leave = CancellationToken::new();
        let mut session = JoinSet::new();
        session.spawn(joined.session.run(leave.clone()).in_current_span());
        let zero_unix_ms = unix_ms(SystemTime::now() - joined.epoch.elapsed());
        // The service says so, too: here it is for who looks at a worker closely.
        tracing::debug!(room_sid = joined.room_sid, ?now, "joined");
        events.tell(&Event::Joined { room_sid: joined.room_sid, zero_unix_ms }).await;
        let (pace, quality) = before.resume(&spec, now, &mut composer);
        Ok(Self {
            pace,
            spec,
            epoch: joined.epoch,
            room_events: joined.events,
            room_commands: joined.commands,
            tokens,
            leave,
            session,
            wake,
            feeds: Default::default(),
            composer,
            layers: Layers::default(),
            codecs,
            encoder,
            told_bytes: file.final_bytes(),
            file,
            media: MediaSeen::None,
            quality,
            previews: Previews::default(),
            idle: Idle::since(now),
            ending: None,
        })
    }
}

impl Before {
    async fn read(spec: &WorkerSpec) -> Result<Self, WorkerError> {
        let Some(Resume { zero_unix_ms, position, report }) = &spec.resume else {
            return Ok(Self::Nothing);
        };
        let RecordingOptions { streams, frame_rate, .. } = spec.options;
        check_step(*position, streams, frame_rate)?;
        let predecessor = predecessor::read(&spec.spool, *position).await?;
        tracing::info!(?position, "going on with a spool");
        let elapsed = elapsed(
            *zero_unix_ms,
            unix_ms(SystemTime::now()),
            length(position.whole_ticks(streams, frame_rate), frame_rate),
        );
        let epoch = elapsed.and_then(|elapsed| Instant::now().checked_sub(elapsed));
        Ok(Self::Spool(Box::new(Left {
            position: *position,
            predecessor,
            report: report.as_deref().cloned().unwrap_or_default(),
            epoch: epoch.ok_or(WorkerError::Zero { zero_unix_ms: *zero_unix_ms })?,
        })))
    }

    fn epoch(&self) -> Option<Instant> {
        match self {
            Self::Nothing => None,
            Self::Spool(left) => Some(left.epoch),
        }
    }

    /// An AAC encoder puts its priming in front, one frame: it falls on the last one of the spool.
    fn stream_start(&self, spec: &WorkerSpec) -> StreamStart {
        match self {
            Self::Nothing => StreamStart::default(),
            Self::Spool(left) => {
                let tick = left.position.whole_ticks(spec.options.streams, spec.options.frame_rate);
                StreamStart { tick, pcm: left.position.audio_frames * u64::from(AAC_FRAME) }
            }
        }
    }

    fn file(&self, spec: &WorkerSpec, shape: Shape, wake: &Arc<Notify>) -> Result<FileWriter, WorkerError> {
        Ok(match self {
            Self::Nothing => FileWriter::create(&spec.spool, shape, wake)?,
            Self::Spool(left) => {
                let config = left.predecessor.as_ref().map(|predecessor| predecessor.config.clone());
                FileWriter::resume(&spec.spool, left.position, config, shape, wake)?
            }
        })
    }

    /// Ticks, picture and report go on from what there is; the room was joined `now`.
    fn resume(self, spec: &WorkerSpec, now: MediaTime, composer: &mut Composer) -> (Pace, Quality) {
        let RecordingOptions { streams, frame_rate, .. } = spec.options;
        match self {
            Self::Nothing => (Pace::new(frame_rate), Quality::new(frame_rate)),
            Self::Spool(left) => {
                let Left { position, predecessor, report, epoch: _ } = *left;
                let ticks = position.whole_ticks(streams, frame_rate);
                composer.resume(ticks, predecessor.and_then(|predecessor| predecessor.last_frame), now);
                let carried = Carried { frames: ticks, joined: now, report };
                (Pace::resuming(frame_rate, ticks, now), Quality::resuming(frame_rate, carried))
            }
        }
    }
}

fn settings(spec: &WorkerSpec, shape: Shape) -> EncodeSettings {
    let Shape { size, frame_rate } = shape;
    let (video_kbps, audio_kbps) = (spec.options.video_kbps, spec.options.audio_kbps);
    EncodeSettings { streams: spec.options.streams, size, frame_rate, video_kbps, audio_kbps }
}

fn check_step(position: SpoolPosition, streams: Streams, frame_rate: u32) -> Result<(), WorkerError> {
    let SpoolPosition { ticks, audio_frames, .. } = position;
    match streams {
        Streams::Both => {}
        // There is nothing to be in step with.
        Streams::AudioOnly | Streams::VideoOnly => return Ok(()),
    }
    let seen = length(ticks, frame_rate);
    let heard = length(audio_frames.saturating_mul(u64::from(AAC_FRAME)), AUDIO_RATE);
    match seen.abs_diff(heard) <= OUT_OF_STEP_MAX {
        true => Ok(()),
        false => Err(WorkerError::OutOfStep { ticks, audio_frames }),
    }
}

fn length(count: u64, per_second: u32) -> Duration {
    let rate = u64::from(per_second);
    Duration::from_secs(count / rate) + Duration::from_nanos(count % rate * 1_000_000_000 / rate)
}

/// How long ago the recording began. A clock that was set back cannot make it shorter than what there is of it;
/// none where a clock must be wrong.
fn elapsed(zero_unix_ms: i64, now_unix_ms: i64, there: Duration) -> Option<Duration> {
    let by_clock =
        Duration::from_millis(u64::try_from(now_unix_ms.saturating_sub(zero_unix_ms)).unwrap_or(0));
    (by_clock.saturating_sub(there) <= GAP_MAX).then(|| by_clock.max(there))
}

fn unix_ms(moment: SystemTime) -> i64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

async fn codecs(disabled: &[Codec]) -> Vec<Codec> {
    let available = decode::available().await.iter().copied();
    available.filter(|codec| !disabled.contains(codec)).collect()
}

fn room_options(
    spec: &WorkerSpec,
    token: watch::Receiver<SecretString>,
    codecs: Vec<Codec>,
    epoch: Option<Instant>,
) -> RoomOptions {
    RoomOptions {
        url: spec.livekit_url.clone(),
        token,
        codecs,
        ca_file: spec.ca_file.clone(),
        give_up_after: spec.give_up_after(),
        streams: spec.options.streams,
        epoch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: i64 = 1_700_000_000_000;

    #[test]
    fn the_wall_clock_says_how_long_the_gap_is() {
        let there = Duration::from_secs(60);
        assert_eq!(elapsed(ZERO, ZERO + 65_250, there), Some(Duration::from_millis(65_250)));
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_gap() {
        let there = Duration::from_secs(60);
        assert_eq!(elapsed(ZERO, ZERO + 20_000, there), Some(there));
        assert_eq!(elapsed(ZERO, ZERO - 20_000, there), Some(there));
    }

    #[test]
    fn a_clock_that_must_be_wrong_is_not_believed() {
        assert_eq!(elapsed(0, ZERO, Duration::from_secs(60)), None);
        assert_eq!(elapsed(i64::MIN, i64::MAX, Duration::ZERO), None);
        let long = Duration::from_secs(30 * 24 * 3600);
        let days = i64::try_from(long.as_millis()).unwrap();
        assert_eq!(elapsed(ZERO, ZERO + days + 1000, long), Some(long + Duration::from_secs(1)));
    }

    #[test]
    fn streams_that_are_far_apart_are_not_those_of_one_recording() {
        let position =
            |ticks, audio_frames| SpoolPosition { ticks, audio_frames, ..SpoolPosition::default() };
        assert!(check_step(position(3000, 4700), Streams::Both, 30).is_ok());
        assert!(check_step(position(3000, 0), Streams::Both, 30).is_err());
        assert!(check_step(position(3000, 0), Streams::VideoOnly, 30).is_ok());
        assert!(check_step(position(0, u64::MAX), Streams::Both, 30).is_err());
    }
}
