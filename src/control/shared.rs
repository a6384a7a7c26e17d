//! What all recordings of a service share. Pure data, and what is derived from it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio_util::sync::CancellationToken;

use super::process::WorkerProgram;
use super::running::Running;
use super::watchdog::WorkerTimeouts;
use crate::admission::Measurements;
use crate::admission::Shortage;
use crate::admission::Slots;
use crate::admission::Space;
use crate::health::SharedStatus;
use crate::ids::EgressId;
use crate::livekit::{Livekit, LivekitAccess, LivekitError};
use crate::media::Codec;
use crate::options::RecordingOptions;
use crate::store::{RecordingRow, Store};
use crate::upload::RetryPolicy;
use crate::upload::Stores;
use crate::upload::Uploads;
use crate::worker::messages::{Resume, WorkerSpec};

/// What a supervisor needs.
pub struct Shared {
    pub store: Store,
    pub stores: Stores,
    pub livekit: LivekitAccess,
    /// The client that asks the same server for rooms.
    pub rooms: Livekit,
    pub program: WorkerProgram,
    /// The folder of the spools.
    pub spool_dir: PathBuf,
    /// How many recordings may run at a time; `None` if only the measured load decides.
    pub max_recordings: Option<NonZeroU32>,
    /// An unfinished recording is resumed if its end is no older than this; zero means never.
    pub resume_within: Duration,
    /// How long recordings may go on after the service was told to end.
    pub shutdown_grace: Duration,
    /// The slots of the running recordings.
    pub slots: Slots,
    pub idle_timeout: Duration,
    pub disabled_codecs: Vec<Codec>,
    /// The options of a recording whose start sets none.
    pub defaults: RecordingOptions,
    pub limits: Limits,
    pub retry: RetryPolicy,
    /// The status of the uploads.
    pub uploads: Uploads,
    /// The vitals of the running recordings.
    pub running: Running,
    /// The load of the machine, and the free space of the disk with the spools.
    pub measurements: Measurements,
    /// The share of the machine up to which recordings are started, in percent.
    pub max_load_percent: u32,
    /// The last result of LiveKit's probe.
    pub livekit_status: SharedStatus,
    /// The last result of the encoders' probe. Workers report it, too.
    pub encoders_status: SharedStatus,
    /// Cancelled once no new recordings are started.
    pub closed: CancellationToken,
}

/// How long a worker may take for something, and how long what it gets is valid.
#[derive(Debug, Clone)]
pub struct Limits {
    /// To join, and between two signs of progress.
    pub worker: WorkerTimeouts,
    /// From a stop to the worker's last event.
    pub stop: Duration,
    /// From the worker's last event to its exit.
    pub exit: Duration,
    /// For a preview.
    pub preview: Duration,
    /// How long an access token is valid. A worker gets another when half of that is over.
    pub token: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            worker: WorkerTimeouts::default(),
            // At a stop, four seconds of media at most are still to be made. A loaded machine may need
            // several times as long for them.
            stop: Duration::from_secs(20),
            // Its file is closed, so nothing depends on it any more.
            exit: Duration::from_secs(5),
            // A preview of a 4K recording takes a fraction of this. A worker that needs longer is overloaded.
            preview: Duration::from_secs(2),
            // It outlives every outage after which a recording goes on.
            token: Duration::from_secs(6 * 3600),
        }
    }
}

impl Shared {
    /// Returns an error if one more recording would harm those that run.
    pub fn has_room(&self) -> Result<(), Shortage> {
        match *self.measurements.space.borrow() {
            Space::Ample => {}
            Space::Short | Space::Exhausted => return Err(Shortage::Disk),
        }
        let (load, taken) = (Arc::clone(&self.measurements.load.borrow()), self.slots.taken());
        load.admits(taken, self.max_load_percent)?;
        match self.max_recordings.is_some_and(|max| taken >= max.get() as usize) {
            true => Err(Shortage::Slots),
            false => Ok(()),
        }
    }

    pub fn spool_of(&self, id: &EgressId) -> PathBuf {
        self.spool_dir.join(format!("{id}.mp4"))
    }

    /// Returns an access token with which a worker joins the recording's room.
    pub fn token(&self, row: &RecordingRow) -> Result<SecretString, LivekitError> {
        self.rooms.recorder_token(row.room.as_str(), row.egress_id.as_str(), self.limits.token)
    }

    pub fn worker_spec(
        &self,
        row: &RecordingRow,
        token: SecretString,
        spool: PathBuf,
        resume: Option<Resume>,
    ) -> WorkerSpec {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        WorkerSpec {
            egress_id: row.egress_id.clone(),
            room: row.room.clone(),
            livekit_url: self.livekit.url.clone(),
            token,
            spool,
            options: row.options.clone(),
            idle_timeout_ms: millis(self.idle_timeout),
            ca_file: self.livekit.ca_file.clone(),
            give_up_after_ms: millis(self.livekit.give_up_after),
            disabled_codecs: self.disabled_codecs.clone(),
            resume,
        }
    }
}
