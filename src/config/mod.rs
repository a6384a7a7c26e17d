//! The configuration: environment variables, and a TOML file that may hold the same.
//!
//! Owns the names, the defaults and the meaning of the values; `docs/configuration.md` is the reference.
//! Parsing is pure ([`Config::from_sources`]); only [`Config::load`] reads the environment and the file.
//! Contract: a `Config` has no fault. Where there are faults, the error lists all of them. No secret is ever
//! shown.

mod examined;
mod recorder;
mod sections;
mod sources;
mod stores;
mod table;
mod webhooks;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;

use crate::media::Codec;
use crate::options::RecordingOptions;
use crate::storage::StorageConfig;
use crate::webhook::{StaticWebhook, TargetPolicy};

pub use examined::{Examined, Parts};
pub use recorder::{Joining, RecorderConfig};
pub use sources::{ConfigErrors, Fault};

use sources::Sources;

/// The variable that names the TOML file.
pub const FILE_VARIABLE: &str = "EGRESSD_CONFIG";

/// The names of all settings, as in the environment. In the file they are lower case.
pub const SETTINGS: [&str; 61] = [
    "API_HOST",
    "API_PORT",
    "API_KEY",
    "API_SECRET",
    "EGRESSD_API_KEY_2",
    "EGRESSD_API_SECRET_2",
    "EGRESSD_API_MAX_CONNECTIONS",
    "EGRESSD_REFUSE_REPLAYS",
    "EGRESSD_METRICS_LISTEN",
    "CORS_ORIGINS",
    "RATE_LIMIT_MAX",
    "RATE_LIMIT_WINDOW_MS",
    "EGRESSD_CONSOLE",
    "LIVEKIT_URL_INTERNAL",
    "LIVEKIT_API_KEY",
    "LIVEKIT_API_SECRET",
    "EGRESSD_LIVEKIT_CA_FILE",
    "EGRESSD_RECONNECT_TIMEOUT_SECONDS",
    "MINIO_ENDPOINT",
    "MINIO_PORT",
    "MINIO_USE_SSL",
    "MINIO_ACCESS_KEY",
    "MINIO_SECRET_KEY",
    "MINIO_BUCKET",
    "MINIO_REGION",
    "MINIO_EQUAL_PARTS_MIB",
    "FALLBACK_AFTER_SECONDS",
    "FALLBACK_DIR",
    "FALLBACK_MINIO_ENDPOINT",
    "FALLBACK_MINIO_PORT",
    "FALLBACK_MINIO_USE_SSL",
    "FALLBACK_MINIO_ACCESS_KEY",
    "FALLBACK_MINIO_SECRET_KEY",
    "FALLBACK_MINIO_BUCKET",
    "FALLBACK_MINIO_REGION",
    "FALLBACK_MINIO_EQUAL_PARTS_MIB",
    "REDIS_URL",
    "WEBHOOK_ALLOW_PRIVATE",
    "WEBHOOK_URL",
    "WEBHOOK_SECRET",
    "WEBHOOK_EVENTS",
    "EGRESSD_IDLE_TIMEOUT_SECONDS",
    "EGRESSD_MAX_DURATION_SECONDS",
    "EGRESSD_MAX_SIZE_MB",
    "EGRESSD_MAX_RECORDINGS",
    "EGRESSD_DISABLE_CODECS",
    "EGRESSD_LAYOUT",
    "EGRESSD_FIT",
    "EGRESSD_NAME_TAGS",
    "EGRESSD_INITIALS",
    "EGRESSD_SPEAKER_BORDER",
    "EGRESSD_WATERMARK_FILE",
    "EGRESSD_WATERMARK_POSITION",
    "EGRESSD_WATERMARK_OPACITY",
    "EGRESSD_MAX_LOAD_PERCENT",
    "EGRESSD_MIN_FREE_DISK_MB",
    "EGRESSD_RESUME_WITHIN_SECONDS",
    "EGRESSD_SHUTDOWN_GRACE_SECONDS",
    "EGRESSD_DATA_DIR",
    "LOG_LEVEL",
    FILE_VARIABLE,
];

