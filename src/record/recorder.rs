//! The service's recorder for one recording: its supervisor, with a database and a store in the workplace.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::arguments::Task;
use super::error::RecordError;
use super::workplace::Workplace;
use crate::admission::{Monitor, Slots};
use crate::config::RecorderConfig;
use crate::control::{
    ControlError, Handle, Identity, Limits, RecordingState, Running, Shared, Shutdown, Supervisor,
    WorkerProgram,
};
use crate::health::SharedStatus;
use crate::ids::EgressId;
use crate::livekit::{Livekit, LivekitAccess};
use crate::storage::{Folder, Storage};
use crate::store::{RecordingQuery, SavedFile, Store};
use crate::upload::{RetryPolicy, Stores, Uploads};

pub struct Recorder {
    handle: Handle,
    /// The only recording of the workplace.
    id: EgressId,
    shutdown: Shutdown,
    supervisor: JoinHandle<()>,
    monitor: JoinHandle<()>,
    monitor_off: CancellationToken,
    spool: std::path::PathBuf,
}

/// How a recording has ended.
pub struct Ended {
    pub saved: Option<SavedFile>,
    /// Of one that failed, a sentence.
    pub error: Option<String>,
    /// Something is left that could not be made a file of.
    pub spool_is_kept: bool,
}

impl Recorder {
    /// Begins the recording, or takes up the one that was left.
    pub async fn start(
        workplace: &Workplace,
        config: RecorderConfig,
        task: &Task,
    ) -> Result<Self, RecordError> {
        let store = Store::open(&workplace.database())?;
        let least_free = config.recording.min_free_disk_mb << 20;
        let slots = Slots::default();
        let (monitor, measurements) = Monitor::new(workplace.folder().to_owned(), least_free, slots.clone());
        let storage = Folder::new(workplace.recordings());
        storage.ensure_ready().await?;
        let access = access(&config);
        let http_url = config.livekit.as_ref().map(|livekit| livekit.http_url()).unwrap_or_default();
        let rooms = Livekit::new(&http_url, &access).map_err(RecordError::Livekit)?;
        let resume_within = match task {
            Task::Record { .. } | Task::Resume => config.recording.resume_within,
            Task::Finish => std::time::Duration::ZERO,
        };
        let shared = Shared {
            store,
            stores: Stores { primary: Arc::new(storage), fallback: None },
            livekit: access,
            rooms,
            program: WorkerProgram::this_executable(&super::log_level()).map_err(RecordError::Program)?,
            spool_dir: workplace.spool(),
            max_recordings: None,
            resume_within,
            shutdown_grace: std::time::Duration::ZERO,
            slots,
            idle_timeout: config.recording.idle_timeout,
            disabled_codecs: config.recording.disabled_codecs.clone(),
            defaults: config.recording.defaults.clone(),
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            uploads: Uploads::default(),
            running: Running::default(),
            measurements,
            max_load_percent: config.recording.max_load_percent.get(),
            livekit_status: SharedStatus::of("LiveKit"),
            encoders_status: SharedStatus::of("encoders"),
            closed: CancellationToken::new(),
        };
        let (handle, supervisor) = Supervisor::new(shared).await?;
        let (shutdown, monitor_off) = (Shutdown::default(), CancellationToken::new());
        let supervisor = tokio::spawn(supervisor.run(shutdown.clone()));
        let monitor = tokio::spawn(monitor.run(monitor_off.clone()));
        let id = match begin(&handle, task).await {
            Ok(id) => id,
            Err(error) => {
                supervisor.abort();
                monitor.abort();
                return Err(error);
            }
        };
        Ok(Self { handle, id, shutdown, supervisor, monitor, monitor_off, spool: workplace.spool() })
    }

    pub async fn state(&self) -> Result<RecordingState, RecordError> {
        let state = self.handle.recording(&self.id).await?;
        state.ok_or(RecordError::Control(ControlError::NoSuchRecording))
    }

    /// It takes in no more media; its file is still to be finished.
    pub async fn stop(&self) {
        if let Ok(state) = self.state().await
            && let Err(error) = self.handle.stop(&state.row.room).await
        {
            tracing::debug!(%error, "it ends already");
        }
    }

    /// Of a recording that has ended.
    pub async fn end(self, state: RecordingState) -> Ended {
        let spool = self.spool.clone();
        self.wind_up().await;
        Ended { saved: state.row.saved, error: state.row.error, spool_is_kept: holds_something(&spool) }
    }

    /// Leaves it as it is.
    pub async fn abandon(self) {
        self.supervisor.abort();
        let _aborted = self.supervisor.await;
        self.monitor.abort();
    }

    async fn wind_up(self) {
        self.shutdown.hurry();
        self.monitor_off.cancel();
        for part in [self.supervisor, self.monitor] {
            if let Err(error) = part.await {
                tracing::error!(%error, "a part of the recorder failed");
            }
        }
    }
}

async fn begin(handle: &Handle, task: &Task) -> Result<EgressId, RecordError> {
    match task {
        Task::Record { room, asked } => match handle.start(Identity::Room, room.clone(), asked.clone()).await
        {
            Ok(started) => Ok(started.egress_id),
            Err(ControlError::RoomNotFound) => Err(RecordError::NoRoom { room: room.clone() }),
            Err(error) => Err(error.into()),
        },
        Task::Resume | Task::Finish => {
            let query = RecordingQuery { room: None, phases: None, after: None, limit: 1 };
            let listing = handle.recordings(query).await?;
            let found = listing.recordings.into_iter().next();
            let found = found.ok_or(RecordError::Control(ControlError::NoSuchRecording))?;
            Ok(found.row.egress_id)
        }
    }
}

fn access(config: &RecorderConfig) -> LivekitAccess {
    match &config.livekit {
        Some(livekit) => livekit.into(),
        // Nobody is going to be asked.
        None => LivekitAccess {
            url: String::new(),
            api_key: String::new(),
            api_secret: "".into(),
            ca_file: None,
            give_up_after: std::time::Duration::ZERO,
        },
    }
}

fn holds_something(spool: &std::path::Path) -> bool {
    std::fs::read_dir(spool).is_ok_and(|mut entries| entries.next().is_some())
}
