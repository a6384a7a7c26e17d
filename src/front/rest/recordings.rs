//! Owns the states of recordings as users see them (`docs/api.md`), the URLs of their files, and the picture
//! of a running one.
//!
//! Contract: no path of the host is shown.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::{IntoParams, ToSchema};

use super::query::{Bounds, Query};
use super::recording::millis;
use super::{cursor, path, query};
use crate::control::{FileUrl, ListedRecording, Listing, Reading, Recorder, RecordingState, UrlTerms};
use crate::front::http::problem::Problem;
use crate::front::rest::openapi::schemas;
use crate::ids::{EgressId, RoomName};
use crate::media::{Corner, FitChoice, StreamKind, Streams, Watermark};
use crate::options::{Look, RecordingOptions};
use crate::report::QualityReport;
use crate::store::RecordingQuery;
use crate::store::{Phases, RecordingRow};
use crate::upload::{Trouble, UploadStatus};

/// Recordings on a page.
const LIMIT: Bounds = Bounds { least: 1, most: 100, default: 20 };
/// How many seconds a URL is valid. S3 signs for seven days at most.
const EXPIRES_IN: Bounds = Bounds { least: 1, most: 7 * 24 * 60 * 60, default: 60 * 60 };

/// What `list` takes out of its query.
struct ListQuery;

/// What `url` takes out of its query.
struct UrlQuery;

#[derive(Serialize, ToSchema)]
pub struct RecordingAnswer {
    #[serde(flatten)]
    entry: EntryAnswer,
    /// What it has been like so far.
    #[schema(required)]
    quality: Option<QualityReport>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ListAnswer {
    recordings: Vec<EntryAnswer>,
    /// Where the next page begins; `null` on the last one.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UrlAnswer {
    #[schema(schema_with = schemas::url)]
    url: String,
    #[schema(schema_with = schemas::time)]
    expires_at: String,
}

/// A recording without its quality report.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct EntryAnswer {
    #[schema(schema_with = schemas::egress_id)]
    egress_id: EgressId,
    #[schema(schema_with = schemas::room_name)]
    room_id: RoomName,
    #[schema(schema_with = schemas::phase)]
    status: &'static str,
    #[schema(schema_with = schemas::time)]
    started_at: String,
    /// When the first media came.
    #[schema(required, schema_with = schemas::time_or_null)]
    active_at: Option<String>,
    #[schema(required, schema_with = schemas::time_or_null)]
    ended_at: Option<String>,
    options: OptionsAnswer,
    /// The object's key, once it is in the store.
    #[schema(required)]
    file: Option<String>,
    /// Whole seconds of media.
    duration: u64,
    /// Bytes of the object.
    size: u64,
    /// Of a failed recording, a sentence.
    #[schema(required)]
    error: Option<String>,
    #[schema(required)]
    upload: Option<UploadAnswer>,
}

/// Bytes of media on their way to the store.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct UploadAnswer {
    #[schema(schema_with = schemas::destination)]
    store: &'static str,
    stored_bytes: u64,
    waiting_bytes: u64,
    #[schema(required, schema_with = schemas::time_or_null)]
    waiting_since: Option<String>,
    #[schema(required)]
    trouble: Option<TroubleAnswer>,
}

/// What the upload waits for.
#[derive(Serialize, ToSchema)]
struct TroubleAnswer {
    reason: String,
    #[schema(schema_with = schemas::time)]
    since: String,
    attempts: u32,
}

/// In the words of a start. What says how a picture or a sound is that there is not is `null`.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct OptionsAnswer {
    audio_only: bool,
    video_only: bool,
    #[schema(required, schema_with = schemas::look_or_null)]
    layout: Option<&'static str>,
    #[schema(required, schema_with = schemas::fit_or_null)]
    fit: Option<FitChoice>,
    #[schema(required)]
    width: Option<u32>,
    #[schema(required)]
    height: Option<u32>,
    #[schema(required)]
    framerate: Option<u32>,
    #[schema(required)]
    video_bitrate: Option<u32>,
    #[schema(required)]
    audio_bitrate: Option<u32>,
    #[schema(required)]
    max_duration_seconds: Option<u32>,
    name_tags: bool,
    initials: bool,
    speaker_border: bool,
    #[schema(required)]
    watermark: Option<WatermarkAnswer>,
}

