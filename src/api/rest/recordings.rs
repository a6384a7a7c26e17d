//! Owns the states of recordings, as users see them (`docs/api.md`), where their files can be read, and the picture of
//! one that runs.
//!
//! Contract: no path of the host is shown.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde::Serialize;

use super::query::{Bounds, Query};
use super::recording::millis;
use super::{cursor, path};
use crate::api::problem::Problem;
use crate::api::recorder::{
    FileUrl, ListedRecording, Listing, Reading, Recorder, RecordingQuery, RecordingState, Trouble,
    UploadStatus, UrlTerms,
};
use crate::ids::{EgressId, RoomName};
use crate::media::{Corner, FitChoice, Watermark};
use crate::options::{Look, RecordingOptions};
use crate::report::QualityReport;
use crate::store::{Phases, RecordingRow};

/// Recordings on a page.
const LIMIT: Bounds = Bounds { least: 1, most: 100, default: 20 };
/// Seconds that a URL is good for; seven days are the most that S3 signs.
const EXPIRES_IN: Bounds = Bounds { least: 1, most: 7 * 24 * 60 * 60, default: 60 * 60 };

#[derive(Serialize)]
pub struct RecordingAnswer {
    #[serde(flatten)]
    entry: EntryAnswer,
    quality: Option<QualityReport>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListAnswer {
    recordings: Vec<EntryAnswer>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlAnswer {
    url: String,
    expires_at: String,
}

/// A recording without its quality report.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryAnswer {
    egress_id: EgressId,
    room_id: RoomName,
    status: &'static str,
    started_at: String,
    /// When the first media came.
    active_at: Option<String>,
    ended_at: Option<String>,
    options: OptionsAnswer,
    file: Option<String>,
    duration: u64,
    size: u64,
    error: Option<String>,
    upload: Option<UploadAnswer>,
}

/// Bytes of media on their way to the store.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UploadAnswer {
    store: &'static str,
    stored_bytes: u64,
    waiting_bytes: u64,
    waiting_since: Option<String>,
    trouble: Option<TroubleAnswer>,
}

/// What the upload waits for.
#[derive(Serialize)]
struct TroubleAnswer {
    reason: String,
    since: String,
    attempts: u32,
}

/// In the words of a start.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OptionsAnswer {
    layout: &'static str,
    fit: Option<FitChoice>,
    width: u32,
    height: u32,
    framerate: u32,
    video_bitrate: u32,
    audio_bitrate: u32,
    max_duration_seconds: Option<u32>,
    name_tags: bool,
    initials: bool,
    speaker_border: bool,
    watermark: Option<WatermarkAnswer>,
}

#[derive(Serialize)]
struct WatermarkAnswer {
    position: Corner,
    opacity: f32,
}

pub async fn show(
    State(recorder): State<Arc<dyn Recorder>>,
    path::Recording(id): path::Recording,
) -> Result<Json<RecordingAnswer>, Problem> {
    let found = recorder.recording(&id).await?;
    Ok(Json(found.ok_or_else(Problem::no_such_recording)?.into()))
}

pub async fn list(
    State(recorder): State<Arc<dyn Recorder>>,
    mut query: Query,
) -> Result<Json<ListAnswer>, Problem> {
    let wanted = RecordingQuery {
        room: query.take_parsed("roomId")?,
        phases: query.take("status").map(|word| phases(&word)).transpose()?,
        limit: query.take_number("limit", LIMIT)?,
        after: match query.take("cursor") {
            Some(text) => Some(cursor::read(&text).ok_or_else(cursor::refusal)?),
            None => None,
        },
    };
    query.end()?;
    let Listing { recordings, next } = recorder.recordings(wanted).await?;
    Ok(Json(ListAnswer {
        recordings: recordings.into_iter().map(EntryAnswer::from).collect(),
        next_cursor: next.as_ref().map(cursor::write),
    }))
}

