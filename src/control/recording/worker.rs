//! The present worker of a recording, and the recording's slot.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;

use crate::admission::Slot;
use crate::control::failure::Exit;
use crate::control::process::{WorkerOutput, WorkerProcess};
use crate::control::watchdog::{Watchdog, WorkerTimeouts};
use crate::media::View;

pub enum Worker {
    /// There is no worker any more, and no slot.
    None,
    /// A worker is to be started.
    Awaited {
        slot: Slot,
    },
    /// The worker could not be started.
    NotStarted {
        slot: Slot,
    },
    Running {
        process: Box<WorkerProcess>,
        watchdog: Watchdog,
        slot: Slot,
    },
}

impl Worker {
    /// Waits for the worker's next event or its exit.
    pub async fn next(&mut self) -> WorkerOutput {
        match self {
            Self::Running { process, .. } => process.next().await,
            Self::NotStarted { .. } => WorkerOutput::Exited(Exit::Unknown),
            Self::Awaited { .. } | Self::None => std::future::pending().await,
        }
    }

    /// Sets the worker that was started; `None` if the start has failed. If no worker is awaited, it is
    /// dropped and so killed.
    pub fn begin(self, process: Option<WorkerProcess>, timeouts: WorkerTimeouts) -> Self {
        match (self, process) {
            (Self::Awaited { slot }, Some(process)) => {
                slot.set_pid(process.pid());
                let watchdog = Watchdog::begin(timeouts, Instant::now());
                Self::Running { process: Box::new(process), watchdog, slot }
            }
            (Self::Awaited { slot }, None) => Self::NotStarted { slot },
            (other, _) => other,
        }
    }

    /// Notes that the worker has exited. The slot waits for a successor.
    pub fn gone(self) -> Self {
        match self {
            Self::Running { slot, .. } | Self::NotStarted { slot } | Self::Awaited { slot } => {
                slot.set_pid(None);
                Self::Awaited { slot }
            }
            Self::None => Self::None,
        }
    }

    /// Notes that no successor follows. A slot that waits for one is given back.
    pub fn without_successor(self) -> Self {
        match self {
            Self::Awaited { .. } => Self::None,
            other @ (Self::Running { .. } | Self::NotStarted { .. } | Self::None) => other,
        }
    }

    pub fn watchdog(&mut self) -> Option<&mut Watchdog> {
        match self {
            Self::Running { watchdog, .. } => Some(watchdog),
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => None,
        }
    }

    pub async fn change_view(&mut self, view: View) {
        match self {
            Self::Running { process, .. } => process.change_view(view).await,
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }

    /// Tells the worker to write a preview to this file.
    pub async fn preview(&mut self, file: PathBuf) {
        match self {
            Self::Running { process, .. } => process.preview(file).await,
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }

    /// It is to join with this token from now on.
    pub async fn renew_token(&mut self, token: SecretString) {
        match self {
            Self::Running { process, .. } => process.renew_token(token).await,
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }

    pub async fn stop(&mut self) {
        match self {
            Self::Running { process, .. } => process.stop().await,
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }

    pub fn kill(&mut self) {
        match self {
            Self::Running { process, .. } => process.kill(),
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }

    /// Waits for the exit of a worker after its last event.
    pub async fn close(self, timeout: Duration) {
        match self {
            Self::Running { process, .. } => process.close(timeout).await,
            Self::NotStarted { .. } | Self::Awaited { .. } | Self::None => {}
        }
    }
}
