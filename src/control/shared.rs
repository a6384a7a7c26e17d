//! What all recordings of a service share. Pure data and what is derived from it.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

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
use crate::livekit::{Livekit, LivekitAccess};
use crate::media::Codec;
use crate::options::RecordingOptions;
use crate::store::{RecordingRow, Store};
use crate::upload::RetryPolicy;
use crate::upload::Stores;
use crate::upload::Uploads;
use crate::worker::messages::{Resume, WorkerSpec};

/// What a supervisor is made of.
pub struct Shared {
    pub store: Store,
    pub stores: Stores,
    pub livekit: LivekitAccess,
    /// The same server, to be asked for rooms.
    pub rooms: Livekit,
    pub program: WorkerProgram,
    /// Where spool files are, one a recording.
    pub spool_dir: PathBuf,
    /// Recordings at a time, whatever the machine could do.
    pub max_recordings: Option<NonZeroU32>,
    /// How long after its end a recording that the service left can go on; zero: never.
    pub resume_within: Duration,
    /// How long recordings may go on once the service is to end.
    pub shutdown_grace: Duration,
    /// Who records at the moment.
    pub slots: Slots,
    pub idle_timeout: Duration,
    pub disabled_codecs: Vec<Codec>,
    /// What a recording is like whose start asks for nothing.
    pub defaults: RecordingOptions,
    pub limits: Limits,
    pub retry: RetryPolicy,
    /// How the uploads stand.
    pub uploads: Uploads,
    /// What the recordings are like that run.
    pub running: Running,
    /// What the machine does, and what the disk with the spools allows.
    pub measurements: Measurements,
    /// How much of the machine may be used before starts are refused.
    pub max_load_percent: u32,
    /// What is known of LiveKit.
    pub livekit_status: SharedStatus,
    /// What is known of the encoders. Workers tell.
    pub encoders_status: SharedStatus,
    /// Cancelled once no new recordings are taken in.
    pub closed: CancellationToken,
}

/// How long a worker may take.
#[derive(Debug, Clone)]
pub struct Limits {
    /// To join, and without progress.
    pub worker: WorkerTimeouts,
    /// From a stop to its last event.
    pub stop: Duration,
    /// From its last event to its exit.
    pub exit: Duration,
    /// For a picture of what it makes.
    pub preview: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            worker: WorkerTimeouts::default(),
            // What is left to make at a stop are four seconds of media at most, and a loaded machine
            // may need several times as long for them.
            stop: Duration::from_secs(20),
            // Its file is closed; what it still does concerns nobody.
            exit: Duration::from_secs(5),
            // One of 4K takes a fraction of it; a worker that needs longer has better things to do.
            preview: Duration::from_secs(2),
        }
    }
}

impl Shared {
    /// Whether there is room for one more recording, without harm to those that run.
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

    pub fn worker_spec(&self, row: &RecordingRow, spool: PathBuf, resume: Option<Resume>) -> WorkerSpec {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        WorkerSpec {
            egress_id: row.egress_id.clone(),
            room: row.room.clone(),
            livekit_url: self.livekit.url.clone(),
            livekit_api_key: self.livekit.api_key.clone(),
            livekit_api_secret: self.livekit.api_secret.clone(),
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