#[derive(Clone, Debug)]
pub struct Config {
    pub api: ApiConfig,
    pub livekit: LivekitConfig,
    pub storage: StorageConfig,
    pub fallback: Option<FallbackConfig>,
    pub webhook: WebhookConfig,
    pub recording: RecordingConfig,
    /// `EGRESSD_SHUTDOWN_GRACE_SECONDS`: how long recordings may go on after SIGTERM; default 0.
    pub shutdown_grace: Duration,
    pub data_dir: DataDir,
    /// `LOG_LEVEL`; default `info`.
    pub log_level: LogLevel,
}

/// The REST API.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// `API_HOST` (default 0.0.0.0, as other containers must reach it) and `API_PORT` (default 8080; with 0
    /// the system chooses a free port).
    pub listen: SocketAddr,
    /// `API_KEY`; required.
    pub key: SecretString,
    /// `API_SECRET`, which signs requests; required.
    pub secret: SecretString,
    /// `EGRESSD_API_KEY_2` and `EGRESSD_API_SECRET_2`: a second pair that is valid, too; default none.
    pub second: Option<KeyPair>,
    /// `EGRESSD_REFUSE_REPLAYS`: whether a signature is refused when it comes a second time; default false.
    pub refuse_replays: bool,
    /// `EGRESSD_API_MAX_CONNECTIONS`: how many connections there may be at a time; default 512.
    pub max_connections: NonZeroU32,
    /// `EGRESSD_METRICS_LISTEN`: an address and a port that serve only the metrics; default none.
    pub metrics_listen: Option<SocketAddr>,
    /// `CORS_ORIGINS`: the origins that may call from a browser; default none.
    pub cors_origins: Vec<String>,
    pub rate_limit: RateLimit,
    /// `EGRESSD_CONSOLE`: whether there is a web console; default true.
    pub console: bool,
}

/// An API key and the secret that goes with it.
#[derive(Clone, Debug)]
pub struct KeyPair {
    pub key: SecretString,
    pub secret: SecretString,
}

/// The limit of requests for each API key: `max` of them within `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `RATE_LIMIT_MAX`; default 100.
    pub max: NonZeroU32,
    /// `RATE_LIMIT_WINDOW_MS`; default 60,000.
    pub window: Duration,
}

/// The LiveKit server whose rooms are recorded.
#[derive(Clone, Debug)]
pub struct LivekitConfig {
    /// `LIVEKIT_URL_INTERNAL` as `ws://` or `wss://`, without a slash at the end; required.
    pub url: String,
    /// `LIVEKIT_API_KEY`; required.
    pub api_key: String,
    /// `LIVEKIT_API_SECRET`; required.
    pub api_secret: SecretString,
    /// `EGRESSD_LIVEKIT_CA_FILE`: PEM certificates that are trusted besides the system's; default none.
    pub ca_file: Option<PathBuf>,
    /// `EGRESSD_RECONNECT_TIMEOUT_SECONDS`: how long the server may be out of reach before a recording ends;
    /// default 60.
    pub reconnect_timeout: Duration,
}

/// `FALLBACK_MINIO_...` or `FALLBACK_DIR`: the store that gets a recording when the first store cannot be
/// reached.
#[derive(Clone, Debug)]
pub struct FallbackConfig {
    pub storage: StorageConfig,
    /// `FALLBACK_AFTER_SECONDS`: how long the first store must have been out of reach; default 600.
    pub after: Duration,
}

/// Delivery of events.
#[derive(Clone, Debug)]
pub struct WebhookConfig {
    /// `WEBHOOK_ALLOW_PRIVATE`: events may go to loopback and private addresses; default false.
    pub targets: TargetPolicy,
    /// `WEBHOOK_URL` with `WEBHOOK_SECRET` and `WEBHOOK_EVENTS` (default `*`), and `[[webhooks]]` of the
    /// file; default none.
    pub fixed: Vec<StaticWebhook>,
}