#[derive(Serialize, ToSchema)]
struct WatermarkAnswer {
    #[schema(schema_with = schemas::corner)]
    position: Corner,
    opacity: f32,
}

/// All that is known about a recording, past ones included.
#[utoipa::path(
    get,
    path = "/v1/recordings/{egressId}",
    operation_id = "showRecording",
    tag = "recordings",
    params(path::Recording),
    responses(
        (status = 200, description = "Its state.", body = RecordingAnswer),
        (status = 404, description = "There is no such recording."),
        (status = 500, description = "The service failed."),
    )
)]
pub async fn show(
    State(recorder): State<Arc<dyn Recorder>>,
    path::Recording(id): path::Recording,
) -> Result<Json<RecordingAnswer>, Problem> {
    let found = recorder.recording(&id).await?;
    Ok(Json(found.ok_or_else(Problem::no_such_recording)?.into()))
}

/// Lists recordings, newest first.
#[utoipa::path(
    get,
    path = "/v1/recordings",
    operation_id = "listRecordings",
    tag = "recordings",
    params(ListQuery),
    responses(
        (status = 200, description = "A page of them.", body = ListAnswer),
        (status = 400, description = "A key of the query is unknown or wrong; or the body did not arrive as a whole."),
        (status = 500, description = "The service failed."),
    )
)]
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

/// An address from which anybody can read the finished file for a while.
#[utoipa::path(
    get,
    path = "/v1/recordings/{egressId}/url",
    operation_id = "showRecordingUrl",
    tag = "recordings",
    params(path::Recording, UrlQuery),
    responses(
        (status = 200, description = "The address.", body = UrlAnswer),
        (status = 400, description = "A key of the query is unknown or wrong; or the body did not arrive as a whole."),
        (status = 404, description = "There is no such recording, or no file of it that has an address."),
        (status = 409, description = "The recording is not finished."),
        (status = 500, description = "The service failed."),
    )
)]
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

/// The newest frame of a recording that takes in media. Nobody keeps it: the next one is another.
#[utoipa::path(
    get,
    path = "/v1/recordings/{egressId}/preview.jpg",
    operation_id = "showRecordingPreview",
    tag = "recordings",
    params(path::Recording),
    responses(
        (status = 200, description = "The picture.", content_type = "image/jpeg", body = Vec<u8>),
        (status = 400, description = "The query has a key; or the body did not arrive as a whole."),
        (status = 404, description = "There is no such recording."),
        (status = 409, description = "It takes in no media, has no picture, or has not made a frame yet."),
        (status = 500, description = "The service failed."),
        (status = 503, description = "No picture could be made in time."),
    )
)]
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

impl IntoParams for ListQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = schemas::text().description(Some("The `nextCursor` of the answer before."));
        vec![
            query::parameter("roomId", schemas::room_name()),
            query::parameter("status", schemas::words(Phases::words())),
            query::parameter("limit", LIMIT.described()),
            query::parameter("cursor", cursor),
        ]
    }
}

impl IntoParams for UrlQuery {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let download = ObjectBuilder::from(schemas::truth()).default(Some(false.into()));
        vec![
            query::parameter("expiresIn", EXPIRES_IN.described().description(Some("Seconds."))),
            query::parameter("download", download),
        ]
    }
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
            end_status: _,
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
            streams,
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
        let (seen, heard) = (streams.has(StreamKind::Video), streams.has(StreamKind::Audio));
        Self {
            audio_only: streams == Streams::AudioOnly,
            video_only: streams == Streams::VideoOnly,
            layout: seen.then(|| Look { layout: view.layout, theme: view.theme }.as_word()),
            fit: Some(view.fit).filter(|fit| seen && *fit != FitChoice::ByShape),
            width: seen.then_some(width),
            height: seen.then_some(height),
            framerate: seen.then_some(frame_rate),
            video_bitrate: seen.then_some(video_kbps),
            audio_bitrate: heard.then_some(audio_kbps),
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
