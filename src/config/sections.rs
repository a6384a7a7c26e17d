//! One function for each component's part of the configuration: names, defaults, accepted values. Pure.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use url::Url;

use super::sources::Quote::{Hidden, Shown};
use super::sources::Sources;
use super::{ApiConfig, DataDir, KeyPair, LivekitConfig, LogLevel, RateLimit, RecordingConfig};
use crate::media::{Codec, Decorations, TrackKind, View, Watermark};
use crate::options::{
    CORNER_WORDS, FIT_WORDS, LAYOUT_WORDS, Look, OPACITIES, RecordingOptions, ViewChange, corner_from_word,
    fit_from_word,
};

const DEFAULT_API_PORT: u16 = 8080;
const DEFAULT_RATE_LIMIT: NonZeroU32 = NonZeroU32::new(100).expect("not zero");
const DEFAULT_RATE_WINDOW_MS: NonZeroU32 = NonZeroU32::new(60_000).expect("not zero");
/// Far more than clients keep open. Few enough for the usual limit of 1024 open files a process.
const DEFAULT_MAX_CONNECTIONS: NonZeroU32 = NonZeroU32::new(512).expect("not zero");
const DEFAULT_DATA_DIR: &str = "./data";
/// Long enough for all participants to come back after a network failure.
const DEFAULT_IDLE_TIMEOUT_SECONDS: NonZeroU32 = NonZeroU32::new(300).expect("not zero");

/// A server restarts within seconds; a machine that replaces another may need most of a minute.
const DEFAULT_RECONNECT_TIMEOUT_SECONDS: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// The rest is for running recordings that need more later, and for the machine's other processes.
const DEFAULT_MAX_LOAD_PERCENT: NonZeroU32 = NonZeroU32::new(90).expect("not zero");
/// An hour and a half of a recording in 1500 kbit/s; a quarter of it is left to finish those that run.
const DEFAULT_MIN_FREE_DISK_MB: u32 = 1024;

/// A service is started again within a minute or two. After five minutes, the people in the room have another
/// meeting.
const DEFAULT_RESUME_WITHIN_SECONDS: u32 = 300;

pub fn api(sources: &mut Sources) -> ApiConfig {
    let host = sources.optional("API_HOST", (Shown, "an IP address"), parse::<IpAddr>);
    let host = host.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    ApiConfig {
        listen: SocketAddr::new(host, port(sources, "API_PORT", DEFAULT_API_PORT)),
        key: sources.required_secret("API_KEY", "the key that clients send as X-Api-Key"),
        secret: sources.required_secret("API_SECRET", "the secret that clients sign with"),
        second: second_pair(sources),
        refuse_replays: truth(sources, "EGRESSD_REFUSE_REPLAYS"),
        max_connections: positive(sources, "EGRESSD_API_MAX_CONNECTIONS").unwrap_or(DEFAULT_MAX_CONNECTIONS),
        metrics_listen: sources.optional(
            "EGRESSD_METRICS_LISTEN",
            (Shown, "an IP address and a port, such as 127.0.0.1:9090"),
            parse::<SocketAddr>,
        ),
        cors_origins: cors_origins(sources),
        rate_limit: RateLimit {
            max: positive(sources, "RATE_LIMIT_MAX").unwrap_or(DEFAULT_RATE_LIMIT),
            window: millis(positive(sources, "RATE_LIMIT_WINDOW_MS").unwrap_or(DEFAULT_RATE_WINDOW_MS)),
        },
        console: truth_or(sources, "EGRESSD_CONSOLE", true),
    }
}

/// The second pair of key and secret, for the time in which clients change from one pair to the other.
fn second_pair(sources: &mut Sources) -> Option<KeyPair> {
    const NAMES: [&str; 2] = ["EGRESSD_API_KEY_2", "EGRESSD_API_SECRET_2"];
    let [key, secret] = NAMES.map(|name| sources.get(name));
    match (key, secret) {
        (Some(key), Some(_)) if sources.get("API_KEY").as_ref() == Some(&key) => {
            sources.fault(NAMES[0], "must be another key than API_KEY");
            None
        }
        (Some(key), Some(secret)) => Some(KeyPair { key: key.into(), secret: secret.into() }),
        (None, None) => None,
        (Some(_), None) => {
            sources.fault(NAMES[1], format!("is not set, expected a secret, as {} is set", NAMES[0]));
            None
        }
        (None, Some(_)) => {
            sources.fault(NAMES[0], format!("is not set, expected a key, as {} is set", NAMES[1]));
            None
        }
    }
}