/// When recordings end by themselves, how many there may be at a time, and the defaults of their options.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordingConfig {
    /// `EGRESSD_IDLE_TIMEOUT_SECONDS`: how long a room may be without a visible participant; default 300.
    pub idle_timeout: Duration,
    /// The options of a recording whose start sets none: `EGRESSD_MAX_DURATION_SECONDS` (default no limit;
    /// also the upper limit of every start), `EGRESSD_MAX_SIZE_MB` (default no limit), `EGRESSD_LAYOUT`,
    /// `EGRESSD_FIT`, `EGRESSD_NAME_TAGS`, `EGRESSD_INITIALS`, `EGRESSD_SPEAKER_BORDER` and
    /// `EGRESSD_WATERMARK_FILE` with its position (default `bottom-right`) and opacity (default 1).
    pub defaults: RecordingOptions,
    /// `EGRESSD_MAX_RECORDINGS`: how many recordings may run at a time; by default the measured load decides.
    pub max_recordings: Option<NonZeroU32>,
    /// `EGRESSD_MAX_LOAD_PERCENT`: a recording is started only if no more than this share of the processors
    /// and of the memory is used then, in percent; default 90.
    pub max_load_percent: NonZeroU32,
    /// `EGRESSD_MIN_FREE_DISK_MB`: how much of the disk with `EGRESSD_DATA_DIR` is to stay free, in MiB;
    /// default 1024.
    pub min_free_disk_mb: u64,
    /// `EGRESSD_RESUME_WITHIN_SECONDS`: an unfinished recording is resumed when the service starts again, if
    /// the end of its spool is no older than this; default 300. With 0 it never is.
    pub resume_within: Duration,
    /// `EGRESSD_DISABLE_CODECS`: video codecs that are not decoded although this machine can; default none.
    pub disabled_codecs: Vec<Codec>,
}

/// `EGRESSD_DATA_DIR` (default `./data`), and the paths in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataDir(PathBuf);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

impl Config {
    /// Returns the configuration of this process, from its environment and from the file that
    /// `EGRESSD_CONFIG` names.
    pub fn load() -> Result<Self, ConfigErrors> {
        let env = process_environment()?;
        let file = match env(FILE_VARIABLE).filter(|path| !path.trim().is_empty()) {
            Some(path) => Some(read_file(Path::new(path.trim()))?),
            None => None,
        };
        Self::from_sources(env, file.as_deref())
    }

    /// Returns the configuration of an environment and of the text of a TOML file. A setting of the
    /// environment replaces that of the file.
    pub fn from_sources(
        env: impl Fn(&str) -> Option<String>,
        toml: Option<&str>,
    ) -> Result<Self, ConfigErrors> {
        let mut sources = Sources::new(&env, toml)?;
        sections::refuse_redis(&mut sources);
        let data_dir = sections::data_dir(&mut sources);
        let recording = sections::recording(&mut sources);
        let config = Self {
            api: sections::api(&mut sources),
            livekit: sections::livekit(&mut sources),
            storage: stores::storage(&mut sources, &data_dir, &recording.defaults),
            fallback: stores::fallback(&mut sources, &recording.defaults),
            webhook: webhooks::webhook(&mut sources),
            recording,
            shutdown_grace: sections::shutdown_grace(&mut sources),
            log_level: sections::log_level(&mut sources),
            data_dir,
        };
        sources.finish(config)
    }
}

impl LivekitConfig {
    /// Returns the server's HTTP URL, for its Twirp API.
    pub fn http_url(&self) -> String {
        match self.url.strip_prefix("ws") {
            Some(rest) => format!("http{rest}"),
            None => self.url.clone(),
        }
    }
}

impl DataDir {
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the database file.
    pub fn database(&self) -> PathBuf {
        self.0.join("egressd.db")
    }

    /// Returns the folder of the spools.
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Returns the folder for finished recordings, where no S3 is configured.
    pub fn recordings(&self) -> PathBuf {
        self.0.join("recordings")
    }
}

impl LogLevel {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Returns the variables of this process. Those that egressd knows must be UTF-8.
fn process_environment() -> Result<impl Fn(&str) -> Option<String>, ConfigErrors> {
    let not_text = |name: &&str| matches!(std::env::var(name), Err(std::env::VarError::NotUnicode(_)));
    let faults = SETTINGS.into_iter().filter(not_text);
    ConfigErrors::none_of(faults.map(|name| Fault::new(name, "is not UTF-8")).collect())?;
    Ok(|name: &str| std::env::var(name).ok())
}

fn read_file(path: &Path) -> Result<String, ConfigErrors> {
    std::fs::read_to_string(path).map_err(|error| {
        let what = format!("cannot read {}: {error}", path.display());
        ConfigErrors::from(Fault::new(FILE_VARIABLE, what))
    })
}

#[cfg(test)]
mod tests;