pub async fn url(
    State(recorder): State<Arc<dyn Recorder>>,
    path::Recording(id): path::Recording,
    mut query: Query,
) -> Result<Json<UrlAnswer>, Problem> {
    let seconds = query.take_number("expiresIn", EXPIRES_IN)?;
    let reading = if query.take_truth("download")? { Reading::Save } else { Reading::Play };
    query.end()?;
    let terms = UrlTerms { valid_for: Duration::from_secs(seconds.into()), reading };
    let FileUrl { url, expires_at } = recorder.file_url(&id, terms).await?;
    Ok(Json(UrlAnswer { url, expires_at: millis(expires_at) }))
}

/// Nobody keeps it: the next one is another.
pub async fn preview(
    State(recorder): State<Arc<dyn Recorder>>,
    path::Recording(id): path::Recording,
    query: Query,
) -> Result<impl IntoResponse, Problem> {
    query.end()?;
    let jpeg = recorder.preview(&id).await?;
    Ok(([(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "no-store")], jpeg))
}

fn phases(word: &str) -> Result<Phases, Problem> {
    word.parse().map_err(|_| {
        let words = Phases::words().collect::<Vec<_>>().join(", ");
        Problem::bad_request(format!("status must be one of {words}"))
    })
}

impl From<RecordingState> for RecordingAnswer {
    fn from(state: RecordingState) -> Self {
        let RecordingState { row, quality, upload } = state;
        Self { entry: ListedRecording { row, upload }.into(), quality }
    }
}

impl From<ListedRecording> for EntryAnswer {
    fn from(listed: ListedRecording) -> Self {
        let ListedRecording { row, upload } = listed;
        let RecordingRow {
            egress_id,
            room,
            phase,
            started_at,
            key: _,
            options,
            zero: _,
            first_media_at,
            verdict: _,
            ended_at,
            saved,
            error,
        } = row;
        let (duration, size) = saved.as_ref().map_or((0, 0), |saved| (saved.duration_s, saved.size));
        Self {
            egress_id,
            room_id: room,
            status: phase.as_str(),
            started_at: millis(started_at),
            active_at: first_media_at.map(millis),
            ended_at: ended_at.map(millis),
            options: options.into(),
            file: saved.map(|saved| saved.key),
            duration,
            size,
            error,
            upload: upload.map(UploadAnswer::from),
        }
    }
}

impl From<UploadStatus> for UploadAnswer {
    fn from(status: UploadStatus) -> Self {
        let UploadStatus { stored_bytes, waiting_bytes, since, trouble, store } = status;
        Self {
            store: store.as_str(),
            stored_bytes,
            waiting_bytes,
            waiting_since: since.map(millis),
            trouble: trouble.map(|Trouble { reason, since, attempts }| TroubleAnswer {
                reason,
                since: millis(since),
                attempts,
            }),
        }
    }
}

impl From<RecordingOptions> for OptionsAnswer {
    fn from(options: RecordingOptions) -> Self {
        let RecordingOptions {
            width,
            height,
            frame_rate,
            video_kbps,
            audio_kbps,
            max_duration_seconds,
            max_size_mb: _,
            view,
            decorations,
        } = options;
        Self {
            layout: Look { layout: view.layout, theme: view.theme }.as_word(),
            fit: Some(view.fit).filter(|fit| *fit != FitChoice::ByShape),
            width,
            height,
            framerate: frame_rate,
            video_bitrate: video_kbps,
            audio_bitrate: audio_kbps,
            max_duration_seconds,
            name_tags: decorations.names,
            initials: decorations.initials,
            speaker_border: decorations.speaker_border,
            watermark: decorations.watermark.map(WatermarkAnswer::from),
        }
    }
}

impl From<Watermark> for WatermarkAnswer {
    fn from(watermark: Watermark) -> Self {
        let Watermark { file: _, corner, opacity } = watermark;
        Self { position: corner, opacity }
    }
}