pub fn livekit(sources: &mut Sources) -> LivekitConfig {
    const URL: &str = "LIVEKIT_URL_INTERNAL";
    const EXPECTED: &str = "the LiveKit server's URL, such as ws://livekit:7880";
    let url = match sources.get(URL) {
        // A URL can hold a password, so it is not quoted.
        Some(_) => sources.optional(URL, (Hidden, EXPECTED), websocket_url),
        None => Some(sources.required(URL, EXPECTED)),
    };
    let reconnect_timeout = positive(sources, "EGRESSD_RECONNECT_TIMEOUT_SECONDS");
    LivekitConfig {
        url: url.unwrap_or_default(),
        api_key: sources.required("LIVEKIT_API_KEY", "an API key of the LiveKit server"),
        api_secret: sources.required_secret("LIVEKIT_API_SECRET", "the secret of LIVEKIT_API_KEY"),
        ca_file: sources.get("EGRESSD_LIVEKIT_CA_FILE").map(PathBuf::from),
        reconnect_timeout: seconds(reconnect_timeout.unwrap_or(DEFAULT_RECONNECT_TIMEOUT_SECONDS)),
    }
}

pub fn recording(sources: &mut Sources) -> RecordingConfig {
    let idle = positive(sources, "EGRESSD_IDLE_TIMEOUT_SECONDS");
    let max_load = positive(sources, "EGRESSD_MAX_LOAD_PERCENT");
    let expected = (Shown, "a whole number of MiB");
    let min_free = sources.optional("EGRESSD_MIN_FREE_DISK_MB", expected, parse::<u32>);
    RecordingConfig {
        idle_timeout: seconds(idle.unwrap_or(DEFAULT_IDLE_TIMEOUT_SECONDS)),
        defaults: RecordingOptions {
            max_duration_seconds: positive(sources, "EGRESSD_MAX_DURATION_SECONDS").map(NonZeroU32::get),
            max_size_mb: positive(sources, "EGRESSD_MAX_SIZE_MB").map(NonZeroU32::get),
            view: view(sources),
            decorations: Decorations {
                names: truth(sources, "EGRESSD_NAME_TAGS"),
                initials: truth(sources, "EGRESSD_INITIALS"),
                speaker_border: truth(sources, "EGRESSD_SPEAKER_BORDER"),
                watermark: watermark(sources),
            },
            ..RecordingOptions::default()
        },
        max_recordings: positive(sources, "EGRESSD_MAX_RECORDINGS"),
        max_load_percent: max_load.unwrap_or(DEFAULT_MAX_LOAD_PERCENT),
        min_free_disk_mb: min_free.unwrap_or(DEFAULT_MIN_FREE_DISK_MB).into(),
        resume_within: seconds_or(sources, "EGRESSD_RESUME_WITHIN_SECONDS", DEFAULT_RESUME_WITHIN_SECONDS),
        disabled_codecs: disabled_codecs(sources),
    }
}

pub fn shutdown_grace(sources: &mut Sources) -> Duration {
    seconds_or(sources, "EGRESSD_SHUTDOWN_GRACE_SECONDS", 0)
}

fn disabled_codecs(sources: &mut Sources) -> Vec<Codec> {
    let expected = (Shown, "vp8, vp9, h264, h265 or av1, several separated by commas");
    let video = |name: &str| Codec::named(name.trim()).filter(|codec| codec.kind() == TrackKind::Video);
    let codecs =
        sources.optional("EGRESSD_DISABLE_CODECS", expected, |text| text.split(',').map(video).collect());
    codecs.unwrap_or_default()
}

fn view(sources: &mut Sources) -> View {
    let look = sources.optional("EGRESSD_LAYOUT", (Shown, LAYOUT_WORDS), Look::from_word);
    let fit = sources.optional("EGRESSD_FIT", (Shown, FIT_WORDS), fit_from_word);
    ViewChange { look, fit }.upon(View::default())
}

