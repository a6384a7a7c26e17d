//! `egressd serve`: starts the parts of the service in the order in which they need one another, and ends
//! them in the opposite order.
//!
//! Decides nothing else. Contract: the API is served once the database and the store are ready and unfinished
//! recordings of an earlier run have been taken over. It is served until the last recording is stored.
//! Webhooks are delivered until after that.

mod api_settings;

use std::fs::File;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::{JoinError, JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::admission::{Measurements, Monitor, Slots};
use crate::config::Config;
use crate::control::{ControlError, Handle, Limits, Running, Shared, Shutdown, Supervisor, WorkerProgram};
use crate::front::{self, ApiState};
use crate::health::{EncoderProbe, LivekitProbe, SharedStatus};
use crate::livekit::{Livekit, LivekitAccess, LivekitError};
use crate::storage::{self, Storage, StorageConfig};
use crate::store::{Store, StoreError};
use crate::telemetry::{self, TelemetryError};
use crate::upload::{Fallback, RetryPolicy, Stores, Uploads};
use crate::webhook::{Deliverer, Registry, WebhookError};

use api_settings::api_state;

/// How long the service waits at its end for deliveries that are due. The next start sends the rest.
const WEBHOOK_GRACE: Duration = Duration::from_secs(5);
/// How often it checks whether any are due.
const DUE_CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Why the service could not start, or ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("cannot create the data folder")]
    DataFolder(#[source] io::Error),
    #[error("cannot use the database")]
    Store(#[from] StoreError),
    #[error("cannot use {place}")]
    Storage {
        place: String,
        #[source]
        source: storage::StorageError,
    },
    #[error("cannot set up webhooks")]
    Webhooks(#[from] WebhookError),
    #[error("cannot set up the recorder")]
    Control(#[from] ControlError),
    #[error("EGRESSD_WATERMARK_FILE: {path} cannot be read as a PNG file")]
    Watermark {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("cannot find this program's own file")]
    Program(#[source] io::Error),
    #[error("cannot use the LiveKit server's settings")]
    Livekit(#[from] LivekitError),
    #[error("cannot set up an HTTP client")]
    HttpClient(#[from] reqwest::Error),
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        #[source]
        source: io::Error,
    },
    #[error("cannot count")]
    Metrics(#[from] TelemetryError),
    #[error("cannot take signals")]
    Signals(#[source] io::Error),
    #[error("the API failed")]
    Api(#[source] JoinError),
}

/// What is left to do after the service has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    Nothing,
    /// Recordings that are not stored, or events that are not delivered. The next start continues them.
    Work,
}

/// Serves until SIGTERM or SIGINT. Then ends the recordings, and returns when they are stored or their time
/// is up.
pub async fn run(config: Config) -> Result<Left, ServeError> {
    let signals = Signals::new()?;
    check_watermark(&config)?;
    create_data_folder(&config)?;
    let store = Store::open(&config.data_dir.database())?;
    let stores = stores(&config).await?;
    let slots = Slots::default();
    let least_free = config.recording.min_free_disk_mb << 20;
    let (monitor, measurements) = Monitor::new(config.data_dir.path().to_owned(), least_free, slots.clone());
    let watched = Watched { slots, measurements };
    let webhooks = Registry::new(store.clone(), config.webhook.targets)?;
    webhooks.adopt(config.webhook.fixed.clone(), Timestamp::now()).await?;
    let (handle, supervisor, probes) = supervisor(&config, store.clone(), stores, watched).await?;
    let deliverer = Deliverer::new(store.clone(), config.webhook.targets)?;
    let listener = listen(config.api.listen, "listening").await?;
    let metrics = match config.api.metrics_listen {
        Some(address) => Some(listen(address, "metrics").await?),
        None => None,
    };
    let api = api_state(config, handle, webhooks, telemetry::count()?);
    let service = Service::start(Parts { monitor, probes, deliverer, supervisor, listener, metrics, api });
    service.end_after(signals, &store).await
}

/// The parts of a service before their start.
struct Parts {
    monitor: Monitor,
    probes: Probes,
    deliverer: Deliverer,
    supervisor: Supervisor,
    listener: TcpListener,
    metrics: Option<TcpListener>,
    api: ApiState,
}

/// The probes, which find out whether a recording could be started.
struct Probes {
    livekit: LivekitProbe,
    encoders: EncoderProbe,
}

/// What the monitor measures, and its measurements.
struct Watched {
    slots: Slots,
    measurements: Measurements,
}

/// The running parts. Each is ended on its own.
struct Service {
    monitor: Part<()>,
    probes: [Part<()>; 2],
    deliverer: Part<()>,
    supervisor: JoinHandle<()>,
    shutdown: Shutdown,
    api: Part<()>,
    /// `None` if the API's port serves the metrics.
    metrics: Option<Part<()>>,
}

struct Part<T> {
    task: JoinHandle<T>,
    off: CancellationToken,
}

impl<T: Send + 'static> Part<T> {
    fn start<F>(run: impl FnOnce(CancellationToken) -> F) -> Self
    where
        F: Future<Output = T> + Send + 'static,
    {
        let off = CancellationToken::new();
        Self { task: tokio::spawn(run(off.clone())), off }
    }
}

impl Part<()> {
    async fn end(self) {
        self.off.cancel();
        if let Err(error) = self.task.await {
            tracing::error!(%error, "a part of the service failed");
        }
    }
}

impl Service {
    fn start(parts: Parts) -> Self {
        let Parts { monitor, probes, deliverer, supervisor, listener, metrics, api } = parts;
        let shutdown = Shutdown::default();
        let metrics = metrics.map(|listener| {
            let (recorder, figures) = (Arc::clone(&api.recorder), api.metrics.clone());
            Part::start(|off| front::serve_metrics(listener, recorder, figures, off))
        });
        Self {
            metrics,
            monitor: Part::start(|off| monitor.run(off)),
            probes: [Part::start(|off| probes.livekit.run(off)), Part::start(|off| probes.encoders.run(off))],
            deliverer: Part::start(|off| deliverer.run(off)),
            supervisor: tokio::spawn(supervisor.run(shutdown.clone())),
            shutdown,
            api: Part::start(|off| front::serve(listener, api, off)),
        }
    }

    async fn end_after(mut self, mut signals: Signals, store: &Store) -> Result<Left, ServeError> {
        let api_failed = tokio::select! {
            () = signals.next() => None,
            // It ends only when it fails. The other parts are then ended as after a signal.
            result = &mut self.api.task => Some(result),
        };
        tracing::info!("ending");
        self.shutdown.begin();
        self.recordings_end(&mut signals).await;
        self.api.off.cancel();
        let result = match api_failed {
            Some(failed) => failed,
            None => self.api.task.await,
        };
        if let Some(metrics) = self.metrics {
            metrics.end().await;
        }
        deliver_what_is_due(store).await;
        self.deliverer.end().await;
        self.monitor.end().await;
        for probe in self.probes {
            probe.end().await;
        }
        result.map_err(ServeError::Api)?;
        Ok(left(store).await?)
    }

    /// Waits until the recordings have ended. Each further signal shortens this.
    async fn recordings_end(&mut self, signals: &mut Signals) {
        loop {
            tokio::select! {
                ended = &mut self.supervisor => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "the supervisor failed");
                    }
                    return;
                }
                () = signals.next() => self.shutdown.hurry(),
            }
        }
    }
}

async fn left(store: &Store) -> Result<Left, StoreError> {
    let recordings = store.unfinished().await?.len();
    let deliveries = store.pending_deliveries().await?;
    if recordings == 0 && deliveries == 0 {
        tracing::info!("all is stored and told");
        return Ok(Left::Nothing);
    }
    tracing::warn!(recordings, deliveries, "left for the next start");
    Ok(Left::Work)
}

/// Waits until the events of the last recordings are delivered, for [`WEBHOOK_GRACE`] at most.
async fn deliver_what_is_due(store: &Store) {
    let wait = async {
        while let Ok(due) = store.due_deliveries(Timestamp::now(), 1).await
            && !due.is_empty()
        {
            tokio::time::sleep(DUE_CHECK_INTERVAL).await;
        }
    };
    if tokio::time::timeout(WEBHOOK_GRACE, wait).await.is_err() {
        tracing::info!("webhooks are left, they are sent at the next start");
    }
}

/// SIGTERM and SIGINT.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, ServeError> {
        let taken = |kind| signal(kind).map_err(ServeError::Signals);
        Ok(Self { terminate: taken(SignalKind::terminate())?, interrupt: taken(SignalKind::interrupt())? })
    }

    /// Waits for the next of the two signals.
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns an error if the watermark's file is not there or does not begin like a PNG file: every recording
/// would fail. The worker reads the whole file.
fn check_watermark(config: &Config) -> Result<(), ServeError> {
    // PNG specification, section 5.2.
    const SIGNATURE: [u8; 8] = *b"\x89PNG\r\n\x1a\n";
    let Some(watermark) = &config.recording.defaults.decorations.watermark else { return Ok(()) };
    let fault = |source| ServeError::Watermark { path: watermark.file.clone(), source };
    let mut start = [0; SIGNATURE.len()];
    let read = File::open(&watermark.file).and_then(|mut file| file.read_exact(&mut start));
    read.map_err(fault)?;
    match start == SIGNATURE {
        true => Ok(()),
        false => Err(fault(io::Error::new(io::ErrorKind::InvalidData, "it does not begin as one"))),
    }
}

fn create_data_folder(config: &Config) -> Result<(), ServeError> {
    std::fs::create_dir_all(config.data_dir.path()).map_err(ServeError::DataFolder)
}

async fn stores(config: &Config) -> Result<Stores, ServeError> {
    let primary = ready_storage(&config.storage).await?;
    let fallback = match &config.fallback {
        Some(fallback) => {
            Some(Fallback { storage: ready_storage(&fallback.storage).await?, after: fallback.after })
        }
        None => None,
    };
    Ok(Stores { primary, fallback })
}

/// Returns the store. If it refuses its settings, that is the operator's mistake and an error. If it cannot
/// be reached, recordings wait until it can.
async fn ready_storage(config: &StorageConfig) -> Result<Arc<dyn Storage>, ServeError> {
    let storage = storage::open(config);
    let place = storage.describe();
    match storage.ensure_ready().await {
        Ok(()) => {
            tracing::info!(place, "recordings are stored here");
            Ok(storage)
        }
        Err(error) if error.is_transient() => {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            tracing::warn!(place, %error, cause, "recordings are kept on this disk until the store is back");
            Ok(storage)
        }
        Err(source) => Err(ServeError::Storage { place, source }),
    }
}

async fn supervisor(
    config: &Config,
    store: Store,
    stores: Stores,
    watched: Watched,
) -> Result<(Handle, Supervisor, Probes), ServeError> {
    let livekit = &config.livekit;
    let access = LivekitAccess::from(livekit);
    let rooms = Livekit::new(&livekit.http_url(), &access)?;
    let program = WorkerProgram::this_executable(config.log_level.as_str()).map_err(ServeError::Program)?;
    let (livekit_status, encoders_status) = (SharedStatus::of("LiveKit"), SharedStatus::of("encoders"));
    let probes = Probes {
        livekit: LivekitProbe { livekit: rooms.clone(), known: livekit_status.clone() },
        encoders: EncoderProbe { program: program.path.clone(), known: encoders_status.clone() },
    };
    let shared = Shared {
        store,
        stores,
        livekit: access,
        rooms,
        program,
        spool_dir: config.data_dir.spool(),
        max_recordings: config.recording.max_recordings,
        resume_within: config.recording.resume_within,
        shutdown_grace: config.shutdown_grace,
        slots: watched.slots,
        measurements: watched.measurements,
        max_load_percent: config.recording.max_load_percent.get(),
        livekit_status,
        encoders_status,
        closed: CancellationToken::new(),
        idle_timeout: config.recording.idle_timeout,
        disabled_codecs: config.recording.disabled_codecs.clone(),
        defaults: config.recording.defaults.clone(),
        limits: Limits::default(),
        retry: RetryPolicy::default(),
        uploads: Uploads::default(),
        running: Running::default(),
    };
    let (handle, supervisor) = Supervisor::new(shared).await?;
    Ok((handle, supervisor, probes))
}

async fn listen(address: SocketAddr, what: &str) -> Result<TcpListener, ServeError> {
    let fault = |source| ServeError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fault)?;
    // With port 0 this line is the only place that names the port.
    let addr = listener.local_addr().map_err(fault)?;
    tracing::info!(%addr, "{what} on http://{addr}");
    Ok(listener)
}