/// Does not read the picture: the service does at its start.
fn watermark(sources: &mut Sources) -> Option<Watermark> {
    const FILE: &str = "EGRESSD_WATERMARK_FILE";
    const DETAILS: [&str; 2] = ["EGRESSD_WATERMARK_POSITION", "EGRESSD_WATERMARK_OPACITY"];
    let corner = sources.optional(DETAILS[0], (Shown, CORNER_WORDS), corner_from_word);
    let opacity = sources.optional(DETAILS[1], (Shown, "a number from 0 to 1"), |text| {
        parse(text).filter(|opacity| OPACITIES.contains(opacity))
    });
    match sources.get(FILE) {
        Some(file) => Some(Watermark {
            file: file.into(),
            corner: corner.unwrap_or_default(),
            opacity: opacity.unwrap_or(*OPACITIES.end()),
        }),
        None => {
            if let Some(because) = DETAILS.into_iter().find(|name| sources.get(name).is_some()) {
                sources.fault(FILE, format!("is not set, expected a PNG file, as {because} is set"));
            }
            None
        }
    }
}

pub fn data_dir(sources: &mut Sources) -> DataDir {
    let path = sources.get("EGRESSD_DATA_DIR");
    DataDir(path.unwrap_or_else(|| DEFAULT_DATA_DIR.to_owned()).into())
}

pub fn log_level(sources: &mut Sources) -> LogLevel {
    let expected = (Shown, "error, warn, info, debug or trace");
    let level = sources.optional("LOG_LEVEL", expected, |text| {
        let all = [LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];
        all.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text))
    });
    level.unwrap_or(LogLevel::Info)
}

/// A fault, since whoever sets `REDIS_URL` expects several machines to share their state.
pub fn refuse_redis(sources: &mut Sources) {
    if sources.get("REDIS_URL").is_some() {
        sources.fault("REDIS_URL", "is not supported yet; unset it, and state is kept in EGRESSD_DATA_DIR");
    }
}

fn cors_origins(sources: &mut Sources) -> Vec<String> {
    let expected = (Shown, "origins such as https://app.example.com, separated by commas");
    let origins = sources
        .optional("CORS_ORIGINS", expected, |text| text.split(',').map(|item| origin(item.trim())).collect());
    origins.unwrap_or_default()
}

/// Returns the origin as browsers send it.
fn origin(text: &str) -> Option<String> {
    let url: Url = text.parse().ok()?;
    let web = matches!(url.scheme(), "http" | "https");
    let bare = has_only_authority(&url) && !text.ends_with('/');
    (web && bare).then(|| url.origin().ascii_serialization())
}

/// Returns a LiveKit URL as its signalling takes it.
fn websocket_url(text: &str) -> Option<String> {
    let mut url: Url = text.parse().ok()?;
    let scheme = match url.scheme() {
        "ws" | "http" => "ws",
        "wss" | "https" => "wss",
        _ => return None,
    };
    if !url.username().is_empty() || url.password().is_some() {
        return None;
    }
    if url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    url.set_scheme(scheme).ok()?;
    Some(url.as_str().trim_end_matches('/').to_owned())
}

fn has_only_authority(url: &Url) -> bool {
    url.username().is_empty()
        && url.password().is_none()
        && matches!(url.path(), "" | "/")
        && url.query().is_none()
        && url.fragment().is_none()
}

pub(super) fn port(sources: &mut Sources, name: &str, default: u16) -> u16 {
    let expected = (Shown, "a port number, 0 to 65535");
    sources.optional(name, expected, parse).unwrap_or(default)
}

pub(super) fn positive(sources: &mut Sources, name: &str) -> Option<NonZeroU32> {
    sources.optional(name, (Shown, "a whole number above 0"), parse)
}

/// Reads a number of seconds, which may be 0.
fn seconds_or(sources: &mut Sources, name: &str, default: u32) -> Duration {
    let value = sources.optional(name, (Shown, "a whole number of seconds"), parse::<u32>);
    Duration::from_secs(value.unwrap_or(default).into())
}

/// Reads `true` or `false`; `false` where it is not set.
pub(super) fn truth(sources: &mut Sources, name: &str) -> bool {
    truth_or(sources, name, false)
}

fn truth_or(sources: &mut Sources, name: &str, default: bool) -> bool {
    let value = sources.optional(name, (Shown, "true or false"), parse);
    value.unwrap_or(default)
}

pub(super) fn parse<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

pub(super) fn seconds(number: NonZeroU32) -> Duration {
    Duration::from_secs(number.get().into())
}

fn millis(number: NonZeroU32) -> Duration {
    Duration::from_millis(number.get().into())
}
